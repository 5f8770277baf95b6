"""The chip: one command in, one answer out (ICAO 9303-10 3, 9303-11 4.3, 6.1, 9.8).

A `SoftChip` is a `Transmit`: give it wherever a chip goes. It keeps state as silicon does (application
selected, challenge given, channel open, current file) and loses it when `reset` is called, as when the
document leaves the field.
"""

from __future__ import annotations

from dataclasses import replace

from emrtd import bac, tlv
from emrtd.apdu import OK, SHORT_LE_MAX, CommandApdu, ResponseApdu, parse_command
from emrtd.channel import SECURE, Session
from emrtd.errors import ChannelBroken, MalformedApdu, MalformedTlv
from emrtd.files import APPLICATION, CARD_ACCESS, MASTER_FILE
from emrtd.rng import Rng
from emrtd.softchip.document import ChipDocument
from emrtd.softchip.pace import ChipPace
from emrtd.softchip.pace import begin as begin_pace
from emrtd.softchip.signing import answer_challenge

WRONG_LENGTH, NOT_ALLOWED, NO_FILE, NO_CURRENT_FILE = 0x6700, 0x6982, 0x6A82, 0x6986
WRONG_OFFSET, END_OF_FILE, NOT_SUPPORTED, WRONG_PARAMETERS = 0x6B00, 0x6282, 0x6D00, 0x6A86
REFUSED, BROKEN_MESSAGE, NO_CONDITIONS = 0x6300, 0x6988, 0x6985
SHORT_SECURE_MAX = 231  # with padding, cryptogram header, status and checksum: 256 bytes


class SoftChip:
    """A chip that holds `document`; randomness from `rng`."""

    def __init__(self, document: ChipDocument, rng: Rng) -> None:
        self._document = document
        self._rng = rng
        self.reset()

    def reset(self) -> None:
        """The document leaves the field and comes back: all state is gone."""
        self._application = False
        self._file: bytes | None = None
        self._challenge: bytes | None = None
        self._session: Session | None = None
        self._pace: ChipPace | None = None
        self._pending = b""

    def __call__(self, apdu: bytes) -> bytes:
        return self.transmit(apdu)

    def transmit(self, apdu: bytes) -> bytes:
        """One command APDU to one answer, status word included. Never raises."""
        try:
            command = parse_command(apdu)
        except MalformedApdu:
            return _status(WRONG_LENGTH).encode()
        if command.extended and not self._document.profile.extended:
            return self._plain_error(WRONG_LENGTH)
        if command.ins == 0xC0:
            return self._hand_out(command.le or SHORT_LE_MAX)
        answer = self._secure(apdu) if command.cla & SECURE == SECURE else self._plain(command)
        if len(answer) - 2 > SHORT_LE_MAX and not command.extended:
            self._pending = answer
            return self._hand_out(SHORT_LE_MAX)
        return answer

    def _hand_out(self, count: int) -> bytes:
        """The next part of a long answer; 61xx says how much remains (ISO/IEC 7816-4 5.3.4)."""
        if not self._pending:
            return _status(NO_CONDITIONS).encode()
        if len(self._pending) - 2 <= count:
            last, self._pending = self._pending, b""
            return last
        part, self._pending = self._pending[:count], self._pending[count:]
        remaining = min(len(self._pending) - 2, 255) if len(self._pending) - 2 < SHORT_LE_MAX else 0
        return part + bytes((0x61, remaining))

    def _plain(self, command: CommandApdu) -> bytes:
        """An unprotected command; inside a channel, it ends the channel (9303-11 9.8.3)."""
        self._session = None
        if command.ins == 0x86:
            return self._general_authenticate(command).encode()
        return self._answer(command).encode()

    def _plain_error(self, status: int) -> bytes:
        """What the lowest layer refuses never reaches the channel: plain, and by the profile the end of it."""
        if self._document.profile.errors != "plain_uncounted":
            self._session = None
        return _status(status).encode()

    def _secure(self, apdu: bytes) -> bytes:
        if self._session is None:
            return _status(NOT_ALLOWED).encode()
        session = self._session
        try:
            command = session.channel.open_command(apdu, session.counter + 1)
        except (ChannelBroken, MalformedApdu):
            self._session = None
            return _status(BROKEN_MESSAGE).encode()
        self._session = replace(session, counter=session.counter + 2)
        response = self._answer(command)
        if response.status not in (OK, END_OF_FILE) and self._document.profile.errors != "protected":
            return self._error_in_channel(session, response.status)
        odd = bool(command.ins & 1)
        return session.channel.protect_response(response, session.counter + 2, odd=odd)

    def _error_in_channel(self, before: Session, status: int) -> bytes:
        """An error told plainly, by the profile: counted, not counted, or the end of the channel."""
        errors = self._document.profile.errors
        if errors == "plain_and_close":
            self._session = None
        elif errors == "plain_uncounted":
            self._session = before
        return _status(status).encode()

    def _answer(self, command: CommandApdu) -> ResponseApdu:
        match command.ins:
            case 0xA4:
                return self._select(command)
            case 0x84:
                return self._get_challenge(command)
            case 0x82:
                return self._external_authenticate(command)
            case 0xB0 | 0xB1:
                return self._read(command)
            case 0x88:
                return self._internal_authenticate(command)
            case 0x22:
                return self._set_authentication_template(command)
        return _status(NOT_SUPPORTED)

    def _select(self, command: CommandApdu) -> ResponseApdu:
        if command.p1 == 0x04:
            return self._select_application(command.data)
        if command.p1 == 0x00 and command.data in (b"", MASTER_FILE.to_bytes(2, "big")):
            self._application = False
            return _status(self._document.profile.answers_master_file)
        if command.p1 == 0x02 and len(command.data) == 2:
            return self._open_file(int.from_bytes(command.data, "big"))
        return _status(WRONG_PARAMETERS)

    def _select_application(self, name: bytes) -> ResponseApdu:
        if name != APPLICATION:
            return _status(NO_FILE)
        self._application, self._file = True, None
        return _status(OK)

    def _open_file(self, file_id: int) -> ResponseApdu:
        """EF.CardAccess is open to all outside the application; the rest needs the channel."""
        if file_id != CARD_ACCESS.file_id and not (self._application and self._session):
            return _status(NOT_ALLOWED)
        if file_id not in self._document.files or (file_id == CARD_ACCESS.file_id and self._application):
            return _status(NO_FILE)
        self._file = self._document.files[file_id]
        return _status(OK)

    def _get_challenge(self, command: CommandApdu) -> ResponseApdu:
        if not self._application:
            return _status(NOT_ALLOWED)
        if not self._document.profile.bac:
            return _status(NOT_SUPPORTED)
        if command.le != bac.NONCE:
            return _status(WRONG_LENGTH)
        self._challenge = self._rng(bac.NONCE)
        return ResponseApdu(self._challenge, OK)

    def _external_authenticate(self, command: CommandApdu) -> ResponseApdu:
        challenge, self._challenge = self._challenge, None  # one try for one challenge
        if challenge is None or not self._application:
            return _status(NO_CONDITIONS)
        seed, material = self._document.access.seed, self._rng(bac.KEY_MATERIAL)
        try:
            answer, self._session = bac.answer_terminal(seed, challenge, command.data, material)
        except ChannelBroken:
            return _status(REFUSED)
        return ResponseApdu(answer, OK)

    def _set_authentication_template(self, command: CommandApdu) -> ResponseApdu:
        """MSE:Set AT for mutual authentication: PACE begins (9303-11 4.4.4.1)."""
        if CARD_ACCESS.file_id not in self._document.files or (command.p1, command.p2) != (0xC1, 0xA4):
            return _status(NOT_SUPPORTED)
        begun = begin_pace(self._document, command, self._rng)
        self._pace = begun if isinstance(begun, ChipPace) else None
        return _status(OK if isinstance(begun, ChipPace) else begun)

    def _general_authenticate(self, command: CommandApdu) -> ResponseApdu:
        """One message of PACE; a refused one ends the run."""
        if self._pace is None:
            return _status(NO_CONDITIONS)
        run = self._pace
        response = run.answer(command)
        if response.status != OK or run.session is not None:
            self._pace, self._session, self._application = None, run.session, False
        return response

    def _read(self, command: CommandApdu) -> ResponseApdu:
        """READ BINARY: B0 by offset or by short file identifier, B1 with the offset in DO'54'."""
        offset = (command.p1 << 8) | command.p2
        if command.ins == 0xB0 and command.p1 & 0x80:
            selected = self._open_file(0x0100 | (command.p1 & 0x1F))
            if selected.status != OK:
                return selected
            offset = command.p2
        elif command.ins == 0xB1:
            try:
                offset = int.from_bytes(tlv.expect(command.data, 0x54).value, "big")
            except MalformedTlv:
                return _status(0x6A80)
        if self._file is None or command.le is None:
            return _status(NO_CURRENT_FILE if self._file is None else WRONG_LENGTH)
        return self._read_from(self._file, offset, command)

    def _read_from(self, content: bytes, offset: int, command: CommandApdu) -> ResponseApdu:
        profile, wanted = self._document.profile, command.le or 0
        if offset >= len(content):
            return _status(WRONG_OFFSET)
        largest = profile.largest_read
        if self._session is not None and not command.extended:
            largest = min(largest, SHORT_SECURE_MAX)
        if wanted > largest and profile.over == "refuse":
            return _status(WRONG_LENGTH)
        if wanted > largest and profile.over == "say_length":
            return _status(0x6C00 | min(largest, 0xFF))
        data = content[offset : offset + min(wanted, largest)]
        at_end = offset + len(data) == len(content) and len(data) < wanted
        wrapped = tlv.encode(0x53, data) if command.ins == 0xB1 else data
        return ResponseApdu(wrapped, END_OF_FILE if at_end else OK)

    def _internal_authenticate(self, command: CommandApdu) -> ResponseApdu:
        if not self._document.private_key:
            return _status(NOT_SUPPORTED)
        if self._session is None:
            return _status(NOT_ALLOWED)
        if len(command.data) != bac.NONCE:
            return _status(WRONG_LENGTH)
        document = self._document
        answer = answer_challenge(document.private_key, command.data, self._rng, digest=document.hash)
        return ResponseApdu(answer, OK)


def _status(status: int) -> ResponseApdu:
    return ResponseApdu(b"", status)

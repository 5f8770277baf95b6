"""The chip: one command in, one answer out (ICAO 9303-10 3, 9303-11 4.3, 4.4, 6, 9.8).

A `SoftChip` is a `Transmit`: give it wherever a chip goes. It keeps state as silicon does (application
selected, challenge given, channel open, current file) and loses it when `reset` is called, as when the
document leaves the field.
"""

from __future__ import annotations

from dataclasses import replace

from emrtd import bac, tlv
from emrtd.apdu import CHAINED, OK, SHORT_LE_MAX, CommandApdu, ResponseApdu, parse_command
from emrtd.channel import SECURE, Session
from emrtd.errors import ChannelBroken, Malformed, MalformedApdu, MalformedTlv
from emrtd.files import CARD_ACCESS
from emrtd.rng import Rng
from emrtd.softchip.agreement import Chosen, choose
from emrtd.softchip.document import ChipDocument
from emrtd.softchip.file_system import END_OF_FILE, NOT_ALLOWED, WRONG_DATA, WRONG_LENGTH, FileSystem
from emrtd.softchip.pace import ChipPace
from emrtd.softchip.pace import begin as begin_pace
from emrtd.softchip.signing import answer_challenge

NOT_SUPPORTED, REFUSED, BROKEN_MESSAGE, NO_CONDITIONS = 0x6D00, 0x6300, 0x6988, 0x6985
OUT_OF_ORDER, TRIES_LEFT, BLOCKED = 0x6F00, 0x63C0, 0x6983
CHAIN_MAX = 1 << 12


class SoftChip:
    """A chip that holds `document`; randomness from `rng`."""

    def __init__(self, document: ChipDocument, rng: Rng) -> None:
        self._document = document
        self._rng = rng
        self._wrong = 0
        self.reset()

    def reset(self) -> None:
        """The document leaves the field and comes back: all state is gone."""
        self._files = FileSystem(self._document)
        self._challenge: bytes | None = None
        self._session: Session | None = None
        self._pace: ChipPace | None = None
        self._chosen: Chosen | None = None
        self._agreed: Session | None = None
        self._shown = False
        self._pending = b""
        self._chained = b""

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
        largest = self._document.profile.largest_answer
        if command.ins == 0xC0:
            return self._hand_out(min(command.le or SHORT_LE_MAX, largest))
        answer = self._secure(apdu) if command.cla & SECURE == SECURE else self._plain(command)
        if len(answer) - 2 > largest and not command.extended:
            self._pending = answer
            return self._hand_out(largest)
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
        self._session = session.after(2)
        response = self._answer(command)
        if response.status not in (OK, END_OF_FILE) and self._document.profile.errors != "protected":
            return self._error_in_channel(session, response.status)
        if self._agreed:  # 9303-11 9.8.2: the answer itself still goes by the old keys
            self._session, self._agreed, self._shown = self._agreed, None, True
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
        whole = self._collect(command)
        if isinstance(whole, ResponseApdu):
            return whole
        opened = self._session is not None
        match whole.ins:
            case 0xA4:
                return self._files.select(whole, opened=opened)
            case 0x84:
                return self._get_challenge(whole)
            case 0x82:
                return self._external_authenticate(whole)
            case 0xB0 | 0xB1:
                return self._files.read(whole, opened=opened)
            case 0x88:
                return self._internal_authenticate(whole)
            case 0x22:
                return self._set_environment(whole)
            case 0x86:
                return self._general_authenticate(whole)
        return _status(NOT_SUPPORTED)

    def _collect(self, command: CommandApdu) -> CommandApdu | ResponseApdu:
        """The whole of a chained command, or the answer to a part of it (ISO/IEC 7816-4 5.3.3).

        PACE chains whole messages with the same bit (9303-11 4.4.4.3): one whose objects are complete is a message.
        """
        data = self._chained + command.data
        self._chained = b""
        complete = command.ins == 0x86 and _complete(data)
        if not command.cla & CHAINED or complete:
            return replace(command, data=data, cla=command.cla & ~CHAINED)
        if len(data) > CHAIN_MAX:
            return _status(WRONG_LENGTH)
        self._chained = data
        return _status(OK)

    def _get_challenge(self, command: CommandApdu) -> ResponseApdu:
        if not self._files.application:
            return _status(NOT_ALLOWED)
        if not self._document.profile.bac:
            return _status(NOT_SUPPORTED)
        if command.le != bac.NONCE:
            return _status(WRONG_LENGTH)
        self._challenge = self._rng(bac.NONCE)
        return ResponseApdu(self._challenge, OK)

    def _external_authenticate(self, command: CommandApdu) -> ResponseApdu:
        challenge, self._challenge = self._challenge, None  # one try for one challenge
        if challenge is None or not self._files.application:
            return _status(NO_CONDITIONS)
        seed, material = self._document.access.seed, self._rng(bac.KEY_MATERIAL)
        try:
            answer, self._session = bac.answer_terminal(seed, challenge, command.data, material)
        except ChannelBroken:
            return _status(REFUSED)
        return ResponseApdu(answer, OK)

    def _set_environment(self, command: CommandApdu) -> ResponseApdu:
        """MSE: Set AT for mutual authentication begins PACE, Set KAT and Set AT for internal chip authentication."""
        if command.p1 == 0x41 and self._session:
            return self._choose_key(command)
        if CARD_ACCESS.file_id not in self._document.files or (command.p1, command.p2) != (0xC1, 0xA4):
            return _status(NOT_SUPPORTED)
        if self._document.profile.tries and self._wrong >= self._document.profile.tries:
            return _status(BLOCKED)
        begun = begin_pace(self._document, command, self._rng)
        self._pace = begun if isinstance(begun, ChipPace) else None
        return _status(OK if isinstance(begun, ChipPace) else begun)

    def _choose_key(self, command: CommandApdu) -> ResponseApdu:
        """The first command of chip authentication, for 3DES the only one (9303-11 6.2.4)."""
        try:
            self._chosen, public = choose(self._document.chip_keys, command)
            if public:
                self._agreed = self._chosen.session(public)
        except (Malformed, ChannelBroken):
            return _status(WRONG_DATA)
        return _status(OK)

    def _general_authenticate(self, command: CommandApdu) -> ResponseApdu:
        if self._session is not None:
            return self._agree(command)
        if self._pace is None:
            return _status(NO_CONDITIONS)
        run = self._pace
        response = run.answer(command)
        if response.status != OK or run.session is not None:
            self._pace, self._session = None, run.session
        return self._counted(response) if response.status == REFUSED else response

    def _counted(self, refusal: ResponseApdu) -> ResponseApdu:
        """A wrong password, told with the tries left where they are counted."""
        self._wrong += 1
        left = self._document.profile.tries - self._wrong
        return _status(TRIES_LEFT | max(0, left)) if self._document.profile.tries else refusal

    def _agree(self, command: CommandApdu) -> ResponseApdu:
        """The terminal's key, after MSE:Set AT (9303-11 6.2.4.2)."""
        chosen, self._chosen = self._chosen, None
        if chosen is None:
            return _status(NO_CONDITIONS)
        try:
            self._agreed = chosen.session(tlv.expect(tlv.expect(command.data, 0x7C).value, 0x80).value)
        except (Malformed, ChannelBroken):
            return _status(WRONG_DATA)
        return ResponseApdu(tlv.encode(0x7C), OK)

    def _internal_authenticate(self, command: CommandApdu) -> ResponseApdu:
        document = self._document
        if not document.private_key:
            return _status(NOT_SUPPORTED)
        if self._session is None:
            return _status(NOT_ALLOWED)
        if document.profile.chip_first and document.chip_keys and not self._shown:
            return _status(OUT_OF_ORDER)
        if len(command.data) != bac.NONCE:
            return _status(WRONG_LENGTH)
        answer = answer_challenge(document.private_key, command.data, self._rng, digest=document.hash)
        return ResponseApdu(answer, OK)


def _complete(data: bytes) -> bool:
    try:
        return tlv.read_header(data).total <= len(data)
    except MalformedTlv:
        return True  # what cannot be read is not waited for


def _status(status: int) -> ResponseApdu:
    return ResponseApdu(b"", status)

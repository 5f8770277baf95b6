"""The chip's files: what is selected, what may be read, and how much of it at once (ICAO 9303-10 3.6)."""

from __future__ import annotations

from emrtd import tlv
from emrtd.apdu import OK, CommandApdu, ResponseApdu
from emrtd.errors import MalformedTlv
from emrtd.files import APPLICATION, CARD_ACCESS, IDENTITY_APPLICATION, MASTER_FILE
from emrtd.softchip.document import ChipDocument

WRONG_LENGTH, NOT_ALLOWED, NO_FILE, NO_CURRENT_FILE = 0x6700, 0x6982, 0x6A82, 0x6986
WRONG_OFFSET, END_OF_FILE, WRONG_PARAMETERS, WRONG_DATA = 0x6B00, 0x6282, 0x6A86, 0x6A80
TOO_MUCH = {"refuse": WRONG_LENGTH, "wrong_offset": WRONG_OFFSET}
SHORT_SECURE_MAX = 231  # with padding, cryptogram header, status and checksum: 256 bytes


class FileSystem:
    """Where the chip stands. ``application`` says whether the travel application is selected."""

    def __init__(self, document: ChipDocument) -> None:
        self._document = document
        self.application = False
        self._file: bytes | None = None

    def select(self, command: CommandApdu, *, opened: bool) -> ResponseApdu:
        """SELECT; `opened` where a secure channel is."""
        if command.p1 == 0x04:
            return _status(self._select_application(command.data, opened))
        if command.p1 == 0x00 and command.data in (b"", MASTER_FILE.to_bytes(2, "big")):
            status = self._document.profile.answers_master_file
            self.application = self.application and status != OK
            return _status(status)
        if command.p1 == 0x02 and len(command.data) == 2:
            return _status(self._open(int.from_bytes(command.data, "big"), opened))
        return _status(WRONG_PARAMETERS)

    def _select_application(self, name: bytes, opened: bool) -> int:
        late = self._document.profile.application == "after_pace"
        if late and name == IDENTITY_APPLICATION:
            return OK
        if name != APPLICATION or (late and not opened):
            return NO_FILE
        self.application, self._file = True, None
        return OK

    def _open(self, file_id: int, opened: bool) -> int:
        """EF.CardAccess is open to all; the rest needs the channel."""
        shown_inside = self._document.profile.card_access == "application"
        shown = file_id == CARD_ACCESS.file_id and self.application == shown_inside
        if not (shown or opened):
            return NOT_ALLOWED
        content = self._content(file_id, shown)
        if content is None:
            return NO_FILE
        self._file = content
        return OK

    def _content(self, file_id: int, shown: bool) -> bytes | None:
        """EF.CardAccess and EF.CardSecurity lie in the master file, all others in the application."""
        files = self._document.files
        if file_id == CARD_ACCESS.file_id:
            return files.get(file_id) if shown else None
        return files.get(file_id if self.application else MASTER_FILE << 16 | file_id)

    def read(self, command: CommandApdu, *, opened: bool) -> ResponseApdu:
        """READ BINARY: B0 by offset or by short file identifier, B1 with the offset in DO'54'."""
        offset = (command.p1 << 8) | command.p2
        if command.ins == 0xB0 and command.p1 & 0x80:
            selected = self._open(0x0100 | (command.p1 & 0x1F), opened)
            if selected != OK:
                return _status(selected)
            offset = command.p2
        elif command.ins == 0xB1:
            try:
                offset = int.from_bytes(tlv.expect(command.data, 0x54).value, "big")
            except MalformedTlv:
                return _status(WRONG_DATA)
        if self._file is None or command.le is None:
            return _status(NO_CURRENT_FILE if self._file is None else WRONG_LENGTH)
        return self._read_from(self._file, offset, command, opened)

    def _read_from(self, content: bytes, offset: int, command: CommandApdu, opened: bool) -> ResponseApdu:
        profile, wanted = self._document.profile, command.le or 0
        if offset >= len(content):
            return _status(WRONG_OFFSET)
        largest = profile.largest_read
        if opened and not command.extended:
            largest = min(largest, SHORT_SECURE_MAX)
        if wanted > largest and profile.over in TOO_MUCH:
            return _status(TOO_MUCH[profile.over])
        if wanted > largest and profile.over == "say_length":
            return _status(0x6C00 | min(largest, len(content) - offset, 0xFF))
        data = content[offset : offset + min(wanted, largest)]
        at_end = offset + len(data) == len(content) or profile.over == "end_of_file"
        at_end = at_end and len(data) < wanted
        wrapped = tlv.encode(0x53, data) if command.ins == 0xB1 else data
        return ResponseApdu(wrapped, END_OF_FILE if at_end else OK)


def _status(status: int) -> ResponseApdu:
    return ResponseApdu(b"", status)

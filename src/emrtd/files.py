"""The elementary files of the travel-document application and the commands that read them (ICAO 9303-10)."""

from __future__ import annotations

from dataclasses import dataclass

from emrtd import tlv
from emrtd.apdu import CommandApdu
from emrtd.errors import Misuse

APPLICATION = bytes.fromhex("A0000002471001")
IDENTITY_APPLICATION = bytes.fromhex("A0000001510000")  # what French identity cards let select before PACE
MASTER_FILE = 0x3F00
NEVER_SELECTED = frozenset({3, 4})  # fingerprints and iris: excluded by decree, never asked of a chip
PLAIN_OFFSET_MAX = 0x7FFF  # READ BINARY B0 has fifteen bits of offset; beyond, B1 carries it as DO'54'
GROUP_TAGS = {
    1: 0x61, 2: 0x75, 3: 0x63, 4: 0x76, 5: 0x65, 6: 0x66, 7: 0x67, 8: 0x68, 9: 0x69, 10: 0x6A, 11: 0x6B,
    12: 0x6C, 13: 0x6D, 14: 0x6E, 15: 0x6F, 16: 0x70,
}  # fmt: skip


@dataclass(frozen=True)
class ElementaryFile:
    """Name for people, file identifier and the tag its content begins with.

    EF.CardSecurity has the identifier of EF.SOD, in the master file: that of the master file stands before it.
    """

    name: str
    file_id: int
    tag: int

    @property
    def in_master_file(self) -> bool:
        return self.file_id >> 16 == MASTER_FILE


COM = ElementaryFile("COM", 0x011E, 0x60)
SOD = ElementaryFile("SOD", 0x011D, 0x77)
CARD_ACCESS = ElementaryFile("CardAccess", 0x011C, 0x31)
CARD_SECURITY = ElementaryFile("CardSecurity", MASTER_FILE << 16 | 0x011D, 0x30)
GROUPS = {number: ElementaryFile(f"DG{number}", 0x0100 + number, tag) for number, tag in GROUP_TAGS.items()}
DG1, DG2, DG11, DG12, DG13, DG14, DG15 = 1, 2, 11, 12, 13, 14, 15


def group_file(number: int) -> ElementaryFile:
    """The file of a data group that may be read. Raises Misuse for DG3, DG4 and numbers that do not exist."""
    if number in NEVER_SELECTED or number not in GROUPS:
        raise Misuse(f"data group {number} is never read")
    return GROUPS[number]


def select_application(name: bytes = APPLICATION) -> CommandApdu:
    return CommandApdu(0x00, 0xA4, 0x04, 0x0C, name)


def select_file(file_id: int) -> CommandApdu:
    """SELECT of a file of the current application, or of the master file."""
    return CommandApdu(0x00, 0xA4, 0x02, 0x0C, (file_id & 0xFFFF).to_bytes(2, "big"))


def select_master_file() -> CommandApdu:
    return CommandApdu(0x00, 0xA4, 0x00, 0x0C, MASTER_FILE.to_bytes(2, "big"))


def read_binary(offset: int, length: int, *, extended: bool = False) -> CommandApdu:
    """READ BINARY of `length` bytes from `offset` of the current file (9303-10 3.6.3)."""
    if offset <= PLAIN_OFFSET_MAX:
        return CommandApdu(0x00, 0xB0, offset >> 8, offset & 0xFF, b"", length, extended)
    offset_object = tlv.encode(0x54, offset.to_bytes(3, "big"))
    wrapped = len(tlv.encode(0x53, bytes(length)))  # the answer comes inside DO'53'
    return CommandApdu(0x00, 0xB1, 0x00, 0x00, offset_object, wrapped, extended)


def read_content(command: CommandApdu, data: bytes) -> bytes:
    """The file bytes in the answer to a READ BINARY: B1 wraps them in DO'53'. Raises MalformedTlv."""
    return tlv.expect(data, 0x53).value if command.ins & 1 and data else data

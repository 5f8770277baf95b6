"""What is known of each file while a chip is read, and which bytes are still wanted.

Reads arrive in any order and any size: a chip may answer less than asked, a channel may break in the
middle. So each file keeps its pieces by offset, learns its length from its own TLV header, and can say at
any time which ranges are missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from emrtd import tlv
from emrtd.errors import MalformedFile, MalformedTlv
from emrtd.files import ElementaryFile

FILE_MAX = 1 << 18
MORE = 446  # two short reads
HEADER_MAX = 6  # tag of one byte, length of up to five


@dataclass
class Gathering:
    """One file. ``guess`` is how much to read of it before its length is known, and a beginning where it does not say
    its length, because it does not begin with its tag (DG13 of Singapore). ``limit`` is what the chip gives to one read
    of this file, where that is less than of others.
    """

    file: ElementaryFile
    guess: int
    pieces: dict[int, bytes] = field(default_factory=dict, repr=False)
    absent: bool = False
    end: int | None = None
    refusals: int = 0
    limit: int = FILE_MAX

    def add(self, offset: int, data: bytes) -> None:
        """Keep what was read at `offset`. Raises MalformedFile for a file beyond all bounds."""
        if offset + len(data) > FILE_MAX:
            raise MalformedFile(self.file.name, "the chip gives bytes without end")
        if len(data) > len(self.pieces.get(offset, b"")):
            self.pieces[offset] = data

    @property
    def total(self) -> int | None:
        """Length from the file's TLV header, or where the chip said it ends; None before either is known."""
        start = self.pieces.get(0, b"")
        if len(start) < 2 or (len(start) < HEADER_MAX and self.end is None) or start[0] != self.file.tag:
            return self.end
        try:
            length = tlv.read_header(start).total
        except MalformedTlv:  # an indefinite length, for one: read to where the chip ends the file
            return self.end
        if length > FILE_MAX:
            raise MalformedFile(self.file.name, f"claims {length} bytes")
        return length if self.end is None else min(length, self.end)

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        """Ranges (start, end) still missing, up to the length or the guess."""
        end = self.total
        if end is None:
            end = self.guess if self.reached < self.guess else self.reached + MORE
        found, position = [], 0
        for offset in sorted(self.pieces):
            if position < min(offset, end):
                found.append((position, min(offset, end)))
            position = max(position, offset + len(self.pieces[offset]))
        if position < end:
            found.append((position, end))
        return tuple(found)

    @property
    def reached(self) -> int:
        """The offset after the furthest byte."""
        return max((offset + len(data) for offset, data in self.pieces.items()), default=0)

    @property
    def done(self) -> bool:
        return self.absent or (self.total is not None and not self.gaps)

    @property
    def gathered(self) -> int:
        return sum(map(len, self.pieces.values()))

    def content(self) -> bytes:
        """The file's bytes, of its own length; call when done."""
        buffer = bytearray(self.total or 0)
        for offset, data in sorted(self.pieces.items()):
            wanted = data[: max(0, len(buffer) - offset)]
            buffer[offset : offset + len(wanted)] = wanted
        return bytes(buffer)

    def forget(self) -> None:
        """As if nothing had been asked."""
        self.pieces.clear()
        self.absent, self.end, self.refusals = False, None, 0

    def resume(self, pieces: Mapping[int, bytes]) -> None:
        """Take over what an interrupted reading had."""
        for offset, data in pieces.items():
            self.add(offset, data)

"""BER brought to definite lengths, for States that write indefinite ones (New Zealand) where 9303 asks for DER.

What is already definite is left byte for byte, because signatures and hashes are made over it. Only what
has to change is written anew: an object of indefinite length, an OCTET STRING in pieces, and the lengths of
what holds them.
"""

from __future__ import annotations

from dataclasses import dataclass

from emrtd import tlv
from emrtd.errors import MalformedTlv

DEPTH_MAX = 32
OBJECTS_MAX = 1 << 20
OBJECT_IDENTIFIER_MAX = 64
"""Octets of an object identifier: the time to decode one grows with the square of its length."""
INDEFINITE = 0x80
OBJECT_IDENTIFIER = 0x06
OCTET_STRING, OCTET_STRING_IN_PIECES = 0x04, 0x24
CONSTRUCTED = 0x20
END_OF_CONTENTS = b"\0\0"


def to_definite(data: bytes) -> bytes:
    """The first object of `data` and what follows it, every length definite and every OCTET STRING in one piece.

    Returns `data` itself where nothing has to change. Raises MalformedTlv; depth, count and the size of object
    identifiers are bounded.
    """
    if _is_definite(data[: _end(data)]):  # what follows the object may be filling of any kind
        return data
    body, end = read_object(data, 0)
    return body + data[end:]


def _end(data: bytes) -> int:
    """The offset after the first object, as far as it can be told; else that after the data."""
    try:
        return tlv.read_header(data).total
    except MalformedTlv:
        return len(data)


def read_object(data: bytes, at: int) -> tuple[bytes, int]:
    """The object at `at`, of definite length outside, and the offset after it. Raises MalformedTlv."""
    if data[at + 1 : at + 2] == bytes((INDEFINITE,)) or data[at : at + 1] == bytes((OCTET_STRING_IN_PIECES,)):
        return _Reader(data).read(at, 0)
    item, end = tlv.read(data, at)
    definite = item.raw if _is_definite(item.raw) else _Reader(item.raw).read(0, 0)[0]
    return definite, end


def _is_definite(data: bytes) -> bool:
    """One pass without recursion: a constructed object is entered, a primitive one stepped over.

    Cut or senseless lengths are left to the parser that comes after, which names them.
    """
    at, size = 0, len(data)
    for _ in range(OBJECTS_MAX):
        if at + 1 >= size:
            return True
        tag = data[at]
        at = _after_tag(data, at)
        if at >= size:
            return True
        length = data[at]
        at += 1
        if length > 0x84:
            raise MalformedTlv(f"length field {length:02X}")
        if tag == OCTET_STRING_IN_PIECES or (length == INDEFINITE and tag & CONSTRUCTED):
            return False
        if length > INDEFINITE:
            count = length & 0x7F
            length = int.from_bytes(data[at : at + count], "big")
            at += count
        if tag == OBJECT_IDENTIFIER and length > OBJECT_IDENTIFIER_MAX:
            raise MalformedTlv(f"an object identifier of {length} bytes")
        if not tag & CONSTRUCTED:
            at += length
    raise MalformedTlv("too many objects")


def _after_tag(data: bytes, at: int) -> int:
    """The offset of the length; a tag of several bytes goes on while their highest bit is set."""
    if data[at] & 0x1F != 0x1F:
        return at + 1
    at += 1
    while at < len(data) and data[at] & 0x80:
        at += 1
    return at + 1


@dataclass
class _Reader:
    """One reading of `data`; ``count`` is the number of objects met so far."""

    data: bytes
    count: int = 0

    def read(self, at: int, depth: int) -> tuple[bytes, int]:
        """The object at `at` in definite form, and the offset after it."""
        self.count += 1
        if depth > DEPTH_MAX or self.count > OBJECTS_MAX:
            raise MalformedTlv("nested too deep, or too many objects")
        tag = self.data[at : at + 1]
        if self.data[at + 1 : at + 2] == bytes((INDEFINITE,)):
            content, end = self._until_end_of_contents(at + 2, depth)
            return _encode(tag[0], content), end
        header = tlv.read_header(self.data, at)
        start, end = at + header.size, at + header.total
        if end > len(self.data):
            raise MalformedTlv(f"an object is cut: {end - len(self.data)} bytes missing")
        if header.tag == OBJECT_IDENTIFIER and header.length > OBJECT_IDENTIFIER_MAX:
            raise MalformedTlv(f"an object identifier of {header.length} bytes")
        if not tag[0] & CONSTRUCTED or tag[0] & 0x1F == 0x1F:
            return self.data[at:end], end
        content = self._until(start, end, depth)
        unchanged = tag[0] != OCTET_STRING_IN_PIECES and b"".join(content) == self.data[start:end]
        return self.data[at:end] if unchanged else _encode(tag[0], content), end

    def _until(self, at: int, end: int, depth: int) -> list[bytes]:
        found = []
        while at < end:
            item, at = self.read(at, depth + 1)
            found.append(item)
        if at != end:
            raise MalformedTlv("an object is longer than the one that holds it")
        return found

    def _until_end_of_contents(self, at: int, depth: int) -> tuple[list[bytes], int]:
        if not self.data[at - 2] & CONSTRUCTED:
            raise MalformedTlv("a primitive object of indefinite length")
        found = []
        while self.data[at : at + 2] != END_OF_CONTENTS:
            item, at = self.read(at, depth + 1)
            found.append(item)
        return found, at + 2


def _encode(tag: int, content: list[bytes]) -> bytes:
    if tag != OCTET_STRING_IN_PIECES:
        return tlv.encode(tag, *content)
    pieces = [tlv.expect(piece, OCTET_STRING).value for piece in content]
    return tlv.encode(OCTET_STRING, *pieces)

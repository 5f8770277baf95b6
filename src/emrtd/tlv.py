"""BER-TLV data objects as chips write them: definite lengths, tags of one to three bytes.

Nothing here recurses: a caller opens one level at a time, so depth is bounded by the code that reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from emrtd.errors import MalformedTlv

OBJECTS_MAX = 1024


@dataclass(frozen=True)
class Header:
    """Tag, length of the value and number of bytes that both took."""

    tag: int
    length: int
    size: int

    @property
    def total(self) -> int:
        return self.size + self.length


@dataclass(frozen=True)
class Tlv:
    """One data object; ``raw`` are its bytes as they came, for hashes and signatures."""

    tag: int
    value: bytes = field(repr=False)
    raw: bytes = field(repr=False)


def read_header(data: bytes, offset: int = 0, *, tag_size: int | None = None) -> Header:
    """Read tag and length at `offset`; the value need not be there.

    `tag_size` is for writers that break the rule of tags that go on: so many bytes, whatever they say.
    Raises MalformedTlv.
    """
    tag, at = _read_tag(data, offset) if tag_size is None else _fixed_tag(data, offset, tag_size)
    if at >= len(data):
        raise MalformedTlv("no length after the tag")
    first = data[at]
    at += 1
    if first < 0x80:
        return Header(tag, first, at - offset)
    count = first & 0x7F
    if not 1 <= count <= 4:  # 80 opens an indefinite length, which 9303-10 does not use in data groups
        raise MalformedTlv(f"length field {first:02X}")
    if at + count > len(data):
        raise MalformedTlv("the length is cut")
    return Header(tag, int.from_bytes(data[at : at + count], "big"), at + count - offset)


def _read_tag(data: bytes, offset: int) -> tuple[int, int]:
    if offset >= len(data):
        raise MalformedTlv("no tag")
    tag, at = data[offset], offset + 1
    if tag & 0x1F != 0x1F:
        return tag, at
    for _ in range(2):
        if at >= len(data):
            raise MalformedTlv("the tag is cut")
        tag, at = tag << 8 | data[at], at + 1
        if tag & 0x80 == 0:
            return tag, at
    raise MalformedTlv("a tag over three bytes")


def _fixed_tag(data: bytes, offset: int, size: int) -> tuple[int, int]:
    if offset + size > len(data):
        raise MalformedTlv("the tag is cut")
    return int.from_bytes(data[offset : offset + size], "big"), offset + size


def read(data: bytes, offset: int = 0, *, tag_size: int | None = None) -> tuple[Tlv, int]:
    """Read the object at `offset`; returns it and the offset after it. Raises MalformedTlv."""
    header = read_header(data, offset, tag_size=tag_size)
    start, end = offset + header.size, offset + header.total
    if end > len(data):
        raise MalformedTlv(f"object {header.tag:X} is cut: {end - len(data)} bytes missing")
    return Tlv(header.tag, data[start:end], data[offset:end]), end


def parse(data: bytes) -> tuple[Tlv, ...]:
    """Read all objects of `data`, which they fill. Raises MalformedTlv."""
    objects: list[Tlv] = []
    offset = 0
    while offset < len(data):
        item, offset = read(data, offset)
        objects.append(item)
        if len(objects) > OBJECTS_MAX:
            raise MalformedTlv("too many objects")
    return tuple(objects)


def expect(data: bytes, tag: int, offset: int = 0) -> Tlv:
    """Read the object at `offset`, which must have `tag`; bytes after it are left. Raises MalformedTlv."""
    item, _ = read(data, offset)
    if item.tag != tag:
        raise MalformedTlv(f"object {item.tag:X} where {tag:X} belongs")
    return item


def find(objects: Iterable[Tlv], tag: int) -> Tlv | None:
    """The first object with `tag`."""
    return next((item for item in objects if item.tag == tag), None)


def descend(data: bytes, *path: int) -> Tlv:
    """The first object with each tag of `path`, inside the one before. Raises MalformedTlv where one is missing."""
    item = Tlv(0, data, data)
    for tag in path:
        found = find(parse(item.value), tag)
        if found is None:
            raise MalformedTlv(f"no object {tag:X}")
        item = found
    return item


def encode_length(length: int) -> bytes:
    if length < 0x80:
        return bytes((length,))
    body = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(body),)) + body


def encode(tag: int, *values: bytes) -> bytes:
    """One object whose value is the concatenation of `values`, in the shortest form."""
    value = b"".join(values)
    return tag.to_bytes((tag.bit_length() + 7) // 8 or 1, "big") + encode_length(len(value)) + value

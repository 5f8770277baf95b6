"""Images as chips hold them: JPEG (ISO/IEC 10918-1) or JPEG 2000 (ISO/IEC 15444-1), never decoded here.

What is read is the header alone, to know the size before anything decodes the image and to refuse an absurd one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from emrtd.errors import MalformedFile

Format = Literal["jpeg", "jp2", "j2k"]
MAGIC: dict[Format, bytes] = {
    "jpeg": b"\xff\xd8\xff",
    "jp2": bytes.fromhex("0000000C6A502020"),
    "j2k": bytes.fromhex("FF4FFF51"),
}
IMAGE_MAX = 1 << 20  # bytes; the largest portraits met have 50 kB
SIDE_MAX, PIXELS_MAX = 10_000, 1 << 23
SEGMENTS_MAX, BOXES_MAX = 512, 64

FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15 without DHT, JPG, DAC
STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RST, SOI: markers without a segment
SCAN, END = 0xDA, 0xD9


@dataclass(frozen=True)
class Picture:
    """One image, not decoded. ``width`` and ``height`` in pixels, None where its header cannot be read."""

    image: bytes = field(repr=False)
    format: Format
    width: int | None = None
    height: int | None = None


def format_of(image: bytes) -> Format | None:
    """What the first bytes say, which are believed before any type a record declares."""
    return next((name for name, magic in MAGIC.items() if image.startswith(magic)), None)


def read_picture(image: bytes, name: str) -> Picture:
    """The image of file `name` with the size its header gives.

    Raises MalformedFile for other formats, for over a mebibyte and for sizes no document has.
    """
    if len(image) > IMAGE_MAX:
        raise MalformedFile(name, f"an image of {len(image)} bytes")
    kind = format_of(image)
    if kind is None:
        raise MalformedFile(name, "an image neither JPEG nor JPEG 2000")
    size = {"jpeg": _jpeg_size, "jp2": _jp2_size, "j2k": _codestream_size}[kind](image)
    if size is None:
        return Picture(image, kind)
    width, height = size
    if not (0 < width <= SIDE_MAX and 0 < height <= SIDE_MAX and width * height <= PIXELS_MAX):
        raise MalformedFile(name, f"an image of {width} x {height} pixels")
    return Picture(image, kind, width, height)


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of the first frame header (ISO/IEC 10918-1 B.2.2)."""
    at = 2
    for _ in range(SEGMENTS_MAX):
        if at + 9 > len(data) or data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker in FRAMES:
            return _number(data, at + 7, 2), _number(data, at + 5, 2)
        if marker in (SCAN, END):
            return None
        if marker == 0xFF:  # a fill byte before the marker
            at += 1
        elif marker in STANDALONE:
            at += 2
        else:
            at += 2 + _number(data, at + 2, 2)
    return None


def _jp2_size(data: bytes) -> tuple[int, int] | None:
    """The larger of what the image header box and the codestream say (ISO/IEC 15444-1 I.5.3, A.5.1)."""
    boxes = _boxes(data)
    header = dict(_boxes(boxes.get(b"jp2h", b""))).get(b"ihdr", b"")
    sizes = [size for size in (_codestream_size(boxes.get(b"jp2c", b"")),) if size]
    if len(header) >= 8:
        sizes.append((_number(header, 4, 4), _number(header, 0, 4)))
    if not sizes:
        return None
    return max(width for width, _ in sizes), max(height for _, height in sizes)


def _boxes(data: bytes) -> dict[bytes, bytes]:
    """The content of each kind of box at this level, the first of its kind (ISO/IEC 15444-1 I.4)."""
    found: dict[bytes, bytes] = {}
    at = 0
    for _ in range(BOXES_MAX):
        if at + 8 > len(data):
            break
        length, kind, start = _number(data, at, 4), data[at + 4 : at + 8], at + 8
        if length == 1:
            length, start = _number(data, at + 8, 8), at + 16
        elif length == 0:  # to the end of the file
            length = len(data) - at
        found.setdefault(kind, data[start : at + length])
        if length < start - at:
            break
        at += length
    return found


def _codestream_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of the SIZ segment: reference grid less the offset of the image (ISO/IEC 15444-1 A.5.1)."""
    if not data.startswith(MAGIC["j2k"]) or len(data) < 24:
        return None
    return _number(data, 8, 4) - _number(data, 16, 4), _number(data, 12, 4) - _number(data, 20, 4)

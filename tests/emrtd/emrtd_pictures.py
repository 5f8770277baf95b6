"""Images for the tests of files: headers of any size, with nothing to decode behind them, and real ones."""

from __future__ import annotations

import io

from PIL import Image

from emrtd.rng import seeded

SCAN = seeded(b"scan")(997).replace(b"\xff", b"\xfe")


def jpeg(width: int = 413, height: int = 531, *, size: int = 300) -> bytes:
    """JFIF, one frame header, `size` bytes that stand for the scan."""
    frame = b"\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + bytes.fromhex("03011100021100031100")
    return (
        bytes.fromhex("FFD8FFE000104A46494600010100000100010000")
        + b"\xff\xc0"
        + (len(frame) + 2).to_bytes(2, "big")
        + frame
        + bytes.fromhex("FFDA000C03010002000300003F00")
        + (SCAN * (size // len(SCAN) + 1))[:size]
        + b"\xff\xd9"
    )


def codestream(width: int = 413, height: int = 531, *, offset: tuple[int, int] = (0, 0), size: int = 300) -> bytes:
    """A JPEG 2000 codestream without its file format; `offset` of the image on the reference grid."""
    across, down = offset
    grid = (width + across, height + down, across, down, width + across, height + down, 0, 0)
    siz = b"\0\0" + b"".join(value.to_bytes(4, "big") for value in grid) + bytes.fromhex("0003070101070101070101")
    return bytes.fromhex("FF4FFF51") + (len(siz) + 2).to_bytes(2, "big") + siz + seeded(b"tile")(size) + b"\xff\xd9"


def box(kind: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def jp2(width: int = 413, height: int = 531, *, stream: bytes | None = None) -> bytes:
    """The JPEG 2000 file format: signature, file type, image header, codestream."""
    header = height.to_bytes(4, "big") + width.to_bytes(4, "big") + bytes.fromhex("000307070000")
    return (
        box(b"jP  ", bytes.fromhex("0D0A870A"))
        + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
        + box(b"jp2h", box(b"ihdr", header))
        + box(b"jp2c", codestream(width, height) if stream is None else stream)
    )


def real(width: int, height: int, kind: str) -> bytes:
    """An image that Pillow wrote: "jpeg", "jp2" or "j2k"."""
    buffer = io.BytesIO()
    picture = Image.new("RGB", (width, height), (90, 120, 200))
    if kind == "jpeg":
        picture.save(buffer, "JPEG", progressive=True)
    else:
        picture.save(buffer, "JPEG2000", no_jp2=kind == "j2k")
    return buffer.getvalue()

"""Pictures from outside, bounded before they are decoded: bytes, format, pixels, then the content."""

import io
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

Picture = NDArray[np.uint8]  # rows × columns × 3, RGB


class Flaw(StrEnum):
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_SMALL = "too_small"
    FORMAT = "format"
    BROKEN = "broken"


class UnusableImageError(Exception):
    """A picture that is not decoded, or cannot be; `flaw` names why."""

    def __init__(self, flaw: Flaw, detail: str) -> None:
        super().__init__(f"{flaw}: {detail}")
        self.flaw = flaw


@dataclass(frozen=True)
class Bounds:
    formats: tuple[str, ...]
    bytes: int
    pixels: int
    side: int  # the shorter side is at least this


# 9303-10: the face on the chip is a JPEG or a JPEG 2000, some 15 kB; large ones exist
PORTRAIT = Bounds(("JPEG", "JPEG2000"), 400_000, 6_000_000, 60)
FRAME = Bounds(("JPEG",), 300_000, 2_100_000, 120)


def decode(data: bytes, bounds: Bounds) -> Picture:
    if len(data) > bounds.bytes:
        raise UnusableImageError(Flaw.TOO_MANY_BYTES, f"{len(data)} bytes, at most {bounds.bytes}")
    try:
        with Image.open(io.BytesIO(data), formats=bounds.formats) as image:
            _check(image, bounds)
            return _rgb(image)
    except UnidentifiedImageError:
        raise UnusableImageError(Flaw.FORMAT, f"not one of {', '.join(bounds.formats)}") from None
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, Image.DecompressionBombError) as error:
        raise UnusableImageError(Flaw.BROKEN, type(error).__name__) from None


def _check(image: ImageFile.ImageFile, bounds: Bounds) -> None:
    """On the header alone: nothing has been decoded yet."""
    width, height = image.size
    if width * height > bounds.pixels:
        raise UnusableImageError(Flaw.TOO_MANY_PIXELS, f"{width}×{height}, at most {bounds.pixels} pixels")
    if min(width, height) < bounds.side:
        raise UnusableImageError(Flaw.TOO_SMALL, f"{width}×{height}, at least {bounds.side} a side")


def _rgb(image: Image.Image) -> Picture:
    if image.mode.startswith("I"):  # sixteen bits a sample, of which eight are kept
        return np.repeat((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)[..., None], 3, axis=2)
    return np.asarray(image.convert("RGB"))

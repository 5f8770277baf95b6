"""Pictures from outside, bounded before they are decoded: bytes, format, pixels, then the content."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from PIL import Image, ImageFile, UnidentifiedImageError


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


@contextmanager
def opened(data: bytes, bounds: Bounds) -> Iterator[ImageFile.ImageFile]:
    """The picture, its header within bounds. What is wrong with its content is found, and named, as it is used."""
    if len(data) > bounds.bytes:
        raise UnusableImageError(Flaw.TOO_MANY_BYTES, f"{len(data)} bytes, at most {bounds.bytes}")
    try:
        with Image.open(io.BytesIO(data), formats=bounds.formats) as image:
            _check(image, bounds)
            yield image
    except UnidentifiedImageError:
        raise UnusableImageError(Flaw.FORMAT, f"not one of {', '.join(bounds.formats)}") from None
    except Image.DecompressionBombError:
        raise UnusableImageError(Flaw.TOO_MANY_PIXELS, f"at most {bounds.pixels} pixels") from None
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise UnusableImageError(Flaw.BROKEN, type(error).__name__) from None


def _check(image: ImageFile.ImageFile, bounds: Bounds) -> None:
    """On the header alone: nothing has been decoded yet."""
    width, height = image.size
    if width * height > bounds.pixels:
        raise UnusableImageError(Flaw.TOO_MANY_PIXELS, f"{width}×{height}, at most {bounds.pixels} pixels")
    if min(width, height) < bounds.side:
        raise UnusableImageError(Flaw.TOO_SMALL, f"{width}×{height}, at least {bounds.side} a side")

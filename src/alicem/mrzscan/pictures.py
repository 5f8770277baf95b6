"""A photograph of a document, from bytes to shades of grey: upright, on white where it is transparent, not too large."""

from __future__ import annotations

import struct
from contextlib import suppress

import numpy as np
from PIL import Image
from PIL.Image import Transpose

from alicem.mrzscan.light import Grey
from alicem.pictures import Bounds, opened

PHOTOGRAPH = Bounds(("JPEG", "PNG", "WEBP"), 16_000_000, 50_000_000, 40)
LARGEST = 2000  # pixels on the longer side that reading uses; a zone as wide has 45 from letter to letter
ORIENTATION = 0x0112  # of EXIF: how to turn the picture as it lies in the file
TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def grey(data: bytes, bounds: Bounds = PHOTOGRAPH) -> Grey:
    """Raises UnusableImageError. Of an animated picture the first frame is taken."""
    with opened(data, bounds) as image:
        image.draft("L", (LARGEST, LARGEST))  # a large JPEG is decoded at a half, a quarter or an eighth
        shades = _shades(image)
        shades.thumbnail((LARGEST, LARGEST), Image.Resampling.BOX)
        turn = TURNS.get(_orientation(image))
        return np.asarray(shades if turn is None else shades.transpose(turn), np.uint8)


def _shades(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # sixteen bits a sample, of which eight are kept
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        cover = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, cover).convert("L")
    return image.convert("RGB").convert("L") if image.mode != "L" else image.copy()


def _orientation(image: Image.Image) -> int:
    with suppress(struct.error, SyntaxError, ValueError, KeyError, TypeError, IndexError, OSError):
        value = image.getexif().get(ORIENTATION)
        return value if isinstance(value, int) else 1
    return 1  # a picture whose notes cannot be read is read as it lies

"""Pictures of faces, decoded: what the chip bears, what the camera takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alicem.pictures import Bounds, Flaw, UnusableImageError, opened

__all__ = ["FRAME", "PORTRAIT", "Bounds", "Flaw", "Picture", "UnusableImageError", "decode"]

Picture = NDArray[np.uint8]  # rows × columns × 3, RGB

# 9303-10: the face on the chip is a JPEG or a JPEG 2000, some 15 kB; large ones exist
PORTRAIT = Bounds(("JPEG", "JPEG2000"), 400_000, 6_000_000, 60)
FRAME = Bounds(("JPEG",), 300_000, 2_100_000, 120)


def decode(data: bytes, bounds: Bounds) -> Picture:
    """Raises UnusableImageError."""
    with opened(data, bounds) as image:
        return _rgb(image)


def _rgb(image: Image.Image) -> Picture:
    if image.mode.startswith("I"):  # sixteen bits a sample, of which eight are kept
        return np.repeat((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)[..., None], 3, axis=2)
    return np.asarray(image.convert("RGB"))

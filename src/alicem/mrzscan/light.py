"""Shadow, glare and weak print taken out before a network looks: what remains is how a pixel differs from those around."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]  # rows × columns
Even = NDArray[np.float32]

GRAIN = 6.0  # grey levels: where a picture varies by less, noise is not raised to print
MOST = 4.0


def even(picture: Grey, reach: int) -> Even:
    """Each pixel less the mean of the `reach` × `reach` around it, in standard deviations of that neighbourhood."""
    levels = picture.astype(np.float32)
    mean = cv2.blur(levels, (reach, reach), borderType=cv2.BORDER_REPLICATE)
    square = cv2.blur(levels * levels, (reach, reach), borderType=cv2.BORDER_REPLICATE)
    spread = np.sqrt(np.maximum(square - mean * mean, 0)) + GRAIN
    return np.clip((levels - mean) / spread, -MOST, MOST).astype(np.float32)

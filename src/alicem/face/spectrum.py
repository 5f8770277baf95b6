"""The pattern of a screen: pixels of a display, seen by the pixels of a camera, leave lines and waves that no face has.

In the spectrum of the face these are peaks high above what lies around them (natural logarithm of the amplitude): of
its brightness where the camera nearly resolves the display, of its colours where red, green and blue beat against the
colour filters of the camera. They are not there at every distance: where a camera does not resolve the display, this
rule sees nothing. Measured in docs/measurements.md.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.fft import fft2, fftshift  # by name: numpy loads it late, and the session process opens no file by then
from numpy.typing import NDArray

from alicem.face.detect import Mesh
from alicem.face.images import Picture

SHARE, LARGEST, SMALLEST = 0.8, 400, 96  # of the face's square; pixels of the camera, which are never resampled
AROUND = 15  # bins that a peak is held against


@dataclass(frozen=True)
class Band:
    """Where a plane of the picture may speak: `low` to `high` in cycles a pixel, under it lie the features of faces;
    beside the grid of blocks of so many pixels that JPEG writes, whose frequencies say nothing. `smooth`: the blur, in
    pixels, that is taken away first."""

    low: float
    high: float
    block: int
    smooth: float


LUMA, CHROMA = Band(0.08, 0.48, 8, 3.0), Band(0.05, 0.24, 16, 6.0)  # JPEG halves the size of the colour planes
PLANES = (LUMA, CHROMA, CHROMA)  # Y, Cr, Cb


def screen(picture: Picture, mesh: Mesh) -> float | None:
    """How far the highest peak of the face's spectrum stands above its surroundings; None for a face too small."""
    cut = _face(picture, mesh)
    if cut is None:
        return None
    planes = cv2.split(cv2.cvtColor(cut, cv2.COLOR_RGB2YCrCb))
    return max(_peak(plane.astype(np.float32), band) for plane, band in zip(planes, PLANES, strict=True))


def _face(picture: Picture, mesh: Mesh) -> Picture | None:
    square = mesh.square
    half = int(min(square.side * SHARE, LARGEST)) // 2
    x, y = int(square.x), int(square.y)
    cut = picture[max(0, y - half) : y + half, max(0, x - half) : x + half]
    side = min(cut.shape[:2]) // CHROMA.block * CHROMA.block
    return cut[:side, :side] if side >= SMALLEST else None


def _peak(plane: NDArray[np.float32], band: Band) -> float:
    fine = plane - cv2.GaussianBlur(plane, (0, 0), band.smooth)
    window = np.hanning(len(fine)).astype(np.float32)
    amplitude = np.abs(fftshift(fft2(fine * window[:, None] * window[None])))
    level = np.log(amplitude + 1e-3).astype(np.float32)
    around = cv2.blur(cv2.medianBlur(level, 5), (AROUND, AROUND))
    above = cv2.blur(level - around, (3, 3))
    return float(above[_telling(len(fine), band)].max())


def _telling(side: int, band: Band) -> NDArray[np.bool_]:
    """The bins that may speak."""
    place = np.arange(-side // 2, side // 2)
    across, down = np.meshgrid(place, place)
    radius = np.hypot(across, down) / side
    on_grid_x, on_grid_y = (_near_multiple(axis, side // band.block) for axis in (across, down))
    grid = (on_grid_x & on_grid_y) | ((np.abs(across) <= 2) & on_grid_y) | ((np.abs(down) <= 2) & on_grid_x)
    return (radius > band.low) & (radius < band.high) & ~grid


def _near_multiple(axis: NDArray[np.int64], step: int) -> NDArray[np.bool_]:
    """Within two bins of a multiple of one cycle a block."""
    rest = np.abs(axis) % step
    return np.asarray(np.minimum(rest, step - rest) <= 2, np.bool_)

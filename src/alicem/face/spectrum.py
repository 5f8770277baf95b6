"""The pattern of a screen: pixels of a display, seen by the pixels of a camera, leave lines and waves that no face has.

In the spectrum of the face these are peaks high above what lies around them (natural logarithm of the amplitude): of
its brightness where the camera nearly resolves the display, of its colours where red, green and blue beat against the
colour filters of the camera. They are not there at every distance: where a camera does not resolve the display, this
rule sees nothing. Measured in docs/measurements.md.
"""

import cv2
import numpy as np
from numpy.fft import fft2, fftshift  # by name: numpy loads it late, and the session process opens no file by then
from numpy.typing import NDArray

from alicem.face.detect import Mesh
from alicem.face.images import Picture

SHARE, LARGEST, SMALLEST = 0.8, 400, 96  # of the face's square; pixels of the camera, which are never resampled
BLOCK = 8  # pixels: JPEG writes a grid of its own, whose frequencies say nothing; in colour planes of half the size too
SMOOTH = 3.0  # pixels: the blur that is taken away first
AROUND = 15  # bins that a peak is held against
LUMA, CHROMA = 0.08, 0.10  # cycles a pixel of the plane: under it lie the features of faces
HIGHEST = 0.48


def screen(picture: Picture, mesh: Mesh) -> float | None:
    """How far the highest peak of the face's spectrum stands above its surroundings; None for a face too small."""
    cut = _face(picture, mesh)
    if cut is None:
        return None
    # whole numbers throughout: their rounding is the noise that a smooth colour plane lacks
    planes = np.asarray(cv2.cvtColor(cut, cv2.COLOR_RGB2YCrCb), np.uint8)
    colours = np.asarray(cv2.resize(planes, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    return max(_peak(planes[..., 0], LUMA), _peak(colours[..., 1], CHROMA), _peak(colours[..., 2], CHROMA))


def _face(picture: Picture, mesh: Mesh) -> Picture | None:
    square = mesh.square
    half = int(min(square.side * SHARE, LARGEST)) // 2
    x, y = int(square.x), int(square.y)
    cut = picture[max(0, y - half) : y + half, max(0, x - half) : x + half]
    side = min(cut.shape[:2]) // (2 * BLOCK) * (2 * BLOCK)
    return cut[:side, :side] if side >= SMALLEST else None


def _peak(plane: Picture, low: float) -> float:
    whole = plane.astype(np.float32)
    fine = whole - cv2.GaussianBlur(whole, (0, 0), SMOOTH)
    window = np.hanning(len(fine)).astype(np.float32)
    amplitude = np.abs(fftshift(fft2(fine * window[:, None] * window[None])))
    level = np.log(amplitude + 1e-3).astype(np.float32)
    around = cv2.blur(cv2.medianBlur(level, 5), (AROUND, AROUND))
    above = cv2.blur(level - around, (3, 3))
    return float(above[_telling(len(fine), low)].max())


def _telling(side: int, low: float) -> NDArray[np.bool_]:
    """The bins that may speak: in the band, and beside the grid of JPEG's blocks."""
    place = np.arange(-side // 2, side // 2)
    across, down = np.meshgrid(place, place)
    radius = np.hypot(across, down) / side
    on_grid_x, on_grid_y = (_near_multiple(axis, side // BLOCK) for axis in (across, down))
    grid = (on_grid_x & on_grid_y) | ((np.abs(across) <= 2) & on_grid_y) | ((np.abs(down) <= 2) & on_grid_x)
    return (radius > low) & (radius < HIGHEST) & ~grid


def _near_multiple(axis: NDArray[np.int64], step: int) -> NDArray[np.bool_]:
    """Within two bins of a multiple of one cycle a block."""
    rest = np.abs(axis) % step
    return np.asarray(np.minimum(rest, step - rest) <= 2, np.bool_)

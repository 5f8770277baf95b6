"""The lids between two pictures: small cuts of the eyes, many a second, measured where the last picture showed the face."""

from dataclasses import dataclass

import numpy as np

from alicem.face.detect import LEFT_EYE, RIGHT_EYE
from alicem.face.images import Bounds, Picture, UnusableImageError, decode
from alicem.face.look import Look
from alicem.face.measure import opening
from alicem.face.models import Models

EYES = Bounds(("JPEG",), 60_000, 250_000, 16)
WIDE, HIGH = 2.2, 1.0  # of the distance of the eyes: room for a head that sways


@dataclass(frozen=True)
class EyeRegion:
    """Of the picture, in its pixels."""

    x: int
    y: int
    width: int
    height: int


def region(look: Look) -> EyeRegion:
    """Around both eyes, within the picture."""
    x, y = look.mesh.points[[*LEFT_EYE, *RIGHT_EYE], :2].mean(0)
    half_width, half_height = WIDE * look.mesh.eye_distance / 2, HIGH * look.mesh.eye_distance / 2
    height, width = look.picture.shape[:2]
    left, top = max(0, int(x - half_width)), max(0, int(y - half_height))
    right, bottom = min(width, int(x + half_width)), min(height, int(y + half_height))
    return EyeRegion(left, top, max(1, right - left), max(1, bottom - top))


def opening_of(models: Models, jpeg: bytes, where: EyeRegion, look: Look) -> float | None:
    """As `measure.opening`, in the last picture with this cut in its place. None for a cut that cannot be read or is of another size."""
    try:
        cut = decode(jpeg, EYES)
    except UnusableImageError:
        return None
    if cut.shape[:2] != (where.height, where.width):
        return None
    return opening(models, _with(look.picture, cut, where), look.mesh, look.measure.yaw)


def _with(picture: Picture, cut: Picture, where: EyeRegion) -> Picture:
    changed = np.array(picture)
    changed[where.y : where.y + where.height, where.x : where.x + where.width] = cut
    return changed

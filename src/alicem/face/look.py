"""One frame of the clip: decoded, its face found or followed, measured; or the hint that says why not."""

from dataclasses import dataclass

from alicem.face.detect import Box, Mesh, boxes, mesh, precise_mesh
from alicem.face.hints import Hint, about_picture
from alicem.face.images import FRAME, Picture, UnusableImageError, decode
from alicem.face.measure import Measure, measure
from alicem.face.models import Models

PRESENT = 0.7  # under this belief the mesh lost the face
BYSTANDER = 0.4  # a face smaller than this share of the nearest one is somebody in the background


@dataclass(frozen=True)
class Look:
    at: float  # the phone's milliseconds
    picture: Picture
    mesh: Mesh
    measure: Measure
    hint: Hint | None  # a fault of the picture, measured all the same


class Eye:
    """Follows one face from frame to frame: the detector runs on every other frame, the mesh on all."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._face: Mesh | None = None
        self._turn = 0

    def look(self, jpeg: bytes, at: float) -> Look | Hint:
        try:
            picture = decode(jpeg, FRAME)
        except UnusableImageError:
            return Hint.UNREADABLE
        self._turn += 1
        if self._face is None or self._turn % 2:
            found = boxes(self._models, picture)
            if not found:
                self._face = None
                return Hint.NO_FACE
            if several(found):
                return Hint.SEVERAL_FACES
            near = max(found, key=lambda box: box.width)
            if self._face is None or lost(self._face, near):
                self._face = precise_mesh(self._models, picture, near)
        self._face = mesh(self._models, picture, self._face)
        if self._face.presence < PRESENT:
            self._face = None
            return Hint.NO_FACE
        measured = measure(self._models, picture, self._face)
        return Look(at, picture, self._face, measured, about_picture(measured))


def several(found: list[Box]) -> bool:
    widest = max(box.width for box in found)
    return sum(box.width > BYSTANDER * widest for box in found) > 1


def lost(face: Mesh, box: Box) -> bool:
    """The detected face is not where the mesh believes it to be."""
    x, y = face.points[:, :2].mean(0)
    return bool(abs(x - box.x) > box.width / 2 or abs(y - box.y) > box.height / 2)

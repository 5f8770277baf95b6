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


class Follower:
    """Follows one face from frame to frame: the detector runs on every other frame, the mesh on all."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._face: Mesh | None = None
        self._looks = 0
        self._crowded = False

    def look(self, jpeg: bytes, at: float) -> Look | Hint:
        try:
            picture = decode(jpeg, FRAME)
        except UnusableImageError:
            return Hint.UNREADABLE
        around = self._find(picture)
        if isinstance(around, Hint):
            return around
        face = mesh(self._models, picture, around)
        self._face = face if face.presence >= PRESENT else None
        if self._face is None:
            return Hint.NO_FACE
        measured = measure(self._models, picture, face)
        return Look(at, picture, face, measured, about_picture(measured))

    def _find(self, picture: Picture) -> Mesh | Hint:
        """Where the face was a moment ago, or where the detector says that it is now."""
        self._looks += 1
        if self._face is not None and not self._crowded and self._looks % 2 == 0:
            return self._face
        found = boxes(self._models, picture)
        self._crowded = several(found)
        if not found:
            self._face = None
            return Hint.NO_FACE
        if self._crowded:
            return Hint.SEVERAL_FACES
        nearest = max(found, key=lambda box: box.width)
        if self._face is None or lost(self._face, nearest):
            return precise_mesh(self._models, picture, nearest)
        return self._face


def several(found: list[Box]) -> bool:
    widest = max((box.width for box in found), default=0.0)
    return sum(box.width > BYSTANDER * widest for box in found) > 1


def lost(face: Mesh, box: Box) -> bool:
    """The detected face is not where the mesh believes it to be."""
    x, y = face.points[:, :2].mean(0)
    return bool(abs(x - box.x) > box.width / 2 or abs(y - box.y) > box.height / 2)

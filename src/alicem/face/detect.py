"""Faces in a picture: BlazeFace boxes, then the 468 points of the mesh, then the iris where lids matter."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alicem.face.geometry import Points, Square, back, crop, tilt
from alicem.face.images import Picture
from alicem.face.models import Models

DETECTOR = 256
MESH = 192
IRIS = 64
SURE = 0.6  # a box under this score is no face
OVERLAP = 0.3  # two boxes that share more are the same face

# Mesh points that the room needs, by their place on the face as the picture shows it (left is the viewer's)
LEFT_EYE = (33, 133)  # outer and inner corner
RIGHT_EYE = (263, 362)
SIDES = (234, 454)
NOSE = 1
MOUTH = (61, 291)


@dataclass(frozen=True)
class Box:
    """A detected face: centre and size in pixels, score, the two eyes (viewer's left first)."""

    x: float
    y: float
    width: float
    height: float
    score: float
    eyes: Points


@dataclass(frozen=True)
class Mesh:
    points: Points  # 468 × 3, pixels of the picture; depth grows away from the camera
    presence: float  # the network's own belief that this is a face

    @property
    def eye_distance(self) -> float:
        """Between the two middles of the eyes."""
        return float(np.linalg.norm(self._middle(LEFT_EYE) - self._middle(RIGHT_EYE)))

    @property
    def square(self) -> Square:
        """The upright square around the points."""
        angle = tilt(self._middle(LEFT_EYE), self._middle(RIGHT_EYE))
        cos, sin = np.cos(angle), np.sin(angle)
        turned = self.points[:, :2] @ np.array([[cos, -sin], [sin, cos]])
        low, high = turned.min(0), turned.max(0)
        x, y = np.array([[cos, -sin], [sin, cos]]) @ ((low + high) / 2)
        return Square(float(x), float(y), float((high - low).max()), angle)

    def _middle(self, corners: tuple[int, int]) -> Points:
        middle: Points = self.points[list(corners), :2].mean(0)
        return middle


def boxes(models: Models, picture: Picture) -> list[Box]:
    """Every face, the surest first."""
    height, width = picture.shape[:2]
    matrix = Square(width / 2, height / 2, max(width, height)).matrix(DETECTOR)
    found = models.run("detector", (crop(picture, matrix, DETECTOR)[None] / 127.5 - 1).astype(np.float32))
    logits = np.concatenate([found["score_16"], found["score_32"]], axis=1)[0, :, 0]
    scores = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    values = np.concatenate([found["box_16"], found["box_32"]], axis=1)[0]
    sure = np.flatnonzero(scores > SURE)
    candidates = [_box(values[i], ANCHORS[i], float(scores[i]), matrix) for i in sure]
    return _distinct(sorted(candidates, key=lambda box: -box.score))


def _anchors() -> NDArray[np.float32]:
    """Centres of the cells: a 16×16 grid with two anchors a cell, then an 8×8 grid with six."""
    rows = []
    for cells, each in ((16, 2), (8, 6)):
        centre = (np.arange(cells) + 0.5) * DETECTOR / cells
        x, y = np.meshgrid(centre, centre)
        rows.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), each, axis=0))
    return np.concatenate(rows).astype(np.float32)


ANCHORS = _anchors()


def _box(values: NDArray[np.float32], anchor: NDArray[np.float32], score: float, matrix: NDArray[np.float64]) -> Box:
    points = values.reshape(-1, 2).copy()
    size = points[1] / matrix[0, 0]
    points += anchor
    placed = back(points[[0, 2, 3]], matrix)  # centre, right eye of the person (left in the picture), left eye
    (x, y), eyes = placed[0], placed[1:]
    return Box(float(x), float(y), float(size[0]), float(size[1]), score, eyes)


def _distinct(candidates: list[Box]) -> list[Box]:
    kept: list[Box] = []
    for box in candidates:
        if all(_overlap(box, other) < OVERLAP for other in kept):
            kept.append(box)
    return kept


def _overlap(a: Box, b: Box) -> float:
    width = min(a.x + a.width / 2, b.x + b.width / 2) - max(a.x - a.width / 2, b.x - b.width / 2)
    height = min(a.y + a.height / 2, b.y + b.height / 2) - max(a.y - a.height / 2, b.y - b.height / 2)
    shared = max(width, 0) * max(height, 0)
    return shared / (a.width * a.height + b.width * b.height - shared)


def mesh(models: Models, picture: Picture, around: Box | Mesh) -> Mesh:
    """The 468 points, searched around a detected box or around where they were a moment ago."""
    if isinstance(around, Box):
        side = 1.5 * max(around.width, around.height)
        square = Square(around.x, around.y, side, tilt(around.eyes[0], around.eyes[1]))
    else:
        square = Square(around.square.x, around.square.y, 1.5 * around.square.side, around.square.angle)
    matrix = square.matrix(MESH)
    found = models.run("mesh", crop(picture, matrix, MESH)[None].astype(np.float32) / 255)
    return Mesh(back(found["mesh"].reshape(468, 3), matrix), float(found["presence"].item()))


def precise_mesh(models: Models, picture: Picture, box: Box) -> Mesh:
    """Twice: the second look is centred on what the first one found."""
    return mesh(models, picture, mesh(models, picture, box))


def eye(models: Models, picture: Picture, face: Mesh, corners: tuple[int, int]) -> Points:
    """The 71 contour points of an eye and the 5 of its iris (76 × 2), in pixels of the picture.

    The network knows eyes as the picture's left shows them; the other one is mirrored to it.
    """
    outer, inner = face.points[list(corners), :2]
    mirrored = corners == RIGHT_EYE
    middle, side = (outer + inner) / 2, 2.3 * float(np.linalg.norm(outer - inner))
    left, right = (inner, outer) if mirrored else (outer, inner)
    matrix = Square(float(middle[0]), float(middle[1]), side, tilt(left, right)).matrix(IRIS)
    if mirrored:
        matrix = np.array([[-1.0, 0.0, IRIS], [0.0, 1.0, 0.0]]) @ np.vstack([matrix, [0, 0, 1]])
    found = models.run("iris", crop(picture, matrix, IRIS)[None].astype(np.float32) / 255)
    return back(found["points"].reshape(76, 3)[:, :2], matrix)

"""The victim's photograph on somebody's face: paper bent round the head, with holes through which the wearer acts."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import cv2
import numpy as np

from alicem.demo import portraits
from alicem.demo.actor import Actor
from alicem.face import Action
from alicem.face.detect import Mesh, boxes, precise_mesh
from alicem.face.measure import angles
from alicem.face.models import Models
from bench.attacks.prints import photograph
from bench.attacks.scene import (
    FOCAL,
    HEIGHT,
    WIDTH,
    Held,
    Instrument,
    Light,
    Picture,
    laid,
    opened,
    printed,
    seen_at,
    taken,
)

LEFT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
RIGHT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
EYES, EYES_AND_MOUTH = (LEFT_EYE, RIGHT_EYE), (LEFT_EYE, RIGHT_EYE, LIPS)
DISTANCE = 42.0  # centimetres
FURTHER = 2.3  # a sheet looks aside less than the head under it: the wearer makes up for that


class Mask(Instrument):
    """Cut out along the face's outline; it moves as a sheet with the wearer's head, whatever the wearer's face does."""

    def __init__(
        self, victim: str, rng: Random, networks: Models, holes: Sequence[Sequence[int]], *, bent: bool
    ) -> None:
        self._networks = networks
        others = [name for name in portraits.faces() if name != victim]
        self._wearer = Actor(portraits.faces()[rng.choice(others)], rng.getrandbits(32))
        self._screen = Light()
        self._bend = rng.uniform(7.5, 11) if bent else 0.0
        self._noise = np.random.default_rng(rng.getrandbits(32))
        photo = photograph(victim, rng)
        points = self._face(photo)
        self._paper, self._solid = _cut_out(photo, points, holes, rng.uniform(1.1, 1.35))
        self._eyes = points.eye_distance
        self._width, self._ahead = 0.0, (0.0, 0.0)

    def _face(self, picture: Picture) -> Mesh:
        return precise_mesh(self._networks, picture, boxes(self._networks, picture)[0])

    def perform(self, action: Action | None, at: float) -> None:
        self._wearer.perform(action, at)

    def light(self, colour: str | None, at: float) -> None:
        self._screen.show(colour, at)

    def frame(self, at: float) -> bytes:
        wearer = opened(self._wearer.frame(at))
        face = self._face(wearer)
        if not self._width:  # put on: as large as the face that it is to hide, straight before it
            self._width = WIDTH * face.eye_distance / self._eyes * DISTANCE / FOCAL
            self._ahead = angles(face.points)[:2]
        where = seen_at(self._worn(face))
        paper = laid(self._paper, where, self._width, (0, 0, 0))
        solid = laid(self._solid, where, self._width, (0,)).astype(np.float32)[..., None] / 255
        seen = np.asarray(paper * solid + wearer * (1 - solid), np.float32)
        return taken(self._screen.on(seen, at), self._noise, grain=1.0)

    def _worn(self, face: Mesh) -> Held:
        """The sheet where the head is: its place and its three angles."""
        yaw, pitch, roll = angles(face.points)
        x, y = (face.points[:, :2].mean(0) - [WIDTH / 2, HEIGHT / 2]) * DISTANCE / FOCAL
        turned = FURTHER * (yaw - self._ahead[0])
        return Held(turned, pitch - self._ahead[1], roll, float(x), float(y), DISTANCE, self._bend)


def _cut_out(photo: Picture, face: Mesh, holes: Sequence[Sequence[int]], wide: float) -> tuple[Picture, Picture]:
    """The paper and where it is solid, both with the middle of the face in the middle."""
    points = np.ascontiguousarray(face.points[:, :2])
    move = np.array([[1, 0, WIDTH / 2], [0, 1, HEIGHT / 2]], np.float64)
    move[:, 2] -= points.mean(0)
    solid = cv2.fillConvexPoly(np.zeros((HEIGHT, WIDTH), np.uint8), _ring(cv2.convexHull(points).reshape(-1, 2)), 255)
    for hole in holes:
        cv2.fillPoly(solid, [_ring(_grown(points[list(hole)], wide))], 0)
    paper = cv2.warpAffine(printed(photo), move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(paper, np.uint8), np.asarray(cv2.warpAffine(solid, move, (WIDTH, HEIGHT)), np.uint8)


def _ring(points: np.ndarray) -> np.ndarray:
    return np.round(points).astype(np.int32)


def _grown(points: np.ndarray, factor: float) -> np.ndarray:
    middle = points.mean(0)
    return np.asarray((points - middle) * factor + middle)

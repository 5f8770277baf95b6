"""Shapes: the mesh of a source brought upright, frontal and at rest, and bent by traits.

Units are heights of the face, from its middle; x to the right of the picture, y down, z away from the camera.
"""

import math
from collections.abc import Mapping
from functools import cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alicem.demo.portraits.face import TRAITS
from alicem.demo.portraits.sources import AT_REST, OUTLINES, SMILING, read
from alicem.demo.portraits.warp import Floats
from alicem.face import models
from alicem.face.detect import boxes, precise_mesh
from alicem.face.geometry import Square, crop
from alicem.face.images import Picture
from alicem.face.measure import angles

# mesh points: where the lips meet, the lids of either eye, and what a feature is made of
UPPER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)

LOWER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)

LIDS = (
    ((246, 161, 160, 159, 158, 157, 173), (7, 163, 144, 145, 153, 154, 155)),
    ((466, 388, 387, 386, 385, 384, 398), (249, 390, 373, 374, 380, 381, 382)),
)

BROWS = ((70, 63, 105, 66, 107, 55, 65, 52, 53, 46), (300, 293, 334, 296, 336, 285, 295, 282, 283, 276))

EYES = ((33, 133, 159, 145), (263, 362, 386, 374))

NOSE = (168, 98, 327, 2, 48, 278, 6)

MOUTH = (61, 291, 0, 17, 37, 267)

FAR = 1.05  # a circle of fixed points around the head, in heights of the face


def picture_of(name: str) -> Picture:
    """A source portrait. Raises `ModelsMissingError`, `WrongFileError`."""
    with Image.open(BytesIO(read(name))) as image:
        return np.asarray(image.convert("RGB"))


@cache
def upright(name: str) -> tuple[Picture, Floats, Floats]:
    """The source turned upright around its face; its mesh in pixels; the same frontal, of height 1."""
    picture, size = picture_of(name), 700
    networks = models.load()
    square = precise_mesh(networks, picture, boxes(networks, picture)[0]).square
    around = Square(square.x, square.y - 0.02 * square.side, 2.5 * square.side, square.angle)
    picture = crop(picture, around.matrix(size), size)
    points = precise_mesh(networks, picture, boxes(networks, picture)[0]).points.astype(np.float64)
    frontal = _frontal(points - points.mean(0))
    return picture, points, frontal / (frontal[:, 1].max() - frontal[:, 1].min())


def _frontal(points: Floats) -> Floats:
    for _ in range(3):
        yaw, _, roll = angles(points.astype(np.float32))
        points = points @ turned(0, 0, -roll).T
        yaw, _, _ = angles(points.astype(np.float32))
        points = points @ turned(yaw, 0, 0).T
        _, pitch, _ = angles(points.astype(np.float32))
        points = points @ turned(0, pitch, 0).T
    return points


def turned(yaw: float, pitch: float, roll: float) -> Floats:
    """Turning by degrees: around the vertical, the horizontal, and the line of sight."""
    y, p, r = (math.radians(angle) for angle in (yaw, pitch, roll))
    vertical = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    level = np.array([[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]])
    sight = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    return np.asarray(sight @ level @ vertical, np.float64)


@cache
def middle() -> Floats:
    return (upright("b")[2] + upright(AT_REST)[2]) / 2


@cache
def mirror() -> NDArray[np.intp]:
    """For each point, the one on the other side of the face."""
    points = middle()
    distance = ((points[:, None] * [-1, 1, 1] - points[None]) ** 2).sum(2)
    return np.asarray(distance.argmin(1))


@cache
def _expressive(name: str) -> Floats:
    points = upright(name)[2]
    return np.asarray((points + points[mirror()] * [-1, 1, 1]) / 2)


@cache
def smile() -> Floats:
    """What a smile with closed lips moves."""
    return closed(_expressive(SMILING)) - closed(_expressive(AT_REST))


@cache
def neutral(name: str) -> Floats:
    """At rest: a smile in the source is taken back until the mouth is as wide as a mouth at rest."""
    points = _expressive(name)
    excess = _mouth_width(points) - 0.64
    if excess > 0.04:
        span = _mouth_width(_expressive(SMILING)) - _mouth_width(_expressive(AT_REST))
        points = points - excess / span * (_expressive(SMILING) - _expressive(AT_REST))
    return closed(points)


def _mouth_width(points: Floats) -> float:
    return float((points[291, 0] - points[61, 0]) / (points[263, 0] - points[33, 0]))


def closed(points: Floats) -> Floats:
    """The lips meet half way; their surroundings follow."""
    upper, lower = points[list(UPPER_LIP)], points[list(LOWER_LIP)]
    meeting = (upper + lower) / 2
    line = np.interp(points[:, 0], meeting[:, 0], meeting[:, 1])
    above = points[:, 1] < line
    above[list(UPPER_LIP)] = True
    above[list(LOWER_LIP[1:-1])] = False
    return points + np.where(above[:, None], _pull(points, upper, meeting), _pull(points, lower, meeting))


def parted(points: Floats) -> Floats:
    """Lips a little apart, so that their points differ."""
    apart = points.copy()
    apart[list(UPPER_LIP[1:-1]), 1] -= 0.008
    apart[list(LOWER_LIP[1:-1]), 1] += 0.008
    return apart


def _pull(points: Floats, origin: Floats, target: Floats) -> Floats:
    distance = ((points[:, None, :2] - origin[None, :, :2]) ** 2).sum(2)
    weights = np.exp(-distance / (2 * 0.03**2)) + 1e-12
    nearest = np.sqrt(distance.min(1))
    moved = (weights[:, :, None] * (target - origin)).sum(1) / weights.sum(1, keepdims=True)
    return np.asarray(moved * np.exp(-((nearest / 0.12) ** 2))[:, None], np.float64)


def bent(points: Floats, traits: Mapping[str, float]) -> Floats:
    """The traits, as smooth displacements of the plane: face and outline follow the same ones."""
    x, y = points[:, 0], points[:, 1]
    usual = middle()
    eye_x = float(np.abs(usual[[33, 133], 0]).mean())
    eye_y, brow_y = float(usual[[33, 133, 263, 362], 1].mean()), float(usual[[105, 334], 1].mean())
    mouth_y, nose_y, chin_y = float(usual[[61, 291], 1].mean()), float(usual[2, 1]), float(usual[152, 1])
    trait = {name: traits.get(name, 0.0) for name in TRAITS}

    def near(cx: float, cy: float, rx: float, ry: float) -> Floats:
        return np.asarray(np.exp(-(((x - cx) / rx) ** 2) - ((y - cy) / ry) ** 2))

    dx = x * (trait["width"] + trait["jaw"] * step(0.0, 0.4, y) + trait["forehead"] * step(0.0, -0.4, y))
    dy = trait["chin"] * step(mouth_y, chin_y, y) + trait["length"] * y
    for side in (-1, 1):
        eye = near(side * eye_x, eye_y, 0.13, 0.09)
        dx = dx + side * trait["eyes_apart"] * near(side * eye_x, eye_y, 0.16, 0.14)
        dx = dx + side * trait["cheeks"] * near(side * 0.3, 0.12, 0.15, 0.2)
        dx = dx + trait["eye_size"] * (x - side * eye_x) * eye
        dy = dy + (1.2 * trait["eye_size"] * (y - eye_y) - side * trait["eye_tilt"] * (x - side * eye_x)) * eye
        dy = dy + trait["brow"] * near(side * eye_x, brow_y, 0.2, 0.07)
        dy = dy - trait["brow_tilt"] * (np.abs(x) - eye_x) * near(side * eye_x, brow_y, 0.2, 0.08)
        dy = dy + trait["eyes"] * near(side * eye_x, eye_y, 0.22, 0.16)
    dx = dx + trait["nose_width"] * x * near(0, nose_y - 0.03, 0.14, 0.1)
    dy = dy + trait["nose_length"] * near(0, nose_y, 0.16, 0.1)
    dx = dx + trait["mouth_width"] * x * near(0, mouth_y, 0.2, 0.1)
    dy = dy + trait["mouth"] * near(0, mouth_y, 0.25, 0.12)
    dy = dy + trait["lips"] * (y - mouth_y) * near(0, mouth_y, 0.18, 0.06)
    bent = points.copy()
    bent[:, 0], bent[:, 1] = x + dx, y + dy
    return bent


def step(low: float, high: float, value: Floats) -> Floats:
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def ring(radius: float = FAR, count: int = 40) -> Floats:
    """Points that do not move, around everything that does."""
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1) * radius + [0, -0.15]


def outline_of(name: str) -> Floats:
    radii = np.array(OUTLINES[name])
    turn = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    return np.stack([np.cos(turn) * radii, np.sin(turn) * radii], axis=1)

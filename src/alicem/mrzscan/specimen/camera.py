"""Photographs of specimen documents, as badly taken as a grade says. What a seed gives is the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from alicem.mrzscan.specimen.page import ADVANCE, SCALE, Document
from alicem.mrzscan.specimen.tables import table

Range = tuple[float, float]
Rng = np.random.Generator
Picture = NDArray[np.float32]  # rows × columns × 3, 0 to 255
Matrix = NDArray[np.float64]
FOCUS = 1.1  # focal length in widths of the picture: a field of some 50°
CLOSER = 0.93  # the zone is taken this much smaller until it lies in the picture


@dataclass(frozen=True)
class Grade:
    """Each value is drawn evenly between two bounds, independently of the others, anew for each photograph."""

    sizes: tuple[tuple[int, int], ...]  # columns × rows
    zone: Range  # length of the zone, in lengths of the picture's longer side
    roll: float  # degrees, either way
    quarters: bool  # turned by any quarter besides
    tilt: Range  # degrees between the document and the picture, in any direction
    bend: Range  # millimetres by which the page bulges
    defocus: Range  # radius of the disc of confusion, in distances of two letters
    motion: Range  # length, in the same
    shadow: Range  # share of the light taken away
    penumbra: Range  # millimetres over which a shadow begins
    glare: Range  # share of white added at the spot's middle
    noise: Range  # standard deviation, grey levels
    contrast: Range  # of the print, in shares of what was printed
    exposure: Range
    quality: Range  # of the JPEG


MILD = Grade(
    sizes=((1280, 960), (1280, 720), (1920, 1080)),
    zone=(0.60, 0.90),
    roll=8,
    quarters=False,
    tilt=(0, 15),
    bend=(0, 0.5),
    defocus=(0, 0.08),
    motion=(0, 0.10),
    shadow=(0, 0.35),
    penumbra=(5, 20),
    glare=(0, 0.25),
    noise=(1, 4),
    contrast=(0.75, 1),
    exposure=(0.7, 1.05),
    quality=(75, 95),
)
STRONG = Grade(
    sizes=((640, 480), (1024, 768), (1280, 960)),
    zone=(0.55, 0.80),
    roll=30,
    quarters=True,
    tilt=(15, 35),
    bend=(0.3, 1.5),
    defocus=(0.10, 0.25),
    motion=(0.10, 0.35),
    shadow=(0.3, 0.75),
    penumbra=(0.5, 6),
    glare=(0.2, 0.7),
    noise=(4, 12),
    contrast=(0.4, 0.75),
    exposure=(0.45, 1.15),
    quality=(30, 70),
)


def photograph(document: Document, grade: Grade, seed: int) -> bytes:
    """A JPEG of the document on some table."""
    rng = np.random.default_rng([9303, seed])
    columns, rows = grade.sizes[rng.integers(len(grade.sizes))]
    pose = _pose(rng, document, grade, (columns, rows))
    pitch = _pitch(pose, document)
    picture, where = _project(rng, document, grade, pose, (columns, rows))
    picture = _light(rng, picture, where, document, grade)
    picture = _lens(rng, picture, grade, pitch)
    return _sensor(rng, picture, grade)


def _pose(rng: Rng, document: Document, grade: Grade, size: tuple[int, int]) -> Matrix:
    """From millimetres on the document to pixels: a pinhole camera before a tilted plane, all of the zone in view."""
    left, top, right, bottom = document.zone
    corners = np.array([(left, top, 1), (right, top, 1), (left, bottom, 1), (right, bottom, 1)]).T
    focus = FOCUS * max(size)
    quarter = rng.integers(4) if grade.quarters else 0
    turn = _about(2, np.radians(rng.uniform(-grade.roll, grade.roll) + 90 * quarter))
    axis, tilt = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(*grade.tilt))
    turn = _about(2, axis) @ _about(0, tilt) @ _about(2, -axis) @ turn
    middle = np.array([(left + right) / 2, (top + bottom) / 2 - 8, 0])
    distance = focus * (right - left) / (rng.uniform(*grade.zone) * max(size))
    lens = np.array([[focus, 0, size[0] / 2], [0, focus, size[1] / 2], [0, 0, 1]])
    for _ in range(40):
        shift = rng.uniform(-0.12, 0.12, 2) * distance
        place = np.array([*shift, distance]) - turn @ middle
        pose = lens @ np.stack([turn[:, 0], turn[:, 1], place], 1)
        seen = pose @ corners
        inside = seen[:2] / seen[2]
        if (inside > 6).all() and (np.array(size) - 6 > inside.T).all():
            break
        distance /= CLOSER if _ % 4 == 3 else 1
    return np.asarray(pose, np.float64)


def _about(axis: int, angle: float) -> Matrix:
    a, b = [one for one in range(3) if one != axis]
    turn = np.eye(3)
    turn[a, a] = turn[b, b] = np.cos(angle)
    turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
    return turn


def _pitch(pose: Matrix, document: Document) -> float:
    """Pixels from letter to letter, on the average over the zone."""
    left, top, right, _ = document.zone
    ends = pose @ np.array([(left, top, 1), (right, top, 1)]).T
    length = float(np.linalg.norm(np.diff(ends[:2] / ends[2])))
    return length / (right - left) * ADVANCE


def _project(
    rng: Rng, document: Document, grade: Grade, pose: Matrix, size: tuple[int, int]
) -> tuple[Picture, NDArray[np.float32]]:
    """The document and the table as the lens sees them, and the place on the document (mm) of each pixel."""
    columns, rows = size
    x, y = (np.arange(2 * side, dtype=np.float32) / 2 + 0.25 for side in size)
    back = np.linalg.inv(pose).astype(np.float32)
    u, v, w = (row[0] * x + (row[1] * y + row[2])[:, None] for row in back)
    where = np.stack([u / w, v / w], -1)
    height, width = (side / SCALE for side in document.picture.shape[:2])
    bulge = np.float32(rng.uniform(*grade.bend) * rng.choice([-1, 1]))
    bent = where.copy()
    bent[..., 1] += bulge * (1 - (2 * where[..., 0] / width - 1) ** 2)
    flat = document.picture.astype(np.float32)
    flat = flat.mean() + (flat - flat.mean()) * rng.uniform(*grade.contrast)
    u, v = (np.ascontiguousarray(bent[..., axis]) * np.float32(SCALE) for axis in (0, 1))
    twice = cv2.remap(flat.round().astype(np.uint8), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    on = (bent[..., 0] > 0) & (bent[..., 0] < width) & (bent[..., 1] > 0) & (bent[..., 1] < height)
    page = cv2.resize(twice, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    share = cv2.resize(on.astype(np.float32), size, interpolation=cv2.INTER_AREA)[..., None]
    return share * page + (1 - share) * table(rng, rows, columns), where[::2, ::2]


def _light(rng: Rng, picture: Picture, where: NDArray[np.float32], document: Document, grade: Grade) -> Picture:
    """A shadow with a straight edge across the document, and a spot of glare somewhere on it."""
    height, width = (side / SCALE for side in document.picture.shape[:2])
    turn = rng.uniform(0, 2 * np.pi)
    edge = (where - rng.uniform((0, 0), (width, height))) @ np.array([np.cos(turn), np.sin(turn)])
    dark = 1 / (1 + np.exp(-np.clip(4 * edge / rng.uniform(*grade.penumbra), -40, 40)))
    lit = picture * (1 - rng.uniform(*grade.shadow) * dark)[..., None] * rng.uniform(*grade.exposure)
    away = (where - rng.uniform((0, 0), (width, height))) / rng.uniform(4, 12, 2)
    spot = rng.uniform(*grade.glare) * np.exp(-(away**2).sum(-1) / 2)
    return np.asarray(lit + (255 * spot)[..., None], np.float32)


def _lens(rng: Rng, picture: Picture, grade: Grade, pitch: float) -> Picture:
    for kernel in (_disc(rng.uniform(*grade.defocus) * pitch), _streak(rng, rng.uniform(*grade.motion) * pitch)):
        picture = np.asarray(cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)
    return picture


def _disc(radius: float) -> NDArray[np.float32]:
    """A disc with a soft rim, so that fractions of a pixel count."""
    half = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(disc / disc.sum(), np.float32)


def _streak(rng: Rng, length: float) -> NDArray[np.float32]:
    half, turn = int(np.ceil(length / 2)) + 1, rng.uniform(0, np.pi)
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    streak = np.clip(length / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    return np.asarray(streak / streak.sum(), np.float32)


def _sensor(rng: Rng, picture: Picture, grade: Grade) -> bytes:
    """Noise, a third of which goes with the light; eight bits; JPEG."""
    spread = rng.uniform(*grade.noise) * np.sqrt(0.67 + 0.33 * np.clip(picture, 0, 255) / 128)
    noisy = picture + spread * rng.standard_normal(picture.shape, np.float32)
    seen = np.clip(noisy, 0, 255).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(*grade.quality))]
    return bytes(cv2.imencode(".jpg", np.ascontiguousarray(seen[..., ::-1]), quality)[1])

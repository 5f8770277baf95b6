"""Specimen persons: faces of nobody, made from four freely licensed portraits.

The 468-point mesh of each source is brought upright, frontal and at rest (mouth closed). A person is then a
`Face`: a head, a mix of the sources' shapes, the eyes, nose, mouth and skin of one source or several, traits
that bend the shape, the colours of hair, skin and clothes. The result is a picture of the person with the
three-dimensional points it stands on, which the actor moves. Nothing of the sources is kept in the project.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alicem.demo.warp import Floats, Triangles, cover, triangulate
from alicem.face import models
from alicem.face.detect import boxes, precise_mesh
from alicem.face.geometry import Square, crop
from alicem.face.images import Picture
from alicem.face.measure import angles
from alicem.face.models.files import folder, lock, sha256, write
from alicem.face.models.packages import Member, Package, Progress, fetch

Pixels = NDArray[Any]
Colour = tuple[float, float, float]

SKIMAGE = Package(
    "PyPI",
    "scikit-image",
    "0.25.2",
    15_003_435,
    "a17e17eb8562660cc0d31bb55643a4da996a81944b82c54805c91b3fe66f4824",
    ("--python-version", "3.12", "--platform", "manylinux2014_x86_64"),
)
FACE_RECOGNITION = Package(
    "PyPI",
    "face_recognition",
    "1.3.0",
    3_182_249,
    "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
)
# Official portraits, works of the United States government: in the public domain.
SOURCES: Mapping[str, Member] = {
    "a": Member(
        SKIMAGE,
        "skimage/data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    ),
    "b": Member(
        FACE_RECOGNITION,
        "face_recognition-1.3.0/tests/test_images/biden.jpg",
        "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
    ),
    "c": Member(
        FACE_RECOGNITION,
        "face_recognition-1.3.0/tests/test_images/obama.jpg",
        "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
    ),
    "d": Member(
        FACE_RECOGNITION,
        "face_recognition-1.3.0/tests/test_images/obama3.jpg",
        "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3",
    ),
}
SMILING, AT_REST = "c", "d"  # the same person twice: their difference is a smile

# The outline of the heads with their hair, as distances from the middle of the face every 7.5°, clockwise from
# the right, in heights of the face.
OUTLINES: Mapping[str, tuple[float, ...]] = {
    "a": (
        *(0.558, 0.515, 0.473, 0.431, 0.450, 0.469, 0.481, 0.523, 0.604, 0.635, 0.631, 0.612),
        *(0.588, 0.596, 0.612, 0.631, 0.623, 0.542, 0.473, 0.454, 0.438, 0.431, 0.454, 0.496),
        *(0.508, 0.608, 0.681, 0.723, 0.785, 0.850, 0.873, 0.869, 0.873, 0.912, 0.950, 0.965),
        *(0.973, 0.958, 0.962, 0.942, 0.935, 0.915, 0.888, 0.842, 0.796, 0.742, 0.688, 0.619),
    ),
    "b": (
        *(0.469, 0.473, 0.473, 0.462, 0.473, 0.485, 0.488, 0.504, 0.581, 0.612, 0.623, 0.623),
        *(0.627, 0.631, 0.623, 0.619, 0.619, 0.608, 0.585, 0.512, 0.465, 0.481, 0.538, 0.558),
        *(0.569, 0.592, 0.619, 0.669, 0.769, 0.804, 0.854, 0.888, 0.919, 0.923, 0.923, 0.915),
        *(0.896, 0.888, 0.865, 0.819, 0.754, 0.723, 0.662, 0.635, 0.577, 0.527, 0.492, 0.481),
    ),
    "c": (
        *(0.530, 0.420, 0.415, 0.431, 0.462, 0.458, 0.454, 0.458, 0.473, 0.488, 0.512, 0.542),
        *(0.560, 0.560, 0.550, 0.545, 0.535, 0.504, 0.454, 0.442, 0.445, 0.440, 0.450, 0.510),
        *(0.545, 0.550, 0.545, 0.525, 0.540, 0.575, 0.646, 0.712, 0.758, 0.777, 0.815, 0.823),
        *(0.827, 0.815, 0.796, 0.765, 0.731, 0.688, 0.608, 0.565, 0.545, 0.550, 0.555, 0.550),
    ),
}

SIZE = 640  # of the person's own picture
UNIT = 260.0  # the height of the face in it
CENTRE = np.array([320.0, 335.0])
FAR = 1.05  # a circle of fixed points around the head, in heights of the face

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


@dataclass(frozen=True)
class Face:
    """A person in numbers. Mixes name the sources with their weights; colours are in L, a, b."""

    head: str
    shape: Mapping[str, float]
    skin: Mapping[str, float]
    eyes: Mapping[str, float]
    nose: Mapping[str, float]
    mouth: Mapping[str, float]
    light: Mapping[str, float]
    traits: Mapping[str, float] = field(default_factory=dict)
    tone: Colour | None = None  # of the cheeks; without it, the head's own
    hair: Colour | None = None
    volume: float = 1.0  # of the hair
    mirrored: bool = False
    clothes: str = "#39465a"


@dataclass(frozen=True)
class Person:
    """The picture of a face, its outline as transparency, and the points it stands on (heights of the face)."""

    texture: Pixels  # SIZE × SIZE × 3
    eyes_closed: Pixels
    alpha: Pixels  # SIZE × SIZE
    points: Floats  # 468 × 3
    outline: Floats  # around the head, × 2
    neck: Colour
    clothes: Colour


class FaceError(ValueError):
    """A face that the table does not describe."""


def parse(table: Mapping[str, Any]) -> Face:
    """A table of faces.toml."""
    try:
        face = Face(
            head=str(table["head"]),
            shape=_mix(table["shape"]),
            skin=_mix(table["skin"]),
            eyes=_mix(table["eyes"]),
            nose=_mix(table["nose"]),
            mouth=_mix(table["mouth"]),
            light=_mix(table["light"]),
            traits={str(name): float(value) for name, value in table.get("traits", {}).items()},
            tone=_colour(table.get("tone")),
            hair=_colour(table.get("hair")),
            volume=float(table.get("volume", 1.0)),
            mirrored=bool(table.get("mirrored", False)),
            clothes=str(table["clothes"]),
        )
    except (KeyError, TypeError) as error:
        raise FaceError(f"face: {error}") from error
    if face.head not in OUTLINES or not TRAITS.issuperset(face.traits):
        raise FaceError(f"face: unknown head or trait among {face.head}, {', '.join(face.traits)}")
    return face


@cache
def faces() -> Mapping[str, Face]:
    """The specimen persons of faces.toml, by name."""
    tables = tomllib.loads(files(__package__).joinpath("faces.toml").read_text(encoding="utf-8"))
    return {name: parse(table) for name, table in tables.items()}


def _mix(weights: Mapping[str, Any]) -> dict[str, float]:
    total = sum(weights.values())
    if not SOURCES.keys() >= weights.keys() or total <= 0:
        raise FaceError(f"face: {dict(weights)} is no mix of {', '.join(SOURCES)}")
    return {name: float(weight) / total for name, weight in weights.items()}


def _colour(values: Any) -> Colour | None:
    if values is None:
        return None
    lightness, a, b = values
    return float(lightness), float(a), float(b)


# Sources


def _files() -> Any:
    return folder() / "portraits-1"


def ready() -> bool:
    return all((_files() / f"{name}.img").exists() for name in SOURCES)


def build(progress: Progress = lambda name, fraction: None) -> None:
    """Fetch the source portraits that are missing."""
    with lock("portraits"):
        for package in (SKIMAGE, FACE_RECOGNITION):
            wanted = {name: member for name, member in SOURCES.items() if member.package is package}
            if all((_files() / f"{name}.img").exists() for name in wanted):
                continue
            contents = fetch(package, list(wanted.values()), progress)
            for name, member in wanted.items():
                write(_files() / f"{name}.img", contents[member.path])


def _source(name: str) -> Picture:
    try:
        data: bytes = (_files() / f"{name}.img").read_bytes()
    except FileNotFoundError:
        raise models.ModelsMissingError(f"source portrait {name}", "is not on this machine") from None
    if sha256(data) != SOURCES[name].sha256:
        (_files() / f"{name}.img").unlink(missing_ok=True)
        raise models.WrongFileError(f"source portrait {name}", f"expected SHA-256 {SOURCES[name].sha256}")
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


@cache
def _upright(name: str) -> tuple[Picture, Floats, Floats]:
    """The source turned upright around its face; its mesh in pixels; the same frontal, of height 1."""
    picture, size = _source(name), 700
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


# Shapes


@cache
def _middle() -> Floats:
    return (_upright("b")[2] + _upright(AT_REST)[2]) / 2


@cache
def _mirror() -> NDArray[np.intp]:
    """For each point, the one on the other side of the face."""
    middle = _middle()
    distance = ((middle[:, None] * [-1, 1, 1] - middle[None]) ** 2).sum(2)
    return np.asarray(distance.argmin(1))


@cache
def _expressive(name: str) -> Floats:
    points = _upright(name)[2]
    return (points + points[_mirror()] * [-1, 1, 1]) / 2


@cache
def smile() -> Floats:
    """What a smile with closed lips moves."""
    return closed(_expressive(SMILING)) - closed(_expressive(AT_REST))


@cache
def _neutral(name: str) -> Floats:
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


def _pull(points: Floats, origin: Floats, target: Floats) -> Floats:
    distance = ((points[:, None, :2] - origin[None, :, :2]) ** 2).sum(2)
    weights = np.exp(-distance / (2 * 0.03**2)) + 1e-12
    nearest = np.sqrt(distance.min(1))
    moved = (weights[:, :, None] * (target - origin)).sum(1) / weights.sum(1, keepdims=True)
    return np.asarray(moved * np.exp(-((nearest / 0.12) ** 2))[:, None], np.float64)


TRAITS = frozenset(
    (
        *("width", "jaw", "forehead", "chin", "length", "eyes_apart", "eye_size", "eye_tilt", "eyes", "brow"),
        *("brow_tilt", "cheeks", "nose_width", "nose_length", "mouth_width", "mouth", "lips"),
    )
)


def _bent(points: Floats, traits: Mapping[str, float]) -> Floats:
    """The traits, as smooth displacements of the plane: face and outline follow the same ones."""
    x, y = points[:, 0], points[:, 1]
    middle = _middle()
    eye_x = float(np.abs(middle[[33, 133], 0]).mean())
    eye_y, brow_y = float(middle[[33, 133, 263, 362], 1].mean()), float(middle[[105, 334], 1].mean())
    mouth_y, nose_y, chin_y = float(middle[[61, 291], 1].mean()), float(middle[2, 1]), float(middle[152, 1])
    trait = {name: traits.get(name, 0.0) for name in TRAITS}

    def near(cx: float, cy: float, rx: float, ry: float) -> Floats:
        return np.asarray(np.exp(-(((x - cx) / rx) ** 2) - ((y - cy) / ry) ** 2))

    dx = x * (trait["width"] + trait["jaw"] * _step(0.0, 0.4, y) + trait["forehead"] * _step(0.0, -0.4, y))
    dy = trait["chin"] * _step(mouth_y, chin_y, y) + trait["length"] * y
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


def _step(low: float, high: float, value: Floats) -> Floats:
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


# Textures


def ring(radius: float = FAR, count: int = 40) -> Floats:
    """Points that do not move, around everything that does."""
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1) * radius + [0, -0.15]


def _outline(name: str) -> Floats:
    radii = np.array(OUTLINES[name])
    turn = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    return np.stack([np.cos(turn) * radii, np.sin(turn) * radii], axis=1)


@cache
def _texture(name: str) -> Pixels:
    """The source's picture, frontal and at rest, in L, a, b."""
    picture, points, _ = _upright(name)
    height = points[:, 1].max() - points[:, 1].min()
    source = np.vstack([points[:, :2], ring() * height + points[:, :2].mean(0)])
    target = np.vstack([_neutral(name)[:, :2], ring()]) * UNIT + CENTRE
    depth = np.append(_neutral(name)[:, 2], np.full(len(ring()), 0.5))
    flat = cover(source, target, triangulate(target), (SIZE, SIZE), depth).apply(picture.astype(np.float32))
    return to_lab(flat)


def to_lab(picture: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(np.clip(picture / 255, 0, 1).astype(np.float32), cv2.COLOR_RGB2LAB))


def to_rgb(picture: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(picture.astype(np.float32), cv2.COLOR_LAB2RGB) * 255).clip(0, 255)


@dataclass(frozen=True)
class _Canvas:
    """Where the person's shape lies in the person's picture, and how a source's texture comes there."""

    face: Face
    points: Floats
    outline: Floats
    hull: Pixels

    def bring(self, name: str) -> Pixels:
        own = np.vstack([_neutral(name)[:, :2], _outline(self.face.head), ring()]) * UNIT + CENTRE
        here = np.vstack([self.points[:, :2], self.outline, ring()]) * UNIT + CENTRE
        depth = np.append(self.points[:, 2], np.full(len(here) - 468, 0.5))
        return cover(own, here, triangulate(here), (SIZE, SIZE), depth).apply(_texture(name))

    def zone(self, names: tuple[int, ...], grow: tuple[int, int]) -> Pixels:
        """A soft mask over some points, grown by so many pixels across and down."""
        hull = cv2.convexHull((self.points[list(names), :2] * UNIT + CENTRE).astype(np.int32))
        mask = cv2.fillConvexPoly(np.zeros((SIZE, SIZE), np.float32), hull, 1.0)
        grown = cv2.dilate(mask, np.ones((grow[1], grow[0])))
        return np.asarray(cv2.GaussianBlur(grown, (0, 0), 7))[..., None]


def _canvas(face: Face) -> _Canvas:
    shape = np.sum([_neutral(name) * weight for name, weight in face.shape.items()], axis=0)
    points = _bent(shape, face.traits)
    hull = cv2.convexHull((points[:, :2] * UNIT + CENTRE).astype(np.int32))
    mask = cv2.fillConvexPoly(np.zeros((SIZE, SIZE), np.float32), hull, 1.0)
    return _Canvas(face, points, _followed(face.head, points, face.volume), np.asarray(mask))


def _followed(head: str, points: Floats, volume: float) -> Floats:
    """The outline of the head goes where the nearest parts of the face went."""
    outline, before = _outline(head), _neutral(head)
    distance = ((outline[:, None] - before[None, :, :2]) ** 2).sum(2)
    weights = np.exp(-(distance - distance.min(1, keepdims=True)) / 0.1**2)
    moved = (points - before)[:, :2]
    hair = 1 + (volume - 1) * _step(0.1, -0.25, outline[:, 1])
    return np.asarray(outline * hair[:, None] + weights @ moved / weights.sum(1, keepdims=True))


def _low(picture: Pixels) -> Pixels:
    """The light and the large forms; the rest is detail."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.11 * UNIT), np.float32)


def person(face: Face) -> Person:
    canvas = _canvas(face)
    base = canvas.bring(face.head)
    brought = {name: _matched(canvas.bring(name), base, canvas.hull) for name in _sources_of(face)}
    detail = _blend(brought, face.skin, fine=True)
    for names, grow, mix in (
        ((*BROWS[0], *EYES[0]), (25, 17), face.eyes),
        ((*BROWS[1], *EYES[1]), (25, 17), face.eyes),
        (NOSE, (15, 15), face.nose),
        (MOUTH, (27, 21), face.mouth),
    ):
        zone = canvas.zone(names, grow)
        detail = detail * (1 - zone) + _blend(brought, mix, fine=True) * zone
    inner = _inner(canvas)
    made = base * (1 - inner) + (_blend(brought, face.light, fine=False) + detail) * inner
    made, skin = _coloured(made, canvas, face)
    picture = to_rgb(made)
    shown = Person(
        picture, _eyes_closed(picture, canvas), _alpha(canvas), canvas.points, canvas.outline, skin, _hex(face.clothes)
    )
    return _mirrored(shown) if face.mirrored else shown


def _mirrored(shown: Person) -> Person:
    """The points keep their names: left stays left."""
    return replace(
        shown,
        texture=_flipped(shown.texture),
        eyes_closed=_flipped(shown.eyes_closed),
        alpha=_flipped(shown.alpha),
        points=shown.points[_mirror()] * [-1, 1, 1],
        outline=shown.outline * [-1, 1],
    )


def _flipped(picture: Pixels) -> Pixels:
    """Around the middle of the face."""
    return np.ascontiguousarray(np.roll(picture[:, ::-1], 1, axis=1))  # column 320 stays where it is


def _eyes_closed(picture: Pixels, canvas: _Canvas) -> Pixels:
    """The same person with skin over the eyes and the lashes on the lower lid."""
    eyes = np.zeros((SIZE, SIZE), np.uint8)
    lashes = np.zeros((SIZE, SIZE), np.float32)
    for upper, lower in LIDS:
        rim = canvas.points[[*upper, *lower[::-1]], :2] * UNIT + CENTRE
        cv2.fillPoly(eyes, [np.round(rim).astype(np.int32)], 1)
        line = canvas.points[list(lower), :2] * UNIT + CENTRE
        cv2.polylines(lashes, [np.round(line * 8).astype(np.int32)], False, 1.0, 2, cv2.LINE_AA, 3)
    eyes = cv2.dilate(eyes, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (17, 19)))
    filled = cv2.inpaint(np.clip(picture, 0, 255).astype(np.uint8), eyes, 9, cv2.INPAINT_TELEA)
    soft = cv2.GaussianBlur(eyes.astype(np.float32), (0, 0), 3)[..., None]
    skin = picture * (1 - soft) + cv2.GaussianBlur(filled.astype(np.float32), (0, 0), 2.5) * soft
    dark = cv2.GaussianBlur(lashes, (0, 0), 1.6)[..., None]
    return np.asarray(skin * (1 - 0.5 * np.clip(dark, 0, 1)), np.float32)


def _inner(canvas: _Canvas) -> Pixels:
    """Where the mix replaces the head: up to the jaw, but well under the hair."""
    high = cv2.GaussianBlur(cv2.erode(canvas.hull, np.ones((33, 33))), (0, 0), 11)
    wide = cv2.GaussianBlur(cv2.erode(canvas.hull, np.ones((9, 9))), (0, 0), 4)
    share = _step(-0.05, 0.15, (np.arange(SIZE) - CENTRE[1]) / UNIT)[:, None]
    return np.asarray(high * (1 - share) + wide * share, np.float32)[..., None]


def _sources_of(face: Face) -> set[str]:
    mixes = (face.skin, face.eyes, face.nose, face.mouth, face.light)
    return {name for mix in mixes for name in mix}


def _matched(texture: Pixels, base: Pixels, hull: Pixels) -> Pixels:
    """With the colours of the head it is put on."""
    mine, theirs = texture[hull > 0], base[hull > 0]
    gain = np.minimum(theirs.std(0) / mine.std(0), 1.3)
    return np.asarray((texture - mine.mean(0)) * gain + theirs.mean(0), np.float32)


def _blend(brought: Mapping[str, Pixels], mix: Mapping[str, float], fine: bool) -> Pixels:
    parts = []
    for name, weight in mix.items():
        low = _low(brought[name])
        parts.append(weight * (brought[name] - low if fine else low))
    return np.asarray(np.sum(parts, axis=0), np.float32)


def _coloured(made: Pixels, canvas: _Canvas, face: Face) -> tuple[Pixels, Colour]:
    """Hair is what is nearer to the top of the head than to the cheeks."""
    cheeks = np.median(made[_disc(canvas, 0, 0.1, 0.25)], axis=0)
    crown = np.median(made[_disc(canvas, 0, float(canvas.outline[:, 1].min()) + 0.12, 0.08)], axis=0)
    to_skin, to_hair = (np.linalg.norm(made - colour, axis=2) for colour in (cheeks, crown))
    inside = cv2.GaussianBlur(cv2.erode(canvas.hull, np.ones((31, 31))), (0, 0), 8)
    above = _step(0.22, 0.08, (np.arange(SIZE) - CENTRE[1]) / UNIT)[:, None]
    hair = (1 - inside) * above / (1 + np.exp(-(to_skin - to_hair) / 6))
    hair = cv2.GaussianBlur(hair.astype(np.float32), (0, 0), 1.5)[..., None]
    dulled = _without_glare(made, canvas, cheeks, hair)
    skin = dulled + (np.array(face.tone or cheeks) - cheeks)
    wanted = np.array(face.hair or crown)
    contrast = np.clip(wanted[0] / crown[0], 0.45, 1.2)
    painted = skin * (1 - hair) + (wanted + (dulled - crown) * contrast) * hair
    red, green, blue = to_rgb(np.median(painted[_disc(canvas, 0, 0.3, 0.2)], axis=0).reshape(1, 1, 3))[0, 0]
    return painted.astype(np.float32), (float(red), float(green), float(blue))


def _without_glare(made: Pixels, canvas: _Canvas, cheeks: Pixels, hair: Pixels) -> Pixels:
    """A light from behind the source leaves white edges below the ears: they take the colour of the skin."""
    below = _step(-0.12, 0.0, (np.arange(SIZE) - CENTRE[1]) / UNIT)[:, None, None]
    glare = _step(10.0, 22.0, made[..., :1] - cheeks[0]) * below * (1 - canvas.hull[..., None] * 0.7)
    spread = cv2.GaussianBlur(cv2.dilate(glare[..., 0], np.ones((5, 5))), (0, 0), 2)[..., None]
    return np.asarray(made * (1 - spread) + (cheeks - [8, 0, 0]) * spread)


def _disc(canvas: _Canvas, x: float, y: float, radius: float) -> NDArray[np.bool_]:
    centre = (np.array([x, y]) * UNIT + CENTRE).astype(int)
    mask = cv2.circle(np.zeros((SIZE, SIZE), np.uint8), (int(centre[0]), int(centre[1])), int(radius * UNIT), 1, -1)
    return np.asarray(mask, np.uint8) > 0


def _alpha(canvas: _Canvas) -> Pixels:
    outline = (canvas.outline * UNIT + CENTRE).astype(np.int32)
    mask = cv2.fillPoly(np.zeros((SIZE, SIZE), np.float32), [outline], 1.0)
    mask = cv2.GaussianBlur(cv2.erode(mask, np.ones((5, 5))), (0, 0), 2.5)
    fade = _step(0.62, 0.53, (np.arange(SIZE) - CENTRE[1]) / UNIT)  # the neck is painted below the chin
    return np.asarray(mask * fade[:, None], np.float32)


def _hex(colour: str) -> Colour:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return float(red), float(green), float(blue)


# Pictures


@dataclass(frozen=True)
class Pose:
    """Degrees, the person's own left positive; smile 0…1; lids 1 open … 0 closed."""

    yaw: float = 0.0
    pitch: float = 0.0
    smile: float = 0.0
    lids: float = 1.0


@dataclass(frozen=True)
class Camera:
    """Size of the picture, where the face is in it and how high, and the wall behind (L)."""

    width: int = 640
    height: int = 480
    x: float = 320.0
    y: float = 252.0
    unit: float = 205.0
    wall: float = 190.0


PIVOT = 0.42  # the head turns about an axis so far behind the face


def posed(shown: Person, pose: Pose) -> tuple[Floats, Floats]:
    """The points of the face and of the outline in this pose; the outline of a head hardly moves."""
    points = shown.points + pose.smile * smile()
    pivot = np.array([0, 0.1, PIVOT])
    points = (points - pivot) @ turned(-pose.yaw, -pose.pitch, 0).T + pivot
    return points, shown.outline + np.array([0.1 * math.sin(math.radians(pose.yaw)), 0.0])


@cache
def _mesh_of(face_points: bytes, outline: bytes) -> Triangles:
    points = np.frombuffer(face_points).reshape(-1, 3)
    around = np.frombuffer(outline).reshape(-1, 2)
    return triangulate(np.vstack([points[:, :2], around, ring()]) * UNIT + CENTRE)


def render(shown: Person, pose: Pose, camera: Camera) -> Pixels:
    """The person before a wall, RGB 0…255."""
    points, outline = posed(shown, pose)
    scale, shift = camera.unit, np.array([camera.x, camera.y])
    source = np.vstack([shown.points[:, :2], shown.outline, ring()]) * UNIT + CENTRE
    target = np.vstack([points[:, :2], outline, ring()]) * scale + shift
    depth = np.append(points[:, 2], np.full(len(source) - 468, 0.5))
    triangles = _mesh_of(shown.points.tobytes(), shown.outline.tobytes())
    found = cover(source, target, triangles, (camera.width, camera.height), depth)
    texture, alpha = found.apply(_lidded(shown, pose.lids)), found.apply(shown.alpha)
    alpha = np.where(found.x < -1e3, 0, alpha)[..., None]
    return np.asarray(texture * alpha + _bust(shown, camera) * (1 - alpha), np.float32)


def _lidded(shown: Person, lids: float) -> Pixels:
    """Lids come down: what they have passed shows skin, their edge is dark."""
    if lids >= 1:
        return shown.texture
    still_open = np.zeros((SIZE, SIZE), np.float32)
    for upper, lower in LIDS:
        top, bottom = shown.points[list(upper), :2], shown.points[list(lower), :2]
        edge = bottom + lids * (top - bottom)
        rim = np.vstack([edge, bottom[::-1]]) * UNIT + CENTRE
        cv2.fillPoly(still_open, [np.round(rim).astype(np.int32)], 1.0)
    if lids > 0:
        still_open = cv2.GaussianBlur(still_open, (0, 0), 1.2)
    share = still_open[..., None] if lids > 0 else np.zeros((SIZE, SIZE, 1), np.float32)
    return np.asarray(shown.texture * share + shown.eyes_closed * (1 - share), np.float32)


def _bust(shown: Person, camera: Camera) -> Pixels:
    """Wall, shoulders and neck, painted."""
    picture = np.full((camera.height, camera.width, 3), camera.wall, np.float32)
    picture += np.linspace(12, -12, camera.width, dtype=np.float32)[None, :, None]
    clothes, neck = np.array(shown.clothes, np.float32), np.array(shown.neck, np.float32)
    rows = (np.arange(camera.height, dtype=np.float32) - camera.y) / camera.unit
    shade = (0.72 + 0.24 * _step(0.5, 0.8, rows))[:, None, None]
    _paint(picture, camera, NECK, neck * shade)
    light = 1 + 0.12 * np.cos((np.arange(camera.width) - camera.x) / camera.unit * 2.2)[None, :, None]
    _paint(picture, camera, SHOULDERS, clothes * light * np.ones((camera.height, 1, 1)))
    _paint(picture, camera, COLLAR, clothes * 0.72 * np.ones((camera.height, camera.width, 1)))
    return picture


# half outlines, mirrored when painted, in heights of the face
NECK = ((0.0, 0.30), (0.27, 0.30), (0.27, 0.62), (0.30, 0.76), (0.42, 0.86), (0.0, 1.0))
SHOULDERS = ((0.0, 0.98), (0.16, 0.93), (0.33, 0.74), (0.40, 0.76), (0.75, 0.88), (0.98, 1.0), (1.15, 1.3), (1.2, 2.0))
COLLAR = ((0.0, 1.02), (0.0, 0.97), (0.16, 0.92), (0.33, 0.72), (0.37, 0.75), (0.20, 0.98))


def _paint(picture: Pixels, camera: Camera, half: tuple[tuple[float, float], ...], colour: Floats) -> None:
    right = np.array(half)
    whole = np.vstack([right, (right * [-1, 1])[::-1]]) * camera.unit + [camera.x, camera.y]
    mask = cv2.fillPoly(np.zeros(picture.shape[:2], np.float32), [np.round(whole).astype(np.int32)], 1.0)
    soft = cv2.GaussianBlur(mask, (0, 0), max(1.0, camera.unit / 130))[..., None]
    picture += (colour.astype(np.float32) - picture) * soft


PORTRAIT = Camera(width=480, height=640, x=240.0, y=330.0, unit=300.0, wall=226.0)
PORTRAIT_BYTES = 18_000


def portrait(face: Face) -> bytes:
    """As a chip holds it: 240 × 320, JPEG 2000, at most 18 kB. Another moment and light than the actor's."""
    picture = render(person(face), Pose(yaw=1.5, pitch=-1.0, smile=0.04, lids=0.97), PORTRAIT)
    picture = 255 * np.clip(picture / 255, 0, 1) ** 0.92 * np.array([1.02, 1.0, 0.97], np.float32)
    small = cv2.resize(picture, (240, 320), interpolation=cv2.INTER_AREA)
    image = Image.fromarray(np.clip(small, 0, 255).astype(np.uint8))
    for rate in (14, 16, 20, 26):
        data = BytesIO()
        image.save(data, "JPEG2000", quality_mode="rates", quality_layers=[rate], irreversible=True)
        if data.tell() <= PORTRAIT_BYTES:
            break
    return data.getvalue()

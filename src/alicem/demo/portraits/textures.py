"""A person's own picture: the textures of the sources brought to one shape, mixed feature by feature, coloured."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from alicem.demo.portraits.face import Colour, Face
from alicem.demo.portraits.shapes import (
    BROWS,
    EYES,
    LIDS,
    MOUTH,
    NOSE,
    bent,
    mirror,
    neutral,
    outline_of,
    parted,
    ring,
    step,
    upright,
)
from alicem.demo.portraits.sources import LIT_FROM_BEHIND
from alicem.demo.portraits.warp import Cover, Drawn, Floats, Pixels, Triangles, cover, draw, triangulate

SIZE = 640  # of the person's own picture

UNIT = 260.0  # the height of the face in it

CENTRE = np.array([320.0, 335.0])


@dataclass(frozen=True)
class Person:
    """The picture of a face, its outline as transparency, and the points it stands on (heights of the face)."""

    texture: Pixels  # SIZE × SIZE × 3
    eyes_closed: Pixels
    alpha: Pixels  # SIZE × SIZE
    points: Floats  # 468 × 3
    outline: Floats  # around the head, × 2
    triangles: Triangles  # over the points, the outline and the ring
    neck: Colour
    clothes: Colour


def person(face: Face) -> Person:
    canvas = _canvas(face)
    base = canvas.bring(face.head)
    brought = {name: _bands(_matched(canvas.bring(name), base, canvas.hull)) for name in _sources_of(face)}
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
        texture=picture,
        eyes_closed=_eyes_closed(picture, canvas),
        alpha=canvas.alpha,
        points=canvas.points,
        outline=canvas.outline,
        triangles=triangles_of(face.head),
        neck=skin,
        clothes=_hex(face.clothes),
    )
    return _mirrored(shown) if face.mirrored else shown


def _mirrored(shown: Person) -> Person:
    """Points and places of the outline keep their names: left stays left."""
    return replace(
        shown,
        texture=flipped(shown.texture),
        eyes_closed=flipped(shown.eyes_closed),
        alpha=flipped(shown.alpha),
        points=shown.points[mirror()] * [-1, 1, 1],
        outline=shown.outline[(len(shown.outline) // 2 - np.arange(len(shown.outline)))] * [-1, 1],
    )


def flipped(picture: Pixels) -> Pixels:
    """Around the middle of the face."""
    return np.ascontiguousarray(np.roll(picture[:, ::-1], 1, axis=1))  # column 320 stays where it is


@cache
def texture(name: str) -> Pixels:
    """The source's picture, frontal and at rest, in L, a, b."""
    picture, points, _ = upright(name)
    height = points[:, 1].max() - points[:, 1].min()
    source = np.vstack([points[:, :2], ring() * height + points[:, :2].mean(0)])
    target = np.vstack([neutral(name)[:, :2], ring()]) * UNIT + CENTRE
    depth = np.append(neutral(name)[:, 2], np.full(len(ring()), 0.5))
    layout = np.vstack([parted(neutral(name))[:, :2], ring()]) * UNIT + CENTRE
    flat = cover(source, target, triangulate(layout), (SIZE, SIZE), depth).apply(picture.astype(np.float32))
    return _without_glare(to_lab(_evenly_lit(flat) if name == LIT_FROM_BEHIND else flat))


def _evenly_lit(flat: Pixels) -> Pixels:
    """The side of the head that the light comes round from is replaced by the other side."""
    x = (np.arange(SIZE) - CENTRE[0]) / UNIT
    share = step(0.05, 0.26, x)[None, :, None]
    return np.asarray(flat * (1 - share) + flipped(flat) * share, np.float32)


def _without_glare(flat: Pixels) -> Pixels:
    """No light along the jaw that is brighter than the cheeks."""
    x, y = np.meshgrid(*(np.arange(SIZE) - CENTRE[i] for i in (0, 1)))
    jaw = step(0.08, 0.2, y / UNIT) * step(0.1, 0.2, np.abs(x) / UNIT)
    cheeks = np.median(flat[(np.abs(y / UNIT - 0.05) < 0.1) & (np.abs(np.abs(x / UNIT) - 0.2) < 0.08)], axis=0)
    glare = jaw * step(5.0, 14.0, flat[..., 0] - cheeks[0])
    soft = cv2.GaussianBlur(cv2.dilate(glare, np.ones((7, 7))), (0, 0), 3)[..., None]
    return np.asarray(flat * (1 - soft) + (cheeks - [6, 0, 0]) * soft, np.float32)


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
        return self._cover(name).apply(texture(name))

    def place(self, mask: Pixels) -> Pixels:
        """A mask drawn on the head's own texture."""
        return self._cover(self.face.head).apply(mask)

    @cached_property
    def alpha(self) -> Pixels:
        return _alpha(self)

    @cached_property
    def _here(self) -> Drawn:
        here = np.vstack([self.points[:, :2], self.outline, ring()]) * UNIT + CENTRE
        depth = np.append(self.points[:, 2], np.full(len(here) - 468, 0.5))
        return draw(here, triangles_of(self.face.head), (SIZE, SIZE), depth)

    def _cover(self, name: str) -> Cover:
        own = np.vstack([neutral(name)[:, :2], outline_of(self.face.head), ring()]) * UNIT + CENTRE
        return self._here.over(own)

    def zone(self, names: tuple[int, ...], grow: tuple[int, int]) -> Pixels:
        """A soft mask over some points, grown by so many pixels across and down."""
        hull = cv2.convexHull((self.points[list(names), :2] * UNIT + CENTRE).astype(np.int32))
        mask = cv2.fillConvexPoly(np.zeros((SIZE, SIZE), np.float32), hull, 1.0)
        grown = cv2.dilate(mask, np.ones((grow[1], grow[0])))
        return np.asarray(cv2.GaussianBlur(grown, (0, 0), 7))[..., None]


@cache
def triangles_of(head: str) -> Triangles:
    """One division for a head in all its shapes and poses, made while the lips are apart."""
    return triangulate(np.vstack([parted(neutral(head))[:, :2], outline_of(head), ring()]) * UNIT + CENTRE)


def _canvas(face: Face) -> _Canvas:
    shape = np.sum([neutral(name) * weight for name, weight in face.shape.items()], axis=0)
    points = bent(shape, face.traits)
    hull = cv2.convexHull((points[:, :2] * UNIT + CENTRE).astype(np.int32))
    mask = cv2.fillConvexPoly(np.zeros((SIZE, SIZE), np.float32), hull, 1.0)
    return _Canvas(face, points, _followed(face.head, points, face.volume), np.asarray(mask))


def _followed(head: str, points: Floats, volume: float) -> Floats:
    """The outline of the head goes where the nearest parts of the face went."""
    outline, before = outline_of(head), neutral(head)
    distance = ((outline[:, None] - before[None, :, :2]) ** 2).sum(2)
    weights = np.exp(-(distance - distance.min(1, keepdims=True)) / 0.1**2)
    moved = (points - before)[:, :2]
    hair = 1 + (volume - 1) * step(0.1, -0.25, outline[:, 1])
    return np.asarray(outline * hair[:, None] + weights @ moved / weights.sum(1, keepdims=True))


@dataclass(frozen=True)
class Bands:
    """A texture in two: the light and the large forms, and the detail."""

    low: Pixels
    fine: Pixels


def _bands(picture: Pixels) -> Bands:
    small = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 0.11 * UNIT / 4)
    low = cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    return Bands(low, picture - low)


def _inner(canvas: _Canvas) -> Pixels:
    """Where the mix replaces the head: up to the jaw, but well under the hair."""
    high = cv2.GaussianBlur(cv2.erode(canvas.hull, np.ones((33, 33))), (0, 0), 11)
    wide = cv2.GaussianBlur(cv2.erode(canvas.hull, np.ones((25, 25))), (0, 0), 8)
    share = step(-0.05, 0.15, (np.arange(SIZE) - CENTRE[1]) / UNIT)[:, None]
    return np.asarray(high * (1 - share) + wide * share, np.float32)[..., None]


def _sources_of(face: Face) -> set[str]:
    mixes = (face.skin, face.eyes, face.nose, face.mouth, face.light)
    return {name for mix in mixes for name in mix}


def _matched(texture: Pixels, base: Pixels, hull: Pixels) -> Pixels:
    """With the colours of the head it is put on."""
    mine, theirs = texture[hull > 0], base[hull > 0]
    gain = np.minimum(theirs.std(0) / mine.std(0), 1.3)
    return np.asarray((texture - mine.mean(0)) * gain + theirs.mean(0), np.float32)


def _blend(brought: Mapping[str, Bands], mix: Mapping[str, float], fine: bool) -> Pixels:
    parts = [weight * (brought[name].fine if fine else brought[name].low) for name, weight in mix.items()]
    return np.asarray(np.sum(parts, axis=0), np.float32)


def _coloured(made: Pixels, canvas: _Canvas, face: Face) -> tuple[Pixels, Colour]:
    """Hair and skin moved to their colours; the answer's second part is the neck's."""
    hair = canvas.place(_hair(face.head))[..., None]
    cheeks = np.median(made[_disc(0, 0.1, 0.25)], axis=0)
    strands = np.median(made[(hair[..., 0] > 0.6) & (canvas.alpha > 0.9)], axis=0)
    skin = made + (np.array(face.tone or cheeks) - cheeks)
    wanted = np.array(face.hair or strands)
    contrast = np.clip(wanted[0] / strands[0], 0.45, 1.2)
    painted = skin * (1 - hair) + (wanted + (made - strands) * contrast) * hair
    red, green, blue = to_rgb(np.median(painted[_disc(0, 0.3, 0.2)], axis=0).reshape(1, 1, 3))[0, 0]
    return painted.astype(np.float32), (float(red), float(green), float(blue))


@cache
def _hair(head: str) -> Pixels:
    """Where the head has hair, 0…1: above a drawn hairline, and nearer to the colour of hair than of skin."""
    flat = texture(head)
    line = np.array(HAIRLINES[head])
    closed = np.vstack([line, line[::-1] * [-1, 1], [[-2, line[0, 1]], [-2, -2], [2, -2], [2, line[0, 1]]]])
    above = np.zeros((SIZE, SIZE), np.float32)
    cv2.fillPoly(above, [np.round(closed * UNIT + CENTRE).astype(np.int32)], 1.0)
    if head in FRINGED:
        cheeks = np.median(flat[_disc(0, 0.1, 0.25)], axis=0)
        crown = np.median(flat[_disc(0, -0.7, 0.08)], axis=0)
        to_skin, to_hair = (np.linalg.norm(flat - colour, axis=2) for colour in (cheeks, crown))
        above = above / (1 + np.exp(-(to_skin - to_hair) / 8))
    return np.asarray(cv2.GaussianBlur(above.astype(np.float32), (0, 0), 4 if head not in FRINGED else 2))


# From the left ear up and over to the middle of the forehead, in heights of the face; the right is its mirror.
HAIRLINES: Mapping[str, tuple[tuple[float, float], ...]] = {
    "a": ((-0.46, 0.14), (-0.40, 0.0), (-0.38, -0.2), (-0.36, -0.34), (-0.2, -0.28), (0.0, -0.28)),
    "b": ((-0.62, -0.24), (-0.45, -0.2), (-0.43, -0.3), (-0.42, -0.55), (-0.35, -0.68), (-0.2, -0.73), (0.0, -0.74)),
    "c": ((-0.5, -0.16), (-0.42, -0.14), (-0.41, -0.3), (-0.38, -0.48), (-0.3, -0.58), (-0.15, -0.61), (0.0, -0.61)),
}
FRINGED = frozenset("ac")  # dark strands over pale skin, or short dark hair: the colour tells the line finely


def _disc(x: float, y: float, radius: float) -> NDArray[np.bool_]:
    centre = (np.array([x, y]) * UNIT + CENTRE).astype(int)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(mask, (int(centre[0]), int(centre[1])), int(radius * UNIT), 1, -1)
    return mask > 0


def _alpha(canvas: _Canvas) -> Pixels:
    outline = (canvas.outline * UNIT + CENTRE).astype(np.int32)
    mask = cv2.fillPoly(np.zeros((SIZE, SIZE), np.float32), [outline], 1.0)
    mask = cv2.GaussianBlur(cv2.erode(mask, np.ones((5, 5))), (0, 0), 2.5)
    fade = step(0.62, 0.53, (np.arange(SIZE) - CENTRE[1]) / UNIT)  # the neck is painted below the chin
    return np.asarray(mask * fade[:, None], np.float32)


def _eyes_closed(picture: Pixels, canvas: _Canvas) -> Pixels:
    """The same person with skin over the eyes and the lashes on the lower lid."""
    eyes = np.zeros((SIZE, SIZE), np.uint8)
    lashes = np.zeros((SIZE, SIZE), np.float32)
    for upper, lower in LIDS:
        rim = canvas.points[[*upper, *lower[::-1]], :2] * UNIT + CENTRE
        cv2.fillPoly(eyes, [np.round(rim).astype(np.int32)], 1)
        line = canvas.points[list(lower), :2] * UNIT + CENTRE
        cv2.polylines(lashes, [np.round(line * 8).astype(np.int32)], False, 1.0, 2, cv2.LINE_AA, 3)
    grown = cv2.dilate(eyes, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (17, 19)))
    filled = cv2.inpaint(np.clip(picture, 0, 255).astype(np.uint8), grown, 9, cv2.INPAINT_TELEA)
    soft = cv2.GaussianBlur(grown.astype(np.float32), (0, 0), 3)[..., None]
    skin = picture * (1 - soft) + cv2.GaussianBlur(filled.astype(np.float32), (0, 0), 2.5) * soft
    dark = cv2.GaussianBlur(lashes, (0, 0), 1.6)[..., None]
    return np.asarray(skin * (1 - 0.5 * np.clip(dark, 0, 1)), np.float32)


def _hex(colour: str) -> Colour:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return float(red), float(green), float(blue)

"""Pictures of documents as the network of lines sees them, with where the lines of the zone are. Nothing else is labelled."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from alicem.mrzscan.characters import ALPHABET
from alicem.mrzscan.light import even
from alicem.mrzscan.lines import CELL, REACH, UNIT
from alicem.mrzscan.specimen.lettering import CAPITAL, line
from alicem.mrzscan.training.camera import Floats, Rng, blur, chance, clouds, develop, light, waves

SIDE = 192  # of a picture
DRAWN = 20  # pixels from letter to letter on the page as it is drawn
PAGE = (760, 1020)
VIEWS = 4  # of one page
CORE = 0.6  # of a line's height is labelled, so that lines stay apart
FORMATS = ((2, 44), (2, 36), (3, 30))
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Page:
    ink: Floats
    zone: Floats  # 1 in the middle of the lines of the zone
    paper: Floats
    rows: tuple[float, float, float, float]  # left, top, right, bottom of the zone


def batch(rng: Rng, count: int) -> tuple[Floats, Floats]:
    """Pictures n × SIDE × SIDE × 1, and for each cell: line, pitch."""
    views: list[tuple[Floats, Floats]] = []
    while len(views) < count:
        page = _page(rng)
        views += [_view(rng, page) for _ in range(VIEWS)]
    return np.stack([view[0] for view in views[:count]])[..., None], np.stack([view[1] for view in views[:count]])


def _page(rng: Rng) -> Page:
    ink, zone = np.zeros(PAGE, np.uint8), np.zeros(PAGE, np.uint8)
    count, letters = FORMATS[rng.integers(len(FORMATS))]
    left = int(rng.integers(10, PAGE[1] - letters * DRAWN - 9))
    spacing = int(rng.uniform(1.35, 2.7) * DRAWN)
    top = int(PAGE[0] - rng.uniform(1, 5) * DRAWN - (count - 1) * spacing - 2 * DRAWN)
    if chance(rng, 0.85):
        for row in range(count):
            _write(rng, ink, zone, letters, left, top + row * spacing)
    else:
        top = PAGE[0]
    _print(rng, ink, top)
    paper = rng.uniform(90, 245) + rng.uniform(0, 25) * clouds(rng, PAGE, rng.uniform(10, 200))
    for _ in range(rng.integers(0, 3)):
        paper = paper + rng.uniform(2, 25) * waves(rng, PAGE, rng.uniform(6, 60))
    heavy = cv2.GaussianBlur(ink.astype(np.float32) / 255, (0, 0), rng.uniform(0.4, 1.8))
    heavy = np.clip((heavy - rng.uniform(0.25, 0.7)) * rng.uniform(1, 3) + 0.5, 0, 1) * (heavy > 0.02)
    box = (left, top, left + letters * DRAWN, min(PAGE[0], top + (count - 1) * spacing + 2 * DRAWN))
    return Page(heavy.astype(np.float32), zone.astype(np.float32), paper.astype(np.float32), box)


def _write(rng: Rng, ink: NDArray[np.uint8], zone: NDArray[np.uint8], letters: int, left: int, top: int) -> None:
    text = "".join(rng.choice(list(ALPHABET), letters))
    if chance(rng, 0.6):
        fill = int(rng.integers(1, letters - 4))
        at = int(rng.integers(2, letters - fill + 1)) if chance(rng, 0.5) else letters - fill
        text = text[:at] + "<" * fill + text[at + fill :]
    drawn = line(text, DRAWN)
    ink[top : top + 2 * DRAWN, left : left + drawn.shape[1]] |= drawn
    half = CAPITAL * DRAWN / 2 * CORE
    zone[round(top + DRAWN - half) : round(top + DRAWN + half), left : left + drawn.shape[1]] = 1


def _print(rng: Rng, ink: NDArray[np.uint8], bottom: int) -> None:
    """What else a document bears: lines of other type, boxes, a picture; and what a table bears around it."""
    for _ in range(rng.integers(4, 30)):
        size, weight = rng.uniform(0.3, 1.3), int(rng.integers(1, 4))
        text = "".join(rng.choice(list(ALPHABET + "abcdefghijklmnopqrstuvwxyz      .,/-"), rng.integers(2, 50)))
        face = int(rng.choice([0, 1, 2, 3, 4, 5, 16, 17]))
        at = (int(rng.integers(-40, PAGE[1] - 80)), int(rng.integers(10, PAGE[0])))
        if at[1] < bottom - 4:
            cv2.putText(ink, text, at, face, size, int(rng.integers(120, 256)), weight, cv2.LINE_AA)
    for _ in range(rng.integers(0, 5)):
        a = rng.integers((0, 0), (PAGE[1], max(40, bottom - 30)))
        b = np.minimum(a + rng.integers(10, 400, 2), (PAGE[1], max(40, bottom - 12)))
        if chance(rng, 0.4):
            patch = ink[a[1] : b[1], a[0] : b[0]]
            shade = 128 + 120 * clouds(rng, patch.shape, rng.uniform(4, 60)) if min(patch.shape) > 2 else patch
            ink[a[1] : b[1], a[0] : b[0]] = np.maximum(patch, np.clip(shade, 0, 255).astype(np.uint8))
        else:
            cv2.rectangle(ink, a.tolist(), b.tolist(), int(rng.integers(60, 256)), int(rng.integers(1, 5)))


def _view(rng: Rng, page: Page) -> tuple[Floats, Floats]:
    pitch = float(np.exp(rng.uniform(np.log(5), np.log(28))))
    there = _aim(rng, page, pitch / DRAWN)
    scale = pitch / DRAWN

    def seen(canvas: Floats) -> Floats:
        return np.asarray(cv2.warpPerspective(canvas, there, (SIDE, SIDE)), np.float32)

    inside = seen(np.ones(PAGE, np.float32))
    table = rng.uniform(0, 255) + rng.uniform(0, 60) * clouds(rng, (SIDE, SIDE), rng.uniform(3, 120))
    if chance(rng, 0.25):
        table = table * (1 - rng.uniform(0.2, 0.9) * _text(rng, pitch))
    if chance(rng, 0.4):
        table = table + rng.uniform(5, 60) * waves(rng, (SIDE, SIDE), rng.uniform(4, 60))
    ink = cv2.GaussianBlur(page.ink, (0, 0), 0.4 / scale) if scale < 1 else page.ink
    picture = seen(page.paper) * (1 - rng.uniform(0.35, 0.95) * seen(np.asarray(ink, np.float32)))
    picture = inside * picture + (1 - inside) * table
    shot = develop(rng, blur(rng, light(rng, picture.astype(np.float32)), pitch))
    return even(shot, REACH), _truth(seen(page.zone), there)


def _text(rng: Rng, pitch: float) -> Floats:
    """A page of print, of letters about as large as those of the zone."""
    ink = np.zeros((SIDE, SIDE), np.uint8)
    size, weight, face = (
        pitch / 20 * rng.uniform(0.5, 1.5),
        int(rng.integers(1, 3)),
        int(rng.choice([0, 1, 2, 3, 4, 5])),
    )
    for top in np.arange(0, SIDE, 20 * size * rng.uniform(1.3, 2.5)):
        text = "".join(rng.choice(list(ALPHABET + "abcdefghijklmnopqrstuvwxyz     "), 60))
        cv2.putText(ink, text, (int(rng.integers(-30, 30)), int(top)), face, size, 255, weight, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), float(rng.uniform(0, 360)), 1.2)
    return np.asarray(cv2.warpAffine(ink, turn, (SIDE, SIDE)) / 255, np.float32)


def _aim(rng: Rng, page: Page, scale: float) -> Matrix:
    """From the page to the picture: any turn, seen from the side, mostly where the zone is."""
    left, top, right, bottom = page.rows
    point = rng.uniform((left, top), (right, bottom)) if chance(rng, 0.8) else rng.uniform((0, 0), PAGE[::-1])
    turn = rng.uniform(0, 2 * np.pi)
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    away, flat, there = np.eye(3), np.eye(3), np.eye(3)
    away[:2, 2] = -point
    side = rng.uniform(0, np.pi)
    spin = np.array([[np.cos(side), -np.sin(side)], [np.sin(side), np.cos(side)]])
    flat[:2, :2] = linear @ spin @ np.diag([1, rng.uniform(0.6, 1)]) @ spin.T * scale
    flat[2, :2] = rng.normal(0, 0.15, 2) / max(PAGE)
    there[:2, 2] = rng.uniform(0.15 * SIDE, 0.85 * SIDE, 2)
    return np.asarray(there @ flat @ away, np.float64)


def _truth(zone: Floats, there: Matrix) -> Floats:
    cells = SIDE // CELL
    heat = cv2.resize(zone, (cells, cells), interpolation=cv2.INTER_AREA)
    y, x = (np.mgrid[:cells, :cells] + 0.5) * CELL
    at = np.stack([x, y, np.ones_like(x)]).reshape(3, -1)
    back = np.linalg.inv(there) @ at
    back /= back[2]
    ahead = there @ (back + np.array([[DRAWN], [0], [0]]))
    pitch = np.hypot(*(ahead / ahead[2] - at)[:2]).reshape(cells, cells)
    return np.stack([heat, np.log2(np.maximum(pitch, 0.5) / UNIT)], -1).astype(np.float32)

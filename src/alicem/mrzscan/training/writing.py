"""Lines of OCR-B as the network of characters sees them, with what stands in each column. Text by chance: no words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from alicem.mrzscan.characters import ALPHABET, BLANK, COLUMN, PITCH, REACH, ROWS
from alicem.mrzscan.light import even
from alicem.mrzscan.specimen.lettering import line
from alicem.mrzscan.training.camera import Floats, Grey, Rng, blur, chance, clouds, develop, light, waves

DRAWN = 32  # pixels from letter to letter as they are drawn
LETTERS = 26  # drawn in a line, of which some 18 are seen
WIDTH = 18 * PITCH
HIGH = 5  # letters' widths that are drawn of the line and its neighbours
VIEWS = 2  # of one picture
IGNORED = -1
GLARE, MOVED = 0.35, 0.6  # chances
Labels = NDArray[np.int64]
Matrix = NDArray[np.float64]
Draw = Callable[[Rng, int], tuple[Floats, NDArray[Any]]]


@dataclass(frozen=True)
class Sample:
    strip: Floats  # ROWS × WIDTH, evened
    labels: Labels  # of each column: a place in ALPHABET, BLANK, or IGNORED between the two


def samples(rng: Rng) -> list[Sample]:
    """Views of one line: the same picture, aimed at differently."""
    text = words(rng)
    canvas = _canvas(rng, text)
    to_shot, size, pitch = _stand(rng, canvas.shape)
    soft = cv2.GaussianBlur(canvas, (0, 0), 0.4 * DRAWN / pitch) if pitch < DRAWN else canvas
    ink, off = (cv2.warpPerspective(flat, to_shot, size) for flat in (soft, _beyond(rng, text)))
    scene = (1 - off) * _paper(rng, np.asarray(ink, np.float32), pitch) + off * _table(rng, ink.shape, pitch)
    shot = develop(rng, blur(rng, light(rng, np.asarray(scene, np.float32), GLARE), pitch, MOVED))
    return [_view(text, shot, to_shot, _aim(rng, canvas.shape)) for _ in range(VIEWS)]


def _view(text: str, shot: Grey, to_shot: Matrix, to_strip: Matrix) -> Sample:
    there = to_strip @ np.linalg.inv(to_shot)
    seen = cv2.warpPerspective(shot, there, (WIDTH, ROWS), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Sample(even(np.asarray(seen, np.uint8), REACH), _labels(text, to_strip))


def words(rng: Rng) -> str:
    """Any character as often as any other, runs of fillers, runs of figures or letters; blanks where a line ends."""
    kinds = (ALPHABET, ALPHABET[:10], ALPHABET[10:36], ALPHABET, ALPHABET[10:36] + "<" * 8)
    text = ""
    while len(text) < LETTERS:
        if chance(rng, 0.2):
            text += "<" * int(rng.integers(2, 14))
        text += "".join(rng.choice(list(kinds[rng.integers(len(kinds))]), rng.integers(2, 16)))
    text = text[:LETTERS]
    if chance(rng, 0.3):
        text = " " * (cut := int(rng.integers(4, 14))) + text[cut:]
    if chance(rng, 0.3):
        text = text[: (cut := int(rng.integers(-14, -4)))] + " " * -cut
    return text


@cache
def _cell(character: str) -> Floats:
    return np.asarray(line(character, DRAWN) / 255, np.float32)


def _canvas(rng: Rng, text: str) -> Floats:
    """Ink of the line and of its neighbours; heavier or lighter, larger or smaller than drawn."""
    ink = np.zeros((HIGH * DRAWN, LETTERS * DRAWN), np.float32)
    spacing = rng.uniform(1.35, 2.7) * DRAWN
    size = rng.uniform(0.92, 1.08, 2)
    for shift in (-1, 0, 1):
        if shift == 0 or chance(rng, 0.7):
            row = text if shift == 0 else words(rng)
            _write(rng, ink, row, HIGH / 2 * DRAWN + shift * spacing, size)
    spread = rng.uniform(0.6, 2.6)
    level = rng.uniform(0.3, 0.7)
    soft = cv2.GaussianBlur(ink, (0, 0), spread)
    return np.asarray(np.clip((soft - level) * rng.uniform(1, 4) + 0.5, 0, 1), np.float32)


def _write(rng: Rng, ink: Floats, text: str, centre: float, size: NDArray[np.float64]) -> None:
    shake = rng.uniform(0, 0.03)
    for place, character in enumerate(text):
        if character == " ":
            continue
        x, y = rng.normal(0, shake, 2) * DRAWN
        scale = np.array([[size[0], 0, DRAWN / 2 * (1 - size[0]) + x], [0, size[1], DRAWN * (1 - size[1]) + y]])
        top = round(centre) - DRAWN
        rows = slice(max(top, 0), min(top + 2 * DRAWN, ink.shape[0]))
        cell = cv2.warpAffine(_cell(character), scale, (DRAWN, 2 * DRAWN))[rows.start - top : rows.stop - top]
        columns = slice(place * DRAWN, (place + 1) * DRAWN)
        ink[rows, columns] = np.maximum(ink[rows, columns], cell)


def _stand(rng: Rng, size: tuple[int, ...]) -> tuple[Matrix, tuple[int, int], float]:
    """From the canvas to the camera's pixels, 6 to 28 of them from letter to letter, seen from the side."""
    pitch = float(np.exp(rng.uniform(np.log(6), np.log(28))))
    turn, lean, flat = rng.uniform(-0.25, 0.25), rng.uniform(-0.2, 0.2), rng.uniform(0.65, 1.1)
    linear = _turn(turn) @ np.array([[1, lean], [0, flat]]) * pitch / DRAWN
    corners = np.array([[0, 0], [size[1], 0], [0, size[0]], size[::-1]]) @ linear.T
    low = corners.min(0) - rng.uniform(2, 3, 2)
    columns, rows = np.ceil(corners.max(0) - low + 2).astype(int)
    to_shot = np.eye(3)
    to_shot[:2, :2], to_shot[:2, 2] = linear, -low
    return to_shot, (int(columns), int(rows)), pitch


def _beyond(rng: Rng, text: str) -> Floats:
    """1 where the document has ended, a little away from the text."""
    off = np.zeros((HIGH * DRAWN, LETTERS * DRAWN), np.float32)
    before, after = len(text) - len(text.lstrip()), len(text.rstrip())
    if before and chance(rng, 0.6):
        off[:, : max(0, round((before - rng.uniform(0.7, 4)) * DRAWN))] = 1
    if after < LETTERS and chance(rng, 0.6):
        off[:, round((after + rng.uniform(0.7, 4)) * DRAWN) :] = 1
    return off


def _table(rng: Rng, size: tuple[int, ...], pitch: float) -> Floats:
    """What lies beyond: spots and stripes as large as letters, or other print."""
    table = rng.uniform(0, 255) + rng.uniform(0, 60) * clouds(rng, size, pitch * rng.uniform(0.15, 4))
    if chance(rng, 0.5):
        table = table + rng.uniform(5, 60) * waves(rng, size, pitch * rng.uniform(0.2, 3))
    if chance(rng, 0.3):
        ink = np.zeros(size, np.uint8)
        for top in np.arange(0, size[0], pitch * rng.uniform(1, 2.5)):
            text = "".join(rng.choice(list(ALPHABET + "abcdefghijklmnopqrstuvwxyz    "), 80))
            cv2.putText(ink, text, (0, int(top)), int(rng.integers(6)), pitch * rng.uniform(0.02, 0.07), 255, 1, 16)
        table = table * (1 - rng.uniform(0.3, 0.9) * ink / 255)
    return np.asarray(table, np.float32)


def _paper(rng: Rng, ink: Floats, pitch: float) -> Floats:
    paper = rng.uniform(80, 245) + rng.uniform(0, 20) * clouds(rng, ink.shape, pitch * rng.uniform(0.5, 6))
    if chance(rng, 0.6):
        paper = paper + rng.uniform(2, 28) * waves(rng, ink.shape, pitch * rng.uniform(0.25, 2.5))
    return np.asarray(paper * (1 - rng.uniform(0.3, 0.95) * ink), np.float32)


def _turn(angle: float) -> Matrix:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _aim(rng: Rng, size: tuple[int, ...]) -> Matrix:
    """From the canvas to the strip, as wrong as the finding of lines may be: place, size, turn, lean, perspective."""
    away = np.eye(3)
    away[:2, 2] = -size[1] / 2, -size[0] / 2
    grow = PITCH / DRAWN * np.diag([rng.uniform(0.88, 1.12), rng.uniform(0.78, 1.25)])
    linear = np.eye(3)
    linear[:2, :2] = _turn(rng.normal(0, 0.015)) @ np.array([[1, rng.normal(0, 0.1)], [0, 1]]) @ grow
    linear[2, :2] = rng.normal(0, 0.06, 2) / (LETTERS * DRAWN / 2)
    there = np.eye(3)
    there[:2, 2] = WIDTH / 2 + rng.uniform(-3, 3) * PITCH, ROWS / 2 + rng.normal(0, 1.3)
    return np.asarray(there @ linear @ away, np.float64)


def _labels(text: str, to_strip: Matrix) -> Labels:
    """A character within 0.18 of a letter's width, blank beyond 0.32, ignored between."""
    centres = np.array([[(place + 0.5) * DRAWN, HIGH * DRAWN / 2, 1] for place in range(LETTERS)]) @ to_strip.T
    x = centres[:, 0] / centres[:, 2]
    pitch = np.gradient(x)
    columns = (np.arange(WIDTH // COLUMN) + 0.5) * COLUMN
    away = np.abs(columns[:, None] - x) / pitch
    nearest = away.argmin(1)
    labels = np.array([ALPHABET.find(text[place]) for place in nearest])
    labels = np.where(labels < 0, BLANK, labels)
    distance = away.min(1)
    labels = np.where(distance > 0.32, BLANK, np.where((distance > 0.18) & (labels != BLANK), IGNORED, labels))
    return np.asarray(labels, np.int64)


def batch(rng: Rng, count: int) -> tuple[Floats, Labels]:
    found: list[Sample] = []
    while len(found) < count:
        found += samples(rng)
    return np.stack([one.strip for one in found[:count]])[..., None], np.stack([one.labels for one in found[:count]])

"""What a camera does to print, for training alone: light, blur, grain and compression in ranges wider than are read.

The pictures that judge (`alicem.mrzscan.specimen`) are taken by another camera: no code, seed or background is shared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Grey = NDArray[np.uint8]
Rng = np.random.Generator
Drawn = TypeVar("Drawn")


def from_seed(draw: Callable[[Rng, int], Drawn], seed: int, size: int, place: int) -> Drawn:
    """The batch at this place of the sequence that a seed stands for."""
    cv2.setNumThreads(1)
    return draw(np.random.default_rng([seed, place]), size)


def chance(rng: Rng, share: float) -> bool:
    return bool(rng.random() < share)


def clouds(rng: Rng, size: tuple[int, ...], grain: float) -> Floats:
    """Smooth noise between -1 and 1, its spots some `grain` pixels wide."""
    spots = rng.uniform(-1, 1, [max(2, int(side / grain) + 2) for side in size]).astype(np.float32)
    return np.asarray(cv2.resize(spots, size[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def waves(rng: Rng, size: tuple[int, ...], length: float) -> Floats:
    """Fine curved lines, as the background of a document has, between -1 and 1."""
    turn = rng.uniform(0, np.pi)
    y, x = (np.arange(side, dtype=np.float32) * np.float32(2 * np.pi / length) for side in size)
    phase = (x * np.float32(np.cos(turn)))[None] + (y * np.float32(np.sin(turn)))[:, None]
    return np.asarray(np.sin(phase + clouds(rng, size, 6 * length) * np.float32(rng.uniform(0, 4))), np.float32)


def light(rng: Rng, picture: Floats, glare: float = 0.2) -> Floats:
    """Light that falls off, the edge of a shadow, with this chance a spot of glare."""
    rows, columns = picture.shape
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    y, x = y / max(rows, columns), x / max(rows, columns)
    turn = rng.uniform(0, 2 * np.pi)
    lit = picture * (1 + rng.uniform(0, 0.6) * (x * np.cos(turn) + y * np.sin(turn)))
    if chance(rng, 0.4):
        turn, place = rng.uniform(0, 2 * np.pi), rng.uniform(-0.2, 0.9)
        edge = (x * np.cos(turn) + y * np.sin(turn) - place) / rng.uniform(0.003, 0.2)
        lit = lit * (1 - rng.uniform(0.1, 0.8) / (1 + np.exp(-np.clip(edge, -30, 30))))
    if chance(rng, glare):
        centre = rng.uniform(0, 1, 2)
        spot = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / rng.uniform(0.02, 0.25) ** 2)
        lit = lit + rng.uniform(20, 160) * spot
    return np.asarray(lit, np.float32)


def blur(rng: Rng, picture: Floats, pitch: float, moved: float = 0.3) -> Floats:
    """Out of focus by up to a fifth of the distance of two letters, with this chance moved by up to half of it."""
    spread = pitch * rng.uniform(0, 0.2) * rng.choice([0.4, 1.0])
    if spread > 0.2:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), spread), np.float32)
    if chance(rng, moved):
        streak = _motion(rng.uniform(0.1, 0.5) * pitch, rng.uniform(0, np.pi))
        picture = np.asarray(cv2.filter2D(picture, -1, streak), np.float32)
    return picture


def _motion(length: float, turn: float) -> Floats:
    half = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for step in np.linspace(-length / 2, length / 2, 8 * half):
        kernel[round(half + step * np.sin(turn)), round(half + step * np.cos(turn))] += 1
    return np.asarray(kernel / kernel.sum(), np.float32)


def develop(rng: Rng, picture: Floats) -> Grey:
    """Grain, sometimes sharpened, eight bits, compressed."""
    picture = picture + rng.normal(0, rng.uniform(0, 14) * rng.choice([0.3, 1.0]), picture.shape).astype(np.float32)
    if chance(rng, 0.2):
        picture = picture + rng.uniform(0.3, 1.5) * (picture - cv2.GaussianBlur(picture, (0, 0), 1.2))
    seen = np.clip(picture, 0, 255).astype(np.uint8)
    if chance(rng, 0.7):
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 95))]
        seen = np.asarray(cv2.imdecode(cv2.imencode(".jpg", seen, quality)[1], cv2.IMREAD_GRAYSCALE), np.uint8)
    return seen

"""What lies under a document: wood, cloth, tiles, marble, print. They judge; training has grounds of its own."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]  # rows × columns × 3, 0 to 255
Rng = np.random.Generator


def table(rng: Rng, rows: int, columns: int) -> Picture:
    tone = KINDS[rng.integers(len(KINDS))](rng, rows, columns)
    colour = rng.uniform(0.6, 1.1, 3)
    return np.clip(tone[..., None] * colour, 0, 255).astype(np.float32)


def _fractal(rng: Rng, rows: int, columns: int, stretch: float = 1) -> NDArray[np.float32]:
    """Noise at six scales, between about -1 and 1; `stretch` draws it out along the columns."""
    whole = np.zeros((rows, columns), np.float32)
    for octave in range(1, 7):
        size = (max(2, round(2**octave / stretch)), 2**octave)
        spots = rng.normal(0, 1, size[::-1]).astype(np.float32)
        whole += np.asarray(cv2.resize(spots, (columns, rows)), np.float32) / np.float32(1.6**octave)
    return whole


def _wood(rng: Rng, rows: int, columns: int) -> NDArray[np.float32]:
    rings = np.linspace(0, rng.uniform(4, 25), rows)[:, None] + 0.8 * _fractal(rng, rows, columns, 8)
    grain = 10 * _fractal(rng, rows, columns, 30)
    tone = rng.uniform(60, 190) + rng.uniform(8, 30) * np.abs(rings % 2 - 1) + grain
    return np.asarray(tone, np.float32)


def _cloth(rng: Rng, rows: int, columns: int) -> NDArray[np.float32]:
    y, x = np.mgrid[:rows, :columns]
    step = int(rng.integers(4, 16))
    weave = np.where(((y // step) + (x // step)) % 2 == 0, y % step, x % step) / step
    tone = rng.uniform(30, 200) + rng.uniform(10, 50) * weave + 8 * _fractal(rng, rows, columns)
    return np.asarray(tone, np.float32)


def _tiles(rng: Rng, rows: int, columns: int) -> NDArray[np.float32]:
    y, x = np.mgrid[:rows, :columns]
    step, low, high = int(rng.integers(30, 200)), rng.uniform(20, 130), rng.uniform(130, 250)
    joints = (y % step < step / 25) | (x % step < step / 25)
    board = np.where(((y // step) + (x // step)) % 2 == 0, low, high)
    return (np.where(joints, 60, board) + 6 * _fractal(rng, rows, columns)).astype(np.float32)


def _marble(rng: Rng, rows: int, columns: int) -> NDArray[np.float32]:
    veins = np.abs(np.sin(3 * _fractal(rng, rows, columns) + np.linspace(0, 9, columns)))
    return (rng.uniform(90, 170) + rng.uniform(20, 80) * veins**0.3).astype(np.float32)


def _print(rng: Rng, rows: int, columns: int) -> NDArray[np.float32]:
    """A page of print: words as dashes of letters, in lines."""
    page = np.full((rows, columns), rng.uniform(190, 250), np.float32)
    size = int(rng.integers(8, 26))
    for top in range(size, rows - size, round(size * 1.7)):
        x = int(rng.integers(5, 60))
        while x < columns - size:
            for _ in range(rng.integers(2, 11)):
                tall = int(size * rng.choice([0.6, 0.6, 0.9]))
                end = (x + int(size * rng.uniform(0.2, 0.5)), top)
                cv2.rectangle(page, (x, top - tall), end, float(rng.uniform(20, 90)), max(1, size // 8), cv2.LINE_AA)
                x += round(size * 0.62)
            x += round(size * 0.6)
    return page


KINDS: tuple[Callable[[Rng, int, int], NDArray[np.float32]], ...] = (_wood, _cloth, _tiles, _marble, _print)

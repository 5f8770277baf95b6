"""A screen before a camera: its light comes from a grid of red, green and blue, and the camera's grid is another.

What a pixel of the camera sees of the display's cell is computed, not sampled: the cell is blurred by the lens and by
the light-sensitive part of the pixel (in the frequency domain, where the shifts of the colour filters are a phase), and
looked up where the pixel looks. So a grid that the camera does not resolve leaves nothing, and one that it nearly
resolves leaves the slow waves that everybody knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.attacks.scene import FOCAL, Held, Picture, Pixels, laid, seen_at

CELL = 64  # samples of a cell of two by two pixels of a display
GLOW = 0.012  # of full light: a black pixel of a display is not black, and its glass reflects the room


def stripes() -> Pixels:
    """LCD: red, green and blue side by side, dark between them and between rows."""
    cell = np.zeros((CELL, CELL, 3), np.float32)
    each = CELL // 2 / 3
    for pixel in range(2):
        for colour in range(3):
            start = pixel * CELL // 2 + colour * each
            cell[:, round(start + 0.1 * each) : round(start + 0.9 * each), colour] = 1
        cell[(pixel + 1) * CELL // 2 - CELL // 20 : (pixel + 1) * CELL // 2] = 0
    return _as_bright(cell)


def diamonds() -> Pixels:
    """OLED of telephones: a green dot a pixel, red and blue dots every other one, in turns."""
    cell = np.zeros((CELL, CELL, 3), np.float32)
    quarter = CELL // 4
    for row in range(2):
        for column in range(2):
            x, y = column * CELL // 2, row * CELL // 2
            cv2.circle(
                green := np.zeros((CELL, CELL), np.float32), (x + quarter // 2, y + quarter), CELL // 12, 1.0, -1
            )
            cell[..., 1] += green
            cv2.circle(
                other := np.zeros((CELL, CELL), np.float32), (x + 3 * quarter // 2, y + quarter), CELL // 9, 1.0, -1
            )
            cell[..., 0 if (row + column) % 2 == 0 else 2] += other
    return _as_bright(cell)


def _as_bright(cell: Pixels) -> Pixels:
    """As bright in each colour, on average, as the picture says."""
    return np.asarray(cell / cell.mean((0, 1)), np.float32)


@dataclass(frozen=True)
class Display:
    """Rows of a picture of four to three that fills it, and how its pixels are made."""

    name: str
    rows: int
    width_cm: float
    cell: Callable[[], Pixels] = stripes


@dataclass(frozen=True)
class Sensor:
    """How the attacked camera comes to its 640 × 480: the part of each of its pixels that gathers light for one colour,
    the blur of the lens, and how far apart its red and blue are; all in pixels of what it sends."""

    name: str
    aperture: float
    blur: float
    apart: float


SENSORS = (
    Sensor("averaging", 1.0, 0.35, 0.0),  # many pixels averaged to one: the kindest to the attacker
    Sensor("binning", 0.5, 0.2, 0.25),  # two by two to one, as telephones do in a preview
    Sensor("skipping", 0.25, 0.12, 0.125),  # lines and columns left out, as cheap ones do
)
DISPLAYS = (
    Display("laptop 768", 768, 34.0),
    Display("laptop 1080", 1080, 34.0),
    Display("tablet 1536", 1536, 20.0),
    Display("laptop 2160", 2160, 34.0),
    Display("telephone 1080 OLED", 1080, 9.2, diamonds),
)


def filmed(display: Display, sensor: Sensor, playing: Picture, held: Held) -> Pixels:
    """The display, which shows a picture, as the camera sees it before its own grain and JPEG."""
    where = seen_at(held)
    lit = cv2.LUT(laid(playing, where, display.width_cm, (0, 0, 0)), _light())
    pitch = display.rows * 4 / 3 / display.width_cm  # pixels of the display a centimetre
    table = _cell_through(display.cell, sensor, round(pitch * held.distance / FOCAL, 2))
    place = [(axis * np.float32(pitch * CELL / 2)).astype(np.int32) & (CELL - 1) for axis in where]
    light = lit * table[place[1] * CELL + place[0]] + np.float32(GLOW)
    return np.asarray(255 * np.sqrt(np.clip(light, 0, 1)), np.float32)


@cache
def _light() -> NDArray[Any]:
    """Of the values of a picture; the eye's curve is taken as a square, there and back."""
    values = (np.arange(256) / 255) ** 2
    return np.asarray(values[:, None] * [0.94, 1.0, 1.08], np.float32).reshape(256, 1, 3)


@lru_cache(maxsize=512)
def _cell_through(cell: Callable[[], Pixels], sensor: Sensor, step: float) -> NDArray[np.float32]:
    """What a pixel sees of the cell, by where it looks; `step` is the pixels of the display that it covers."""
    cycles = np.fft.fftfreq(CELL, d=2 / CELL) * step  # a pixel of the camera
    through = np.sinc(cycles * sensor.aperture) * np.exp(-2 * (np.pi * sensor.blur * cycles) ** 2)
    red, blue = (np.exp(2j * np.pi * shift * cycles) for shift in (-sensor.apart, sensor.apart))
    shifts = [np.outer(red, red), (np.outer(red, blue) + np.outer(blue, red)) / 2, np.outer(blue, blue)]
    spectra = np.fft.fft2(cell(), axes=(0, 1)) * np.outer(through, through)[..., None] * np.stack(shifts, axis=2)
    seen = np.fft.ifft2(spectra, axes=(0, 1)).real
    return np.asarray(seen.reshape(CELL * CELL, 3), np.float32)

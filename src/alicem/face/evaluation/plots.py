"""Two pictures of a set of scores, as PNG: the detection error trade-off, and how both kinds of scores lie."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from alicem.face.compare import OperatingPoint
from alicem.face.evaluation.rates import Scores

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 660, 90, 30, 76, 70
INK, GRID, GENUINE, IMPOSTOR, LIMIT = "#1e1e2e", "#d8d8e0", "#2f6f4f", "#b3402f", "#5b5bd6"
DECADES = (-5, 0)  # of the DET curve's axes: one in a hundred thousand to one


class Chart:
    """Axes of a picture, and lines between values."""

    def __init__(self, title: str, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.image = Image.new("RGB", (WIDTH, HEIGHT), "white")
        self.draw = ImageDraw.Draw(self.image)
        self.font = ImageFont.load_default(18)
        self._x, self._y = x, y
        self.draw.text((LEFT, 10), title, INK, self.font)

    def place(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self._x[0]) / (self._x[1] - self._x[0])
        up = (y - self._y[0]) / (self._y[1] - self._y[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: int = 3) -> None:
        self.draw.line([self.place(x, y) for x, y in points], colour, width)

    def grid(self, values: Sequence[float], labels: Sequence[str], *, across: bool) -> None:
        for value, label in zip(values, labels, strict=True):
            ends = [(value, self._y[0]), (value, self._y[1])] if across else [(self._x[0], value), (self._x[1], value)]
            self.line(ends, GRID, 1)
            x, y = self.place(*ends[0])
            self.draw.text(
                (x, y + 22) if across else (x - 14, y), label, INK, self.font, anchor="mm" if across else "rm"
            )

    def name(self, label: str, *, across: bool) -> None:
        where = ((WIDTH + LEFT - RIGHT) / 2, HEIGHT - 18) if across else (10, TOP - 22)
        self.draw.text(where, label, INK, self.font, anchor="mm" if across else "lm")


def det(genuine: Scores, impostors: Scores, file: Path) -> None:
    """Both error rates over all thresholds, on logarithmic axes; a rate of nothing is drawn at the edge."""
    places = np.unique(np.concatenate([genuine, impostors]))
    fnmr = np.searchsorted(np.sort(genuine), places) / len(genuine)
    fmr = 1 - np.searchsorted(np.sort(impostors), places) / len(impostors)
    chart = Chart(f"DET: {len(genuine)} pairs of one person, {len(impostors)} of two", DECADES, DECADES)
    decades = list(range(DECADES[0], DECADES[1] + 1))
    labels = [f"{10.0**decade:g}" for decade in decades]
    chart.grid(decades, labels, across=True)
    chart.grid(decades, labels, across=False)
    chart.name("false match rate", across=True)
    chart.name("false non-match rate", across=False)
    chart.line([(_decade(x), _decade(y)) for x, y in zip(fmr, fnmr, strict=True)], LIMIT)
    chart.image.save(file, "PNG")


def _decade(rate: float) -> float:
    return max(DECADES[0], math.log10(rate)) if rate > 0 else DECADES[0]


def histogram(genuine: Scores, impostors: Scores, point: OperatingPoint, file: Path) -> None:
    """How often each score was given, both kinds scaled to their own peak, with the two thresholds."""
    everything = np.concatenate([genuine, impostors, [point.accept, point.refuse]])
    low, high = math.floor(everything.min()), math.ceil(everything.max())
    edges = np.linspace(low, high, 101)
    chart = Chart("Scores: one person (green), two (red); thresholds (blue)", (low, high), (0, 1.05))
    ticks = list(range(low, high + 1))
    chart.grid(ticks, [str(tick) for tick in ticks], across=True)
    chart.name("standard deviations above different people", across=True)
    for values, colour in ((impostors, IMPOSTOR), (genuine, GENUINE)):
        counts, _ = np.histogram(values, edges)
        peak = max(1, int(counts.max()))
        chart.line([(float(x), float(y) / peak) for x, y in zip(edges, [*counts, 0], strict=True)], colour)
    for limit in (point.refuse, point.accept):
        chart.line([(limit, 0), (limit, 1.05)], LIMIT, 2)
    chart.image.save(file, "PNG")

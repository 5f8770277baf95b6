"""Two pictures of a set of scores, as PNG: the detection error trade-off, and how both kinds of scores lie."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Words:
    """What is written on a picture of two kinds of scores; the first is to pass, the second is not."""

    det: str
    first_error: str
    second_error: str
    scores: str
    axis: str


FACES = Words(
    "DET: {} pairs of one person, {} of two",
    "false non-match rate",
    "false match rate",
    "Scores: one person (green), two (red); thresholds (blue)",
    "standard deviations above different people",
)


def det(genuine: Scores, impostors: Scores, file: Path, words: Words = FACES) -> None:
    """Both error rates over all thresholds, on logarithmic axes; a rate of nothing is drawn at the edge."""
    places = np.unique(np.concatenate([genuine, impostors]))
    fnmr = np.searchsorted(np.sort(genuine), places) / len(genuine)
    fmr = 1 - np.searchsorted(np.sort(impostors), places) / len(impostors)
    chart = Chart(words.det.format(len(genuine), len(impostors)), DECADES, DECADES)
    decades = list(range(DECADES[0], DECADES[1] + 1))
    labels = [f"{10.0**decade:g}" for decade in decades]
    chart.grid(decades, labels, across=True)
    chart.grid(decades, labels, across=False)
    chart.name(words.second_error, across=True)
    chart.name(words.first_error, across=False)
    chart.line([(_decade(x), _decade(y)) for x, y in zip(fmr, fnmr, strict=True)], LIMIT)
    chart.image.save(file, "PNG")


def _decade(rate: float) -> float:
    return max(DECADES[0], math.log10(rate)) if rate > 0 else DECADES[0]


def histogram(genuine: Scores, impostors: Scores, point: OperatingPoint, file: Path) -> None:
    """How often each score was given, with the two thresholds."""
    spread(genuine, impostors, (point.refuse, point.accept), file, FACES)


def spread(first: Scores, second: Scores, limits: Sequence[float], file: Path, words: Words) -> None:
    """How often each score was given, both kinds scaled to their own peak, with the thresholds."""
    everything = np.concatenate([first, second, limits])
    whole = np.ptp(everything) > WIDE
    low, high = (math.floor(everything.min()), math.ceil(everything.max())) if whole else _around(everything)
    edges = np.linspace(low, high, 101)
    chart = Chart(words.scores, (low, high), (0, 1.05))
    ticks = [float(tick) for tick in (range(int(low), int(high) + 1) if whole else np.linspace(low, high, 6))]
    chart.grid(ticks, [f"{tick:.3g}" for tick in ticks], across=True)
    chart.name(words.axis, across=True)
    for values, colour in ((second, IMPOSTOR), (first, GENUINE)):
        counts, _ = np.histogram(values, edges)
        peak = max(1, int(counts.max()))
        chart.line([(float(x), float(y) / peak) for x, y in zip(edges, [*counts, 0], strict=True)], colour)
    for limit in limits:
        chart.line([(limit, 0), (limit, 1.05)], LIMIT, 2)
    chart.image.save(file, "PNG")


WIDE = 4.0  # between the least and the greatest score: from there on, ticks are whole numbers


def _around(values: Scores) -> tuple[float, float]:
    margin = max(1e-3, float(np.ptp(values)) * 0.05)
    return float(values.min()) - margin, float(values.max()) + margin

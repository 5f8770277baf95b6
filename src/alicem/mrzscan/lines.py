"""Where lines of OCR-B are in a picture: a network says for each cell whether it lies on one, and its size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from alicem.mrzscan import networks
from alicem.mrzscan.light import Grey, even

CELL = 4  # pixels of the picture that make a cell of the network's raster
REACH = 65  # pixels over which light is evened
UNIT = 8.0  # pixels from letter to letter that the network calls 0; twice as many it calls 1
SHARE = 0.4  # of a cell, from which it counts as on a line
LEAST = 10  # letters a fragment of a line has
MOST = 24  # fragments that are looked at, the longest first
Points = NDArray[np.float64]  # n × 2: x, y in pixels


@dataclass(frozen=True)
class Line:
    """The middle of the letters, from the first to the last, in the picture's pixels; y = bend(x) on its own axes.

    Which way it is read is for the letters to say: `reversed` is the same line upside down.
    """

    origin: Points  # of the axes: 2
    along: Points  # unit vector: 2
    bend: tuple[float, float, float]  # of the middle across that direction: a x² + b x + c
    start: float
    end: float
    pitch: float  # pixels from letter to letter, within a third or so

    @property
    def across(self) -> Points:
        """Unit vector towards the next line."""
        return np.array([-self.along[1], self.along[0]])

    def at(self, x: Points) -> Points:
        """Points of the middle, n × 2."""
        return self.origin + np.outer(x, self.along) + np.outer(np.polyval(self.bend, x), self.across)

    def reversed(self) -> Line:
        a, b, c = self.bend
        return replace(self, along=-self.along, bend=(-a, b, -c), start=-self.end, end=-self.start)


def find(picture: Grey) -> list[Line]:
    """Every line that may belong to a zone, as long as ten letters. The picture has at most some 1,600 pixels a side."""
    down, right = (-side % CELL for side in picture.shape)
    whole = cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_REPLICATE)
    heat, sizes = networks.run("lines", even(np.asarray(whole, np.uint8), REACH)[None])[0]
    shares = 1 / (1 + np.exp(-heat))
    count, owner, stats, _ = cv2.connectedComponentsWithStats((shares > SHARE).astype(np.uint8))
    largest = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[:MOST]
    fragments = [_cells(owner == label, shares, sizes) for label in largest if count > 1]
    lines = [_line(cells) for cells in _joined([one for one in fragments if len(one) > 5])]
    return [line for line in lines if line.end - line.start > LEAST * line.pitch]


def _cells(mask: NDArray[np.bool_], shares: NDArray[np.float32], sizes: NDArray[np.float32]) -> Points:
    """n × 4: x, y in pixels, share of being a line, size."""
    y, x = np.nonzero(mask)
    places = (np.stack([x, y]) + 0.5) * CELL
    return np.vstack([places, shares[y, x], sizes[y, x]]).T.astype(np.float64)


def _axes(cells: Points) -> tuple[Points, Points, Points]:
    """Middle, direction, and places along and across (n × 2)."""
    weights = cells[:, 2:3]
    middle = (cells[:, :2] * weights).sum(0) / weights.sum()
    spread = (cells[:, :2] - middle) * np.sqrt(weights)
    along = np.linalg.eigh(spread.T @ spread)[1][:, 1]
    there = np.stack([along, [-along[1], along[0]]], 1)
    return middle, along, (cells[:, :2] - middle) @ there


def _joined(fragments: list[Points]) -> list[Points]:
    """Fragments that continue one another made one: glare or a fold may cut a line."""
    whole: list[Points] = []
    for one in sorted(fragments, key=len, reverse=True):
        for place, other in enumerate(whole):
            if _continues(other, one):
                whole[place] = np.vstack([other, one])
                break
        else:
            whole.append(one)
    return whole


def _continues(line: Points, other: Points) -> bool:
    """Whether `other` lies on the axis of `line`, within a dozen letters of its end, and is as large."""
    middle, along, places = _axes(line)
    size = float(line[:, 3].mean())
    if len(line) < 12 or abs(float(other[:, 3].mean()) - size) > 0.5:
        return False
    x, y = ((other[:, :2] - middle) @ np.stack([along, [-along[1], along[0]]], 1)).T
    gap = max(x.min() - places[:, 0].max(), places[:, 0].min() - x.max()) / (UNIT * 2**size)
    return bool(-1 < gap < 12 and abs(float(y.mean())) < 0.45 * UNIT * 2**size)


def _line(cells: Points) -> Line:
    middle, along, places = _axes(cells)
    x, y = places.T
    half = CELL / 2 * float(np.abs(along).sum())
    length = max(np.ptp(x) + CELL, 1.0)
    pitch = UNIT * 2 ** float(np.average(cells[:, 3], weights=cells[:, 2]))
    degree = 2 if length > 12 * pitch else 1 if length > 4 * pitch else 0
    bend = np.zeros(3)
    bend[2 - degree :] = np.polyfit(x, y, degree, w=np.sqrt(cells[:, 2]))
    a, b, c = bend.tolist()
    return Line(middle, along, (a, b, c), float(x.min()) - half / 2, float(x.max()) + half / 2, pitch)

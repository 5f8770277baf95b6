"""Lines put together to zones, straightened and read: first each line for itself, then all of a zone as one plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from alicem.mrzscan import lines
from alicem.mrzscan.belief import fit
from alicem.mrzscan.characters import BLANK, COLUMN, PITCH, ROWS, Letters, Shares, columns, letters
from alicem.mrzscan.light import Grey
from alicem.mrzscan.lines import CELL, Line, Points
from emrtd.mrz import WIDTH, Kind

PARALLEL = 0.97  # cosine
COUNTS = tuple(sorted(set(WIDTH.values())))
MARGIN = 4  # letters seen beyond both ends of a line
SHARPEST = 22.0  # pixels from letter to letter that a strip can use; more are averaged
BEYOND = 6.0  # what a letter beyond the ends of its line takes from the sureness, or room for one within them
LOOSE, STIFF = 1.0, 3.0  # what letters unevenly set take from it, in a line as it is found and in one made straight
LEAST = -8.0  # a letter never speaks more strongly than this against a kind of zone
LONGEST = 60  # letters that a strip has room for, one of 44 being seen up to a quarter too small


@dataclass(frozen=True, repr=False)
class Zone:
    """What each letter of a zone may be; `score` is the mean over its letters of ln(letter or not), at most 8."""

    kind: Kind
    shares: Shares  # lines × letters × 37, logarithms
    score: float
    cut_off: bool = False  # a line goes to the picture's edge


@dataclass(frozen=True)
class Found:
    """Zones of a picture, the surest first; whether some line of a zone goes beyond the picture."""

    zones: tuple[Zone, ...] = ()
    cut_off: bool = False


@dataclass(frozen=True, repr=False)
class _Read:
    """A line read for itself: for each count of letters the best that it may be, and where these are."""

    line: Line
    letters: dict[int, Letters]
    points: dict[int, Points]  # middles of the letters, n × 2
    sureness: dict[int, float]


def find(picture: Grey, scale: float) -> Found:
    """Lines are sought in the picture made smaller by `scale`, then read in the picture itself."""
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture
    small = np.asarray(small, np.uint8)
    found = lines.find(small)
    zones = [_straight(picture, scale, kind, rows) for kind, rows in _choice(_read(small, _neighbours(found)))]
    return Found(tuple(zones), any(_cut_off(line, small.shape, line.pitch) for line in found))


def _cut_off(line: Line, size: tuple[float, ...], reach: float) -> bool:
    """Whether it begins or ends within so many pixels of the picture's edge."""
    ends = line.at(np.array([line.start, line.end]))
    return bool((ends < reach).any() or (ends > np.array(size[::-1]) - reach).any())


def _neighbours(found: list[Line]) -> list[Line]:
    """Those that another follows or that follow another: the rest need not be read."""
    return [
        line
        for line in found
        if any(_follows(one, other) for other in found for one in (line, line.reversed()) if other is not line)
    ]


def _read(picture: Grey, found: list[Line]) -> list[_Read]:
    """Each line is tried both ways up, and with the sizes of letters that its length and the network of lines suggest."""
    tries = [(way, pitch) for line in found for way in (line, line.reversed()) for pitch in _pitches(line)]
    if not tries:
        return []
    best: dict[int, _Read] = {}
    shares = columns([_strip(picture, line, pitch) for line, pitch in tries])
    for one, (line, pitch) in zip(shares, tries, strict=True):
        one[_beyond(line, pitch), BLANK] += BEYOND
    for (line, pitch), letters_of in zip(tries, letters(shares, COUNTS, LOOSE), strict=True):
        read = best.setdefault(id(line), _Read(line, {}, {}, {}))
        for count, one in letters_of.items():
            x = line.start + (one.places / PITCH - MARGIN) * pitch
            bare = max(0.0, (float(x[0]) - line.start + line.end - float(x[-1])) / pitch - 1)
            sureness = float((one.odds + one.shares.max(1)).sum() - BEYOND * bare)
            if sureness > read.sureness.get(count, -np.inf):
                read.letters[count], read.points[count], read.sureness[count] = one, line.at(x), sureness
    return list(best.values())


def _beyond(line: Line, pitch: float) -> NDArray[np.bool_]:
    """Which columns of its strip lie beyond the ends of a line, where no letter begins or ends."""
    places = (np.arange(LONGEST * PITCH // COLUMN) + 0.5) * COLUMN / PITCH - MARGIN
    return np.asarray((places < 0) | (places > (line.end - line.start) / pitch))


def _pitches(line: Line) -> list[float]:
    """Distances of letters that a line may have: so many letters fill it; or, where a part is hidden, as it seems."""
    counted = [(line.end - line.start) / count for count in COUNTS]
    pitches: list[float] = []
    for one in (*counted, line.pitch, 0.8 * line.pitch, 1.25 * line.pitch):
        if 0.6 < one / line.pitch < 1.6 and all(abs(one / other - 1) > 0.06 for other in pitches):
            pitches.append(one)
    return pitches


def _strip(picture: Grey, line: Line, pitch: float) -> Grey:
    """The line alone, along its bend, and what follows it: how many letters it has is not yet known."""
    x = line.start + ((np.arange(LONGEST * PITCH) + 0.5) / PITCH - MARGIN) * pitch
    y = (np.arange(ROWS) + 0.5 - ROWS / 2) * pitch / PITCH
    places = line.at(x)[None] + y[:, None, None] * line.across
    return _seen(picture, places)


def _seen(picture: Grey, places: Points) -> Grey:
    x, y = (places.transpose(2, 0, 1) - 0.5).astype(np.float32)
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _choice(read: list[_Read]) -> list[tuple[Kind, list[_Read]]]:
    """Kinds and lines of zones that share no line, the surest first."""
    ranked = sorted(((_sureness(*one), place, *one) for place, one in enumerate(_candidates(read))), reverse=True)
    chosen: list[tuple[Kind, list[_Read]]] = []
    for sureness, _, kind, rows in ranked:
        taken = {tuple(row.line.origin) for _, others in chosen for row in others}
        if sureness > 0 and taken.isdisjoint(tuple(row.line.origin) for row in rows):
            chosen.append((kind, rows))
    return chosen[:3]


def _sureness(kind: Kind, rows: list[_Read]) -> float:
    """Of letters, and of letters that such a zone may have: figures in the dates, say. Upside down it has none."""
    count = WIDTH[kind]
    shares = np.maximum(np.stack([row.letters[count].shares for row in rows]), LEAST)
    return sum(row.sureness[count] for row in rows) + fit(kind, shares)


def _candidates(read: list[_Read]) -> Iterator[tuple[Kind, list[_Read]]]:
    for first in read:
        for second in (one for one in read if _next(first.line, one.line)):
            yield from (("TD2", [first, second]), ("TD3", [first, second]))
            for third in (one for one in read if _next(second.line, one.line)):
                yield "TD1", [first, second, third]


def _next(upper: Line, lower: Line) -> bool:
    return bool(upper.along @ lower.along > 0) and _follows(upper, lower)


def _follows(upper: Line, lower: Line) -> bool:
    """Whether `lower` may be the next line of a zone: as long, and one line lower (1.6 to 2.6 letters' widths)."""
    if abs(float(upper.along @ lower.along)) < PARALLEL:
        return False
    there = lower.at(np.array([(lower.start + lower.end) / 2]))[0] - upper.origin
    x, y = float(there @ upper.along), float(there @ upper.across)
    gap = (y - float(np.polyval(upper.bend, x))) / ((upper.pitch + lower.pitch) / 2)
    length = max(upper.end - upper.start, lower.end - lower.start)
    off = abs(x - (upper.start + upper.end) / 2) / length
    return 0.9 < gap < 3.8 and off < 0.3 and 0.5 < upper.pitch / lower.pitch < 2


def _straight(picture: Grey, scale: float, kind: Kind, rows: list[_Read]) -> Zone:
    """The zone read again as one plane, if its letters lie on one."""
    count = WIDTH[kind]
    points = np.stack([row.points[count] for row in rows]) / scale
    cut_off = any(_cut_off(row.line, (picture.shape[0] * scale, picture.shape[1] * scale), CELL) for row in rows)
    plane = _plane(points, np.stack([row.letters[count].shares.max(1) for row in rows]))
    if plane is None:
        return _zone(kind, [row.letters[count] for row in rows], cut_off)
    pitch = float(np.linalg.norm(points[:, -1] - points[:, 0], axis=1).mean()) / (count - 1)
    less = min(1.0, SHARPEST / pitch)
    if less < 1:
        picture = np.asarray(cv2.resize(picture, None, fx=less, fy=less, interpolation=cv2.INTER_AREA), np.uint8)
    gaps = np.linalg.norm(np.diff(points, axis=0), axis=2).mean()
    strips = [_seen(picture, less * _raster(plane, points[row], row, pitch / float(gaps))) for row in range(len(rows))]
    return _zone(kind, [found[count] for found in letters(columns(strips), (count,), STIFF)], cut_off)


def _zone(kind: Kind, found: list[Letters], cut_off: bool) -> Zone:
    odds = np.stack([one.odds for one in found])
    return Zone(kind, np.stack([one.shares for one in found]), float(odds.mean()), cut_off)


def _plane(points: Points, sure: NDArray[np.float64]) -> Points | None:
    """From (letter, line) to pixels, by the letters that are read surely; None if they do not say."""
    rows, count = sure.shape
    places = np.stack(np.meshgrid(np.arange(count) + 0.5, np.arange(rows)), -1).astype(np.float64)
    chosen = sure > np.log(0.5)
    if (chosen.sum(1) < 8).any():
        chosen = np.ones_like(chosen)
    reach = 0.3 * float(np.linalg.norm(points[0, -1] - points[0, 0])) / count
    plane, _ = cv2.findHomography(places[chosen], points[chosen], cv2.RANSAC, reach, maxIters=300)
    return None if plane is None or abs(np.linalg.det(plane)) < 1e-9 else np.asarray(plane, np.float64)


def _raster(plane: Points, points: Points, row: int, width: float) -> Points:
    """Where the pixels of a strip are in the picture: on the plane, but for how the line itself bends.

    `width` of a letter is in distances of two lines.
    """
    count = len(points)
    back = cv2.perspectiveTransform(points[None], np.linalg.inv(plane))[0]
    ideal = np.arange(count) + 0.5
    off = back - np.stack([ideal, np.full(count, float(row))], 1)
    off = np.clip(off, -2, 2)
    bend = [np.polyfit(ideal, off[:, axis], 2) for axis in (0, 1)]
    x = (np.arange((count + 2 * MARGIN) * PITCH) + 0.5) / PITCH - MARGIN
    near = np.clip(x, 0, count)
    y = (np.arange(ROWS) + 0.5 - ROWS / 2) * width / PITCH
    u, v = x + np.polyval(bend[0], near), row + np.polyval(bend[1], near)
    places = np.stack(np.broadcast_arrays(u[None], v[None] + y[:, None]), -1)
    flat = cv2.perspectiveTransform(places.reshape(1, -1, 2), plane)
    return np.asarray(flat.reshape(*places.shape), np.float64)

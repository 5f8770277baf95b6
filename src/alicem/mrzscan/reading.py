"""Frames of one document, read and voted on: `read` takes them all, `Vote` one after another.

The vote is by letter: what each may be is multiplied over the frames, so that a letter hidden in one is taken from
another. No state is kept but that; no file, no log.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from alicem.mrzscan import zones
from alicem.mrzscan.belief import Belief, believe
from alicem.mrzscan.characters import Shares
from alicem.mrzscan.layouts import checked
from alicem.mrzscan.pictures import PHOTOGRAPH, grey
from alicem.mrzscan.zones import Found, Zone
from alicem.pictures import Bounds, UnusableImageError
from alicem.pictures import Flaw as PictureFlaw
from emrtd.errors import MalformedMrz
from emrtd.mrz import Kind, Mrz, parse

FRAMES_MAX = 12
SIDES = (800, 1600)  # pixels of the longer side in which lines are sought; the second where the first shows none
SCORE = 2.5  # of a zone: below, it is not one
SCORE_MOST = 8.0
SURE = 0.99  # of what check digits cover
STRAIN = 4.0  # more would be to mend what was printed wrong
NAMES = 0.9  # of what they do not cover
LEAST = -7.0  # one frame never speaks more strongly than this against a letter


class Flaw(StrEnum):
    """Why frames show no zone that can be believed; the later the further reading came."""

    NO_ZONE = "no_zone"
    CUT_OFF = "cut_off"
    UNCLEAR = "unclear"
    SEVERAL_ZONES = "several_zones"


@dataclass(frozen=True)
class Reading:
    """What frames say together. `mrz` is None until every check digit is right, and `flaw` then says why.

    `names_sure` says whether the letters that no check digit covers, the names among them, are beyond doubt too.
    """

    mrz: Mrz | None = field(default=None, repr=False)
    lines: tuple[str, ...] = field(default=(), repr=False)
    names_sure: bool = False
    flaw: Flaw | PictureFlaw | None = Flaw.NO_ZONE
    frames: int = 0


def read(frames: Iterable[bytes], bounds: Bounds = PHOTOGRAPH) -> Reading:
    """Read frames of one document, in turn, until every check digit is right and the names are sure.

    A frame is a whole JPEG, PNG or WebP file. None is asked for after the last that is needed, nor after `FRAMES_MAX`.
    Costs about a tenth of a second of one core for each frame of two million pixels, some 80 MB while it works, and
    once the loading of two networks (a tenth of a second). Never raises for what a frame holds: see `Reading.flaw`.
    """
    vote = Vote(bounds)
    for frame in frames:
        reading = vote.add(frame)
        if reading.names_sure or reading.flaw is Flaw.SEVERAL_ZONES or reading.frames == FRAMES_MAX:
            break
    return vote.reading


class Vote:
    """Frames of one document as they come: `add` each, and stop when the reading is good enough."""

    def __init__(self, bounds: Bounds = PHOTOGRAPH) -> None:
        self.reading = Reading()
        self._bounds = bounds
        self._sums: dict[Kind, Shares] = {}

    def add(self, frame: bytes) -> Reading:
        """What all frames so far say together."""
        self.reading = replace(self._after(frame), frames=self.reading.frames + 1)
        return self.reading

    def _after(self, frame: bytes) -> Reading:
        try:
            found = _find(frame, self._bounds)
        except UnusableImageError as error:
            return self._still(error.flaw)
        if not found.zones:
            return self._still(Flaw.CUT_OFF if found.cut_off else Flaw.NO_ZONE)
        alone = [_reading(zone.kind, believe(zone.kind, zone.shares)) for zone in found.zones]
        if len({_checked(one) for one in alone if one.mrz}) > 1:
            return Reading(flaw=Flaw.SEVERAL_ZONES)
        best = next((place for place, one in enumerate(alone) if one.mrz), 0)
        if alone[best].mrz is None and found.zones[best].cut_off:
            return self._still(Flaw.CUT_OFF)
        either = (self._together(found.zones[best]), alone[best])
        return self._agreed(max(either, key=lambda one: (one.mrz is not None, one.names_sure)))

    def _together(self, zone: Zone) -> Reading:
        """A zone speaks the more quietly the less its letters look like letters: it may be misplaced."""
        before = self._sums.get(zone.kind)
        shares = np.maximum(zone.shares, LEAST) * (zone.score / SCORE_MOST) ** 2
        self._sums[zone.kind] = shares if before is None else before + shares
        return _reading(zone.kind, believe(zone.kind, self._sums[zone.kind]))

    def _agreed(self, new: Reading) -> Reading:
        """A reading stands until a surer one of the same document comes; one of another document ends the vote."""
        old = self.reading
        if old.mrz is None or new.mrz is None:
            return new if new.mrz else self._still(Flaw.UNCLEAR)
        return new if _checked(new) == _checked(old) else Reading(flaw=Flaw.SEVERAL_ZONES)

    def _still(self, flaw: Flaw | PictureFlaw) -> Reading:
        """Nothing new but a flaw, which counts if no frame came further."""
        order = [*PictureFlaw, *Flaw]
        old = self.reading
        if old.flaw is None or (old.frames and order.index(old.flaw) > order.index(flaw)):
            return old
        return Reading(flaw=flaw)


def _find(frame: bytes, bounds: Bounds) -> Found:
    picture = grey(frame, bounds)
    found = Found()
    for side in SIDES:
        found = zones.find(picture, min(1.0, side / max(picture.shape)))
        found = replace(found, zones=tuple(zone for zone in found.zones if zone.score > SCORE))
        if found.zones or max(picture.shape) <= side:
            break
    return found


def _reading(kind: Kind, belief: Belief) -> Reading:
    if belief.checked < SURE or belief.strain > STRAIN:
        return Reading(flaw=Flaw.UNCLEAR)
    try:
        mrz = parse("".join(belief.lines))
    except MalformedMrz:
        return Reading(flaw=Flaw.UNCLEAR)
    return Reading(mrz, belief.lines, belief.unchecked >= NAMES, None)


def _checked(reading: Reading) -> str:
    """What check digits cover, as one string."""
    if reading.mrz is None:
        return ""
    return "".join(reading.lines[row][column] for row, column in checked(reading.mrz.kind))

"""Thresholds out of measured pairs: the scale of each network, the doubtful zone, and what is known of its errors.

Under `refuse` at most the wished share of different people is left; from `accept` on, none of them was seen, and the
share that may be there all the same is told. What is chosen on a set says nothing of it any more: judge on another.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from alicem.face.compare import OperatingPoint, Scale
from alicem.face.evaluation.pairs import Compared
from alicem.face.evaluation.rates import Rate, Scores, rates, share, threshold_at

IMPOSTORS_MIN, GENUINE_MIN = 1_000, 50  # under these, one in a thousand was not even looked for
MARGIN = 0.2  # standard deviations of different people, above the highest of them


class TooFewPairsError(Exception):
    """The list is too short for the rate that was asked."""


@dataclass(frozen=True)
class Calibration:
    point: OperatingPoint
    fmr_at_refuse: Rate
    fmr_at_accept: Rate
    fnmr_at_accept: Rate  # not accepted at once: refused or sent to the office
    fnmr_at_refuse: Rate
    eer: float

    def toml(self) -> str:
        """A `[compare]` table to put into the file of the face networks."""
        rows = [
            "[compare]",
            f"accept = {self.point.accept}",
            f"refuse = {self.point.refuse}",
            f'provenance = "{self.point.provenance}"',
        ]
        for name, scale in self.point.scales.items():
            rows += [f"[compare.{name}]", f"mean = {scale.mean}", f"deviation = {scale.deviation}"]
        return "\n".join(rows) + "\n"


def calibrate(compared: Compared, point: OperatingPoint, fmr: float, provenance: str) -> Calibration:
    """The operating point of `point`'s matchers for a false match rate `fmr` at `refuse`. Raises `TooFewPairsError`."""
    impostors, genuine = int((~compared.same).sum()), int(compared.same.sum())
    needed = max(IMPOSTORS_MIN, math.ceil(1 / fmr))
    if impostors < needed or genuine < GENUINE_MIN:
        raise TooFewPairsError(
            f"{genuine} pairs of one person and {impostors} of two: at least {GENUINE_MIN} and {needed} are needed"
        )
    scales = {name: _scale(values[~compared.same]) for name, values in compared.similarities.items()}
    scores = np.asarray(fused(compared.similarities, scales), np.float64)
    strangers = scores[~compared.same]
    refuse = math.ceil(threshold_at(strangers, fmr) * 100) / 100
    accept = math.ceil((max(float(strangers.max()), refuse) + MARGIN) * 10) / 10
    chosen = replace(point, accept=accept, refuse=refuse, scales=scales, provenance=provenance)
    found = rates(scores[compared.same], strangers, chosen)
    return Calibration(chosen, share(strangers >= refuse), found.fmr, found.fnmr, found.genuine_refused, found.eer)


def fused(similarities: Mapping[str, Scores], scales: Mapping[str, Scale]) -> Scores:
    """What `compare.score` makes of them, for all pairs at once."""
    parts = [(values - scales[name].mean) / scales[name].deviation for name, values in similarities.items()]
    return np.asarray(np.mean(parts, axis=0), np.float64)


def _scale(strangers: Scores) -> Scale:
    return Scale(round(float(strangers.mean()), 4), round(float(strangers.std()), 5))

"""Rates of errors with their counts and exact 95 % intervals (Clopper and Pearson), from scores of both kinds.

The names are those of ISO/IEC 19795-1: FMR, the share of different people that match, FNMR, the share of one person's
pairs that do not, TAR, one minus FNMR. Intervals take the comparisons as independent; pairs of the same few people are
not, so the truth is wider.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alicem.face.compare import OperatingPoint

Scores = NDArray[np.float64]
AT = 1e-3  # the FMR at which the TAR is told: no set here is large enough for less


@dataclass(frozen=True)
class Rate:
    """A share of errors, or of successes, with its exact 95 % interval."""

    count: int
    of: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Rates:
    """What a set of comparisons says of an operating point. `fnmr` counts those sent to the office as not matched."""

    genuine: int
    impostors: int
    eer: float
    threshold_at_fmr: float
    tar_at_fmr: Rate
    fmr: Rate
    fnmr: Rate
    genuine_refused: Rate
    impostors_doubtful: Rate

    def tree(self) -> dict[str, Any]:
        """For JSON; the TAR under the name of its FMR."""
        found = asdict(self)
        found["n"] = {"genuine": found.pop("genuine"), "impostors": found.pop("impostors")}
        found["tar_at_fmr_1e-3"] = found.pop("tar_at_fmr") | {"threshold": found.pop("threshold_at_fmr")}
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value for name, value in found.items()
        }


def rates(genuine: Scores, impostors: Scores, point: OperatingPoint) -> Rates:
    """Both kinds of scores against `point`; what cannot be told of an empty kind is not a number."""
    strict = threshold_at(impostors, AT)
    return Rates(
        genuine=len(genuine),
        impostors=len(impostors),
        eer=equal_error(genuine, impostors),
        threshold_at_fmr=strict,
        tar_at_fmr=share(genuine >= strict),
        fmr=share(impostors >= point.accept),
        fnmr=share(genuine < point.accept),
        genuine_refused=share(genuine < point.refuse),
        impostors_doubtful=share((impostors >= point.refuse) & (impostors < point.accept)),
    )


def by_group(scores: Scores, same: NDArray[np.bool_], groups: list[str], point: OperatingPoint) -> Mapping[str, Rates]:
    """The rates of each group that is named."""
    named = np.array(groups)
    return {
        group: rates(scores[same & (named == group)], scores[~same & (named == group)], point)
        for group in sorted(set(groups) - {""})
    }


def share(hits: NDArray[np.bool_]) -> Rate:
    return interval(int(hits.sum()), len(hits))


def interval(count: int, of: int, level: float = 0.95) -> Rate:
    """`count` of `of`. Of nothing at all, everything is possible."""
    tail = (1 - level) / 2
    low = 0.0 if count == 0 else _solve(lambda p: 1 - _at_most(count - 1, of, p) - tail)
    high = 1.0 if count == of else _solve(lambda p: tail - _at_most(count, of, p))
    return Rate(count, of, count / of if of else math.nan, low, high)


def _at_most(count: int, of: int, p: float) -> float:
    """The chance of `count` or fewer among `of`."""
    if count > of / 2:
        return 1 - _at_most(of - count - 1, of, 1 - p)
    k = np.arange(count + 1)
    choose = math.lgamma(of + 1) - _lgamma(k + 1) - _lgamma(of - k + 1)
    return float(np.exp(choose + k * math.log(p) + (of - k) * math.log1p(-p)).sum())


def _lgamma(values: NDArray[np.int64]) -> Scores:
    return np.array([math.lgamma(value) for value in values])


def _solve(rising: Callable[[float], float]) -> float:
    low, high = 1e-12, 1 - 1e-12
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def threshold_at(impostors: Scores, fmr: float) -> float:
    """The lowest threshold at which no more than this share of impostors is accepted."""
    if not len(impostors):
        return math.nan
    ordered = np.sort(impostors)
    allowed = int(len(ordered) * fmr)
    return float(np.nextafter(ordered[len(ordered) - allowed - 1], np.inf))


def equal_error(genuine: Scores, impostors: Scores) -> float:
    if not len(genuine) or not len(impostors):
        return math.nan
    places = np.unique(np.concatenate([genuine, impostors]))
    fnmr = np.searchsorted(np.sort(genuine), places) / len(genuine)
    fmr = 1 - np.searchsorted(np.sort(impostors), places) / len(impostors)
    best = int(np.abs(fnmr - fmr).argmin())
    return float((fnmr[best] + fmr[best]) / 2)

"""The numbers that decisions are held against, read once from `thresholds.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from alicem.face.actions import Limits
from alicem.face.challenge import Action
from alicem.face.compare import OperatingPoint, Scale
from alicem.face.matchers import BUILT_IN, Matcher


@dataclass(frozen=True)
class Patience:
    """How long each part of the check may last, in milliseconds."""

    neutral: float
    action: float
    pause: float


@dataclass(frozen=True)
class Thresholds:
    compare: OperatingPoint
    limits: Limits
    patience: Patience
    attacks: Mapping[str, float]

    def decision(self) -> dict[str, float]:
        """By the names of the scores they are compared with."""
        return {"same_person": self.compare.accept, "doubtful": self.compare.refuse, **self.attacks}


ATTACKS = (
    "one_person",
    "frozen_ms",
    "repeated",
    "jump",
    "leap",
    "gap_ms",
    "rate",
    "drift_ms",
    "reflection",
    "screen",
    "relief",
)


def operating_point(compare: Mapping[str, Any], matchers: tuple[Matcher, ...] = BUILT_IN) -> OperatingPoint:
    """A `[compare]` table with a scale for each matcher. Raises `KeyError`, `TypeError`, `ValueError`."""
    point = OperatingPoint(
        accept=float(compare["accept"]),
        refuse=float(compare["refuse"]),
        scales={matcher.name: Scale(**compare[matcher.name]) for matcher in matchers},
        provenance=str(compare["provenance"]),
        matchers=matchers,
    )
    if point.refuse > point.accept:
        raise ValueError("thresholds: refuse is above accept")
    return point


def parse(table: Mapping[str, Any]) -> Thresholds:
    """A missing number is an error: none has a default."""
    compare, live = table["compare"], table["live"]
    point = operating_point(compare)
    hold = {action: float(live["hold_ms"][action]) for action in Action}
    limits = Limits(float(live["turn"]), float(live["smile"]), float(live["closed"]), hold)
    return Thresholds(point, limits, Patience(**live["limit_ms"]), {name: float(live[name]) for name in ATTACKS})


@cache
def published() -> Thresholds:
    return parse(tomllib.loads(files("alicem.face").joinpath("thresholds.toml").read_text(encoding="utf-8")))

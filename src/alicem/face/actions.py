"""Smile, turn, closed eyes: told apart from one person's own neutral face, and only when they last."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from alicem.face.challenge import Action
from alicem.face.measure import Measure


@dataclass(frozen=True)
class Limits:
    """When a movement counts; see thresholds.toml."""

    turn: float
    smile: float
    closed: float
    hold_ms: Mapping[Action, float]


@dataclass(frozen=True)
class Baseline:
    """The neutral face, before anything was asked."""

    yaw: float
    mouth_width: float
    mouth_lift: float
    opening: float


@dataclass(frozen=True)
class Movement:
    """A frame against the baseline: degrees towards the person's left, strength of the smile, share of opening."""

    turn: float
    smile: float
    opening: float


GAP_MS = 150.0  # a movement may be lost for one frame
BLIND_MS = 600.0  # without any frame, it is not known to go on for longer than this
ASIDE = 15.0  # degrees beyond which mouth and lids are not judged
# a smile of 1 widens the mouth by 15 % and lifts its corners by 3.5 % of the distance of the eyes
WIDENING, LIFTING = 0.15, 0.035


def baseline(measures: Sequence[Measure]) -> Baseline:
    return Baseline(
        yaw=median(m.yaw for m in measures),
        mouth_width=median(m.mouth_width for m in measures),
        mouth_lift=median(m.mouth_lift for m in measures),
        opening=median(m.opening for m in measures),
    )


def movement(measure: Measure, neutral: Baseline) -> Movement:
    wider = (measure.mouth_width / neutral.mouth_width - 1) / WIDENING
    higher = (measure.mouth_lift - neutral.mouth_lift) / LIFTING
    return Movement(measure.yaw - neutral.yaw, (wider + higher) / 2, measure.opening / neutral.opening)


def is_neutral(moved: Movement, limits: Limits) -> bool:
    return abs(moved.turn) < limits.turn / 2 and moved.smile < limits.smile / 2 and moved.opening > 0.75


PERFORMED: Mapping[Action, Callable[[Movement, Limits], bool]] = {
    Action.TURN_LEFT: lambda moved, limits: moved.turn >= limits.turn,
    Action.TURN_RIGHT: lambda moved, limits: moved.turn <= -limits.turn,
    Action.SMILE: lambda moved, limits: abs(moved.turn) < ASIDE and moved.smile >= limits.smile,
    Action.BLINK: lambda moved, limits: abs(moved.turn) < ASIDE and moved.opening <= limits.closed,
}


class Watch:
    """Which actions are being performed, frame after frame, each held for its time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._since: dict[Action, float] = {}
        self._last: dict[Action, float] = {}

    def see(self, at: float, moved: Movement) -> frozenset[Action]:
        return frozenset(action for action in Action if self._held(action, at, moved))

    def _held(self, action: Action, at: float, moved: Movement) -> bool:
        if PERFORMED[action](moved, self._limits):
            if at - self._last.get(action, -BLIND_MS) > BLIND_MS:
                self._since[action] = at
            self._since.setdefault(action, at)
            self._last[action] = at
        elif action in self._since and at - self._last[action] > GAP_MS:
            del self._since[action]
        return action in self._since and self._last[action] - self._since[action] >= self._limits.hold_ms[action]

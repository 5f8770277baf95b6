"""What the living person is asked to do, and the colours of the screen before: drawn by chance, told one at a time."""

import secrets
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Action(StrEnum):
    SMILE = "smile"
    TURN_LEFT = "turn_left"  # to the person's own left
    TURN_RIGHT = "turn_right"
    BLINK = "blink"  # close the eyes for about a second


class Colour(StrEnum):
    """Pale, and never a saturated red (WCAG 2.2, "general flash and red flash thresholds")."""

    ROSE = "#ff7878"
    GREEN = "#78ff96"
    BLUE = "#788cff"
    YELLOW = "#fff078"


KINDS = ("smile", "turn", "blink")
MAY_BE_LEFT_OUT = ("smile", "blink")
"""One of them, never both: a photograph can do neither. Never the turn: without it, photographs that are exchanged pass (docs/measurements.md)."""
COLOURS, ACTIONS, ACTIONS_WITHOUT_COLOURS = 4, 3, 4
PAUSE_MS = (300.0, 1000.0)


@dataclass(frozen=True)
class Challenge:
    """The actions in their order, the pause before each, so that neither order nor moment can be foreseen, and the colours shown first."""

    actions: tuple[Action, ...]
    pauses_ms: tuple[float, ...]
    colours: tuple[Colour, ...] = ()

    def __post_init__(self) -> None:
        if not self.actions or len(self.actions) != len(self.pauses_ms):
            raise ValueError("a challenge has actions, and a pause before each")


def kind(action: Action) -> str:
    return "turn" if action in (Action.TURN_LEFT, Action.TURN_RIGHT) else str(action)


def draw(rng: Random | None = None, *, without: str | None = None, colours: bool = True) -> Challenge:
    """From the system's cryptographic source unless a test says otherwise.

    `without`: one of `MAY_BE_LEFT_OUT`, which the person cannot do; the others are asked more than once. Without `colours` one action more is asked.
    """
    rng = rng or secrets.SystemRandom()
    able = [one for one in KINDS if one != without or one not in MAY_BE_LEFT_OUT]
    kinds = _varied(rng, able, ACTIONS if colours else ACTIONS_WITHOUT_COLOURS)
    actions = tuple(
        rng.choice([Action.TURN_LEFT, Action.TURN_RIGHT]) if one == "turn" else Action(one) for one in kinds
    )
    shown = _varied(rng, list(Colour), COLOURS, all_of_them=False) if colours else []
    return Challenge(actions, tuple(rng.uniform(*PAUSE_MS) for _ in actions), tuple(shown))


def _varied(rng: Random, choices: list[T], count: int, *, all_of_them: bool = True) -> list[T]:
    """`count` of them, no two alike in a row where there is a choice: every such sequence is as likely as another."""
    while True:
        drawn = rng.choices(choices, k=count)
        alike = len(choices) > 1 and any(before == after for before, after in pairwise(drawn))
        if not alike and not (all_of_them and {*choices} - {*drawn}):
            return drawn

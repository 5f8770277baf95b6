"""What the living person is asked to do: drawn by chance, told one at a time."""

import secrets
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Action(StrEnum):
    SMILE = "smile"
    TURN_LEFT = "turn_left"  # to the person's own left
    TURN_RIGHT = "turn_right"
    BLINK = "blink"  # close the eyes for about a second


@dataclass(frozen=True)
class Challenge:
    """The actions in their order, and the pause before each, so that neither order nor moment can be foreseen."""

    actions: tuple[Action, ...]
    pauses_ms: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.actions or len(self.actions) != len(self.pauses_ms):
            raise ValueError("a challenge has actions, and a pause before each")
        if len({kind(action) for action in self.actions}) != len(self.actions):
            raise ValueError("a challenge asks each kind of action once")


def kind(action: Action) -> str:
    return "turn" if action in (Action.TURN_LEFT, Action.TURN_RIGHT) else str(action)


def draw(rng: Random | None = None) -> Challenge:
    """All three kinds in a random order; from the system's cryptographic source unless a test says otherwise."""
    rng = rng or secrets.SystemRandom()
    actions = [Action.SMILE, rng.choice([Action.TURN_LEFT, Action.TURN_RIGHT]), Action.BLINK]
    rng.shuffle(actions)
    return Challenge(tuple(actions), tuple(rng.uniform(300, 1000) for _ in actions))

"""Specimen persons play before the check, without the wire."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alicem.demo import portraits
from alicem.demo.actor import Actor
from alicem.face import Action, Challenge, Hint, LiveCheck, Verdict

DATA = Path(__file__).parents[3] / "shared" / "data"
RATE = 6.0
"""Pictures a second; phones send ten, and four are enough."""
TURN_FIRST = Challenge((Action.TURN_LEFT, Action.SMILE, Action.BLINK), (400.0, 400.0, 400.0))


@cache
def chip_portrait(name: str) -> bytes:
    return portraits.portrait(portraits.faces()[name])


@dataclass(frozen=True)
class Played:
    verdict: Verdict
    hints: Mapping[Hint, int]
    told: tuple[Action, ...]
    frames: int
    milliseconds: float


Camera = Callable[[float], bytes]  # the phone's milliseconds → a JPEG
Told = Callable[[Action | None, float], None]


def play(check: LiveCheck, camera: Camera, told: Told = lambda action, at: None, rate: float = RATE) -> Played:
    """The session and the phone, without the wire: frames in, the announced action out."""
    at, count, shown = 0.0, 0, None
    hints: dict[Hint, int] = {}
    actions = []
    while not check.done:
        hint = check.add_frame(camera(at), at)
        if hint is not None:
            hints[hint] = hints.get(hint, 0) + 1
        if check.current_action != shown:
            shown = check.current_action
            actions += [shown] if shown else []
            told(shown, at)
        count += 1
        at += 1000 / rate
        assert at < 60_000, "the check does not end"
    return Played(check.verdict(), hints, tuple(actions), count, at)


def act(check: LiveCheck, name: str, seed: int = 1, obey: Callable[[Action], Action] = lambda a: a) -> Played:
    """A specimen person does what is asked, or what `obey` makes of it."""
    actor = Actor(portraits.faces()[name], seed)

    def told(action: Action | None, at: float) -> None:
        actor.perform(obey(action) if action else None, at)

    return play(check, actor.frame, told)

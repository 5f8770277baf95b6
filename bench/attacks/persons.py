"""Persons before the attacked camera, without any instrument: the honest twins, and what streams are made from."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np

from alicem.demo import portraits
from alicem.demo.actor import Actor
from alicem.face import Action, LiveCheck
from bench.attacks.scene import Instrument, Light, Sees, opened, taken

STEP, LONGEST_MS = 100.0, 45_000.0


@dataclass(frozen=True)
class Conditions:
    """How a person is seen: the room's light, the screen's share of it, grain and blur of the camera."""

    light: float = 1.0
    screen: float = 0.08
    grain: float = 2.2
    blur: float = 0.6


GENERATED = Conditions(grain=0.0, blur=0.0)  # no camera


class Person(Instrument):
    """A specimen person who does what is asked, before the camera that the instruments are held before."""

    def __init__(self, name: str, rng: Random, conditions: Conditions) -> None:
        actor = Actor(portraits.faces()[name], rng.getrandbits(32))
        self._actor, self._conditions, self._screen = actor, conditions, Light(conditions.screen)
        self._noise = np.random.default_rng(rng.getrandbits(32))

    def perform(self, action: Action | None, at: float) -> None:
        self._actor.perform(action, at)

    def light(self, colour: str | None, at: float) -> None:
        self._screen.show(colour, at)

    def frame(self, at: float) -> bytes:
        seen = self._screen.on(opened(self._actor.frame(at)), at) * np.float32(self._conditions.light)
        return taken(seen, self._noise, blur=self._conditions.blur, grain=self._conditions.grain)


def play(check: LiveCheck, before: Sees) -> list[bytes]:
    """The session and the phone, without the wire: frames in, the announced colour and action out; what was seen."""
    at, told, shown, frames = 0.0, None, None, list[bytes]()
    while not check.done and at < LONGEST_MS:
        frames.append(before.frame(at))
        check.add_frame(frames[-1], at)
        if check.current_action != told:
            told = check.current_action
            before.perform(told, at)
        if check.current_colour != shown:
            shown = check.current_colour
            before.light(shown, at)
        at += STEP
    check.give_up()
    return frames

"""Films put in the place of the camera's: nothing is held before it (injection, as CEN/TS 18099 calls it)."""

from __future__ import annotations

from random import Random

import numpy as np

from alicem.demo import portraits
from alicem.demo.actor import Actor
from alicem.face import Action, LiveCheck, draw
from alicem.face.models import Models
from bench.attacks.persons import GENERATED, STEP, Conditions, Person, play
from bench.attacks.scene import Instrument, opened, taken


class Cut(Instrument):
    """The victim at rest, somebody else in every action; or, from the first action on, somebody else for good."""

    def __init__(self, victim: str, rng: Random, *, for_good: bool) -> None:
        other = rng.choice([name for name in portraits.faces() if name != victim])
        self._holder, self._other = (Person(name, rng, GENERATED) for name in (victim, other))
        self._lasts = float("inf") if for_good else 3_000.0
        self._until = 0.0

    def perform(self, action: Action | None, at: float) -> None:
        self._other.perform(action, at)
        if action is not None:
            self._until = at + self._lasts

    def light(self, colour: str | None, at: float) -> None:
        self._holder.light(colour, at)
        self._other.light(colour, at)

    def frame(self, at: float) -> bytes:
        return (self._other if at < self._until else self._holder).frame(at)


class SessionAgain(Instrument):
    """The frames of a session that was accepted, at the same moments, whatever is asked now."""

    def __init__(self, victim: str, rng: Random, networks: Models, *, encoded_anew: bool) -> None:
        check = LiveCheck(networks, portraits.portrait(portraits.faces()[victim]), draw(rng))
        self._frames = play(check, Person(victim, rng, Conditions()))
        self._noise = np.random.default_rng(rng.getrandbits(32)) if encoded_anew else None

    def frame(self, at: float) -> bytes:
        return _again(self._frames[round(at / STEP) % len(self._frames)], self._noise)


class Loop(Instrument):
    """A moment of the victim at rest, over and over; one of a single frame is a frozen stream."""

    def __init__(self, victim: str, rng: Random, frames: int, *, encoded_anew: bool) -> None:
        actor = Actor(portraits.faces()[victim], rng.getrandbits(32))
        self._frames = [actor.frame(index * STEP) for index in range(frames)]
        self._noise = np.random.default_rng(rng.getrandbits(32)) if encoded_anew else None

    def frame(self, at: float) -> bytes:
        return _again(self._frames[round(at / STEP) % len(self._frames)], self._noise)


def _again(jpeg: bytes, noise: np.random.Generator | None) -> bytes:
    """The same bytes; or, with noise, the same picture under a grain of its own."""
    return jpeg if noise is None else taken(opened(jpeg), noise, blur=0.0, grain=1.5)

"""Films put in the place of the camera's: nothing is held before it (injection, as CEN/TS 18099 calls it)."""

from __future__ import annotations

from random import Random

import numpy as np

from alicem.demo import portraits
from alicem.demo.actor import Actor
from alicem.face import Action, LiveCheck, draw
from alicem.face.models import Models
from bench.attacks.scene import opened, taken

STEP, LONGEST_MS = 100.0, 45_000.0


class Injected:
    """A person generated from one picture, who does what is asked."""

    def __init__(self, victim: str, rng: Random) -> None:
        actor = Actor(portraits.faces()[victim], rng.getrandbits(32))
        self.perform, self.frame = actor.perform, actor.frame


class Cut:
    """The victim at rest, somebody else in every action; or, from the first action on, somebody else for good."""

    def __init__(self, victim: str, rng: Random, *, for_good: bool) -> None:
        other = rng.choice([name for name in portraits.faces() if name != victim])
        self._holder, self._other = (Actor(portraits.faces()[name], rng.getrandbits(32)) for name in (victim, other))
        self._lasts = float("inf") if for_good else 3_000.0
        self._until = 0.0

    def perform(self, action: Action | None, at: float) -> None:
        self._other.perform(action, at)
        if action is not None:
            self._until = at + self._lasts

    def frame(self, at: float) -> bytes:
        return (self._other if at < self._until else self._holder).frame(at)


class SessionAgain:
    """The frames of a session that was accepted, at the same moments, whatever is asked now."""

    def __init__(self, victim: str, rng: Random, networks: Models, *, encoded_anew: bool) -> None:
        face = portraits.faces()[victim]
        self._frames = _session(Actor(face, rng.getrandbits(32)), portraits.portrait(face), rng, networks)
        self._noise = np.random.default_rng(rng.getrandbits(32)) if encoded_anew else None

    def perform(self, action: Action | None, at: float) -> None:
        """A recording hears nothing."""

    def frame(self, at: float) -> bytes:
        return _again(self._frames[round(at / STEP) % len(self._frames)], self._noise)


def _session(actor: Actor, portrait: bytes, rng: Random, networks: Models) -> list[bytes]:
    check, frames, at, told = LiveCheck(networks, portrait, draw(rng)), list[bytes](), 0.0, None
    while not check.done and at < LONGEST_MS:
        frames.append(actor.frame(at))
        check.add_frame(frames[-1], at)
        if check.current_action != told:
            told = check.current_action
            actor.perform(told, at)
        at += STEP
    return frames


class Loop:
    """A moment of the victim at rest, over and over; one of a single frame is a frozen stream."""

    def __init__(self, victim: str, rng: Random, frames: int, *, encoded_anew: bool) -> None:
        actor = Actor(portraits.faces()[victim], rng.getrandbits(32))
        self._frames = [actor.frame(index * STEP) for index in range(frames)]
        self._noise = np.random.default_rng(rng.getrandbits(32)) if encoded_anew else None

    def perform(self, action: Action | None, at: float) -> None:
        """A loop hears nothing."""

    def frame(self, at: float) -> bytes:
        return _again(self._frames[round(at / STEP) % len(self._frames)], self._noise)


def _again(jpeg: bytes, noise: np.random.Generator | None) -> bytes:
    """The same bytes; or, with noise, the same picture under a grain of its own."""
    return jpeg if noise is None else taken(opened(jpeg), noise, blur=0.0, grain=1.5)

"""Photographs of the victim, on paper."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import numpy as np

from alicem.demo import portraits
from alicem.demo.actor import SCRIPTS, Actor
from alicem.face import Action
from bench.attacks.scene import Hand, Held, Instrument, Light, Picture, laid, opened, printed, seen_at, taken

PAPER_CM, WALL = 30.0, (165.0, 165.0, 165.0)
SWAP_MS, HOLD_MS = 500.0, 1500.0
TURNED = 60.0  # degrees: so far a sheet has to be turned for its face to look aside
AT_REST = Held()


class Photo(Instrument):
    """In the hand. `moved`: where a turn is asked it is turned, and all the time it is swung, tilted, brought nearer."""

    def __init__(self, victim: str, rng: Random, *, bent: bool, moved: bool) -> None:
        self._hand, self._moved, self._screen = Hand(rng), moved, Light()
        self._held = Held(bend=rng.uniform(9, 16)) if bent else AT_REST
        self._noise = np.random.default_rng(rng.getrandbits(32))
        self._paper = printed(photograph(victim, rng))
        self._swing = Swing(rng.uniform(2, 6), rng.uniform(0.5, 2), rng.uniform(700, 1600), rng.uniform(0, 6))
        self._asked: tuple[Action, float] | None = None

    def perform(self, action: Action | None, at: float) -> None:
        self._asked = (action, at) if action is not None else None

    def light(self, colour: str | None, at: float) -> None:
        self._screen.show(colour, at)

    def frame(self, at: float) -> bytes:
        held = self._swing.at(at, self._held, self._turned(at)) if self._moved else self._held
        seen = laid(self._paper, seen_at(self._hand.at(at, held)), PAPER_CM, WALL)
        return taken(self._screen.on(seen, at), self._noise)

    def _turned(self, at: float) -> float:
        if self._asked is None or self._asked[0] not in (Action.TURN_LEFT, Action.TURN_RIGHT):
            return 0.0
        share = min(1.0, max(0.0, (at - self._asked[1] - 300) / 1200))
        return (TURNED if self._asked[0] is Action.TURN_LEFT else -TURNED) * share


@dataclass(frozen=True)
class Swing:
    """How a photograph is moved to look alive: degrees, centimetres, milliseconds."""

    degrees: float
    centimetres: float
    span: float
    phase: float

    def at(self, at: float, held: Held, turned: float) -> Held:
        wave = math.sin(at / self.span + self.phase)
        return Held(
            yaw=held.yaw + turned,
            pitch=held.pitch + self.degrees * wave,
            x=self.centimetres * math.sin(at / self.span / 1.7),
            distance=held.distance + self.centimetres * wave,
            bend=held.bend,
        )


class SwappedPhotos(Instrument):
    """A photograph for every action, before the camera when it is asked."""

    def __init__(self, victim: str, rng: Random, *, bent: bool = False) -> None:
        self._hand, self._screen = Hand(rng), Light()
        self._held = Held(bend=rng.uniform(9, 16)) if bent else AT_REST
        self._noise = np.random.default_rng(rng.getrandbits(32))
        self._papers = _of_every_action(Actor(portraits.faces()[victim], rng.getrandbits(32)))
        self._asked: tuple[Action, float] | None = None

    def perform(self, action: Action | None, at: float) -> None:
        if action is not None:
            self._asked = (action, at)

    def light(self, colour: str | None, at: float) -> None:
        self._screen.show(colour, at)

    def frame(self, at: float) -> bytes:
        chosen: Action | None = None
        if self._asked is not None and SWAP_MS <= at - self._asked[1] < SWAP_MS + HOLD_MS:
            chosen = self._asked[0]
        seen = laid(self._papers[chosen], seen_at(self._hand.at(at, self._held)), PAPER_CM, WALL)
        return taken(self._screen.on(seen, at), self._noise)


def _of_every_action(actor: Actor) -> Mapping[Action | None, Picture]:
    papers: dict[Action | None, Picture] = {None: printed(opened(actor.frame(0)))}
    for index, action in enumerate(Action, 1):
        start = 20_000.0 * index
        actor.perform(action, start)
        peak = start + max(after for after, share in SCRIPTS[action] if share == 1.0) - 150
        papers[action] = printed(opened(actor.frame(peak)))
        actor.perform(None, start + 5_000)
    return papers


def photograph(victim: str, rng: Random) -> Picture:
    return opened(Actor(portraits.faces()[victim], rng.getrandbits(32)).frame(0))

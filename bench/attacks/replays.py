"""A recording of the victim on a display."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from alicem.demo import portraits
from alicem.demo.actor import Actor
from alicem.face import Action
from bench.attacks.codecs import RATE, Codec
from bench.attacks.displays import SENSORS, Display, filmed
from bench.attacks.scene import Hand, Held, Instrument, Picture, opened, taken

REST_FRAMES, ACTION_FRAMES, LATE_FRAMES = 25, 26, 3
APART = 20_000.0  # milliseconds between two clips of one recording day
STEP = 1000 / RATE


class Clips:
    """A clip of the victim at rest, played to and fro, and one of each action, cut in when it is asked."""

    def __init__(self, victim: str, rng: Random, codec: Codec) -> None:
        self._actor = Actor(portraits.faces()[victim], rng.getrandbits(32))
        self._codec = codec
        self._rest = codec([opened(self._actor.frame(index * STEP)) for index in range(REST_FRAMES)])
        self._of: dict[Action, list[Picture]] = {}
        self._playing: tuple[Action, float] | None = None

    def perform(self, action: Action | None, at: float) -> None:
        if action is not None:
            self._playing = (action, at + LATE_FRAMES * STEP)

    def playing(self, at: float) -> Picture:
        if self._playing is not None:
            clip, index = self._clip(self._playing[0]), round((at - self._playing[1]) / STEP)
            if 0 <= index < len(clip):
                return clip[index]
        return to_and_fro(self._rest, round(at / STEP))

    def _clip(self, action: Action) -> list[Picture]:
        if action not in self._of:
            start = APART * (1 + list(Action).index(action))
            self._actor.perform(action, start)
            self._of[action] = self._codec(
                [opened(self._actor.frame(start + index * STEP)) for index in range(ACTION_FRAMES)]
            )
            self._actor.perform(None, start + APART / 2)
        return self._of[action]


class AsRecorded:
    """One clip with every action, in the order in which it was recorded."""

    def __init__(self, victim: str, rng: Random, codec: Codec) -> None:
        actor = Actor(portraits.faces()[victim], rng.getrandbits(32))
        order = [Action.SMILE, rng.choice([Action.TURN_LEFT, Action.TURN_RIGHT]), Action.BLINK]
        rng.shuffle(order)
        told = {30 + 45 * place: action for place, action in enumerate(order)}
        frames = []
        for index in range(30 + 45 * len(order)):
            if index in told:
                actor.perform(told[index], index * STEP)
            elif index - 35 in told:
                actor.perform(None, index * STEP)
            frames.append(opened(actor.frame(index * STEP)))
        self._frames = codec(frames)

    def perform(self, action: Action | None, at: float) -> None:
        """It hears nothing."""

    def playing(self, at: float) -> Picture:
        return self._frames[round(at / STEP) % len(self._frames)]


class Replay(Instrument):
    """What is played, on a display, before a camera that is another each time. Its glass throws back none of the
    phone's light that counts beside its own."""

    def __init__(self, recording: Clips | AsRecorded, rng: Random, display: Display) -> None:
        self._recording, self._display, self._hand = recording, display, Hand(rng)
        self._sensor = rng.choice(SENSORS)
        self._noise = np.random.default_rng(rng.getrandbits(32))
        self._held = Held(distance=rng.uniform(32, 40) * display.width_cm / 34.0, yaw=rng.uniform(-3, 3))
        self.note = f"camera {self._sensor.name}"

    def perform(self, action: Action | None, at: float) -> None:
        self._recording.perform(action, at)

    def frame(self, at: float) -> bytes:
        seen = filmed(self._display, self._sensor, self._recording.playing(at), self._hand.at(at, self._held))
        return taken(seen, self._noise, blur=0.0)


def to_and_fro(frames: Sequence[Picture], index: int) -> Picture:
    there = index % (2 * len(frames) - 2)
    return frames[min(there, 2 * len(frames) - 2 - there)]

"""The species: each is asked what the screen shows, and gives what a camera would see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Protocol

import cv2
import numpy as np

from alicem.demo import portraits
from alicem.demo.actor import SCRIPTS, Actor
from alicem.face import Action
from alicem.face.detect import boxes, precise_mesh
from alicem.face.models import Models
from bench.attacks.scene import DISPLAYS, Display, Hand, Held, Pixels, jpeg, opened, printed, shown, taken

SWAP_MS, HOLD_MS = 500.0, 1500.0
PAPER_CM, WALL = 30.0, 165.0
LEFT_EYE_RING = [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246]
RIGHT_EYE_RING = [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466]
LIPS_RING = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
RIGID = [10, 152, 234, 454, 1, 33, 263, 168]


class Attack(Protocol):
    """`perform` is told what the screen asks, `frame` is what the camera sees; both at a time in milliseconds."""

    def perform(self, action: Action | None, at: float) -> None: ...

    def frame(self, at: float) -> bytes: ...


class Photo:
    """A photograph in the hand; where a turn is asked it is turned, whatever else is asked it is held."""

    def __init__(self, victim: str, rng: Random, *, bend: float = 0.0) -> None:
        self._hand, self._bend = Hand(rng), bend
        self._noise = np.random.default_rng(rng.getrandbits(32))
        self._paper = printed(opened(_photograph(victim, rng)), width_cm=PAPER_CM)
        self._asked: tuple[Action, float] | None = None

    def perform(self, action: Action | None, at: float) -> None:
        self._asked = (action, at) if action is not None else None

    def frame(self, at: float) -> bytes:
        held = self._hand.at(at, Held(yaw=self._yaw(at), bend=self._bend))
        return taken(shown(self._paper, held, PAPER_CM, WALL), self._noise)

    def _yaw(self, at: float) -> float:
        if self._asked is None or self._asked[0] not in (Action.TURN_LEFT, Action.TURN_RIGHT):
            return 0.0
        share = min(1.0, max(0.0, (at - self._asked[1] - 300) / 900))
        return (38.0 if self._asked[0] is Action.TURN_LEFT else -38.0) * share


class SwappedPhotos:
    """A photograph for every action, held before the camera when it is asked."""

    def __init__(self, victim: str, rng: Random) -> None:
        self._hand = Hand(rng)
        self._noise = np.random.default_rng(rng.getrandbits(32))
        actor = Actor(portraits.faces()[victim], rng.getrandbits(32))
        self._papers: dict[Action | None, Pixels] = {None: printed(opened(actor.frame(0)), width_cm=PAPER_CM)}
        for index, action in enumerate(Action, 1):
            start = 20_000.0 * index
            actor.perform(action, start)
            peak = start + max(after for after, share in SCRIPTS[action] if share == 1.0) - 150
            self._papers[action] = printed(opened(actor.frame(peak)), width_cm=PAPER_CM)
            actor.perform(None, start + 5_000)
        self._asked: tuple[Action, float] | None = None

    def perform(self, action: Action | None, at: float) -> None:
        if action is not None:
            self._asked = (action, at)

    def frame(self, at: float) -> bytes:
        chosen: Action | None = None
        if self._asked is not None and SWAP_MS <= at - self._asked[1] < SWAP_MS + HOLD_MS:
            chosen = self._asked[0]
        return taken(shown(self._papers[chosen], self._hand.at(at, Held()), PAPER_CM, WALL), self._noise)


class Replay:
    """A recording of the victim on a screen. `on_demand` jumps to the action that is asked, as an attacker with a
    clip of each would; else it plays on in the order it was recorded in."""

    def __init__(self, victim: str, rng: Random, display: Display, *, on_demand: bool) -> None:
        self._hand, self._display, self._on_demand = Hand(rng), display, on_demand
        self._noise = np.random.default_rng(rng.getrandbits(32))
        self._actor = Actor(portraits.faces()[victim], rng.getrandbits(32))
        self._order = [Action.SMILE, rng.choice([Action.TURN_LEFT, Action.TURN_RIGHT]), Action.BLINK]
        rng.shuffle(self._order)
        self._distance = rng.uniform(32, 40) * display.width_cm / 34.0

    def perform(self, action: Action | None, at: float) -> None:
        if self._on_demand:
            self._actor.perform(action, at)

    def frame(self, at: float) -> bytes:
        if not self._on_demand:
            index, moment = divmod(at - 3_000, 4_500)
            self._actor.perform(self._order[int(index) % 3] if at > 3_000 and moment < 3_500 else None, at)
        screen = self._display.show(opened(self._actor.frame(at)))
        held = self._hand.at(at, Held(distance=self._distance, yaw=2.0))
        return taken(shown(screen, held, self._display.width_cm, 30.0), self._noise)


class HoledMask:
    """The victim's photograph on somebody's face, cut out at eyes and mouth, moving with the head as a sheet."""

    def __init__(self, victim: str, rng: Random, networks: Models) -> None:
        names = [name for name in portraits.faces() if name != victim]
        self._networks = networks
        self._wearer = Actor(portraits.faces()[rng.choice(names)], rng.getrandbits(32))
        photo = opened(_photograph(victim, rng))
        self._points = self._mesh(photo)
        self._mask = printed(photo)
        self._mask = np.asarray(cv2.resize(self._mask, (640, 480), interpolation=cv2.INTER_AREA), np.float32)
        holes = np.zeros((480, 640), np.float32)
        cv2.fillConvexPoly(holes, cv2.convexHull(np.round(self._points).astype(np.int32)), 1.0)
        for ring in (LEFT_EYE_RING, RIGHT_EYE_RING, LIPS_RING):
            cv2.fillPoly(holes, [np.round(_grown(self._points[ring], 1.15)).astype(np.int32)], 0.0)
        self._solid = holes
        self._noise = np.random.default_rng(rng.getrandbits(32))

    def _mesh(self, picture: Pixels) -> np.ndarray:
        whole = np.clip(picture, 0, 255).astype(np.uint8)
        return precise_mesh(self._networks, whole, boxes(self._networks, whole)[0]).points[:, :2]

    def perform(self, action: Action | None, at: float) -> None:
        self._wearer.perform(action, at)

    def frame(self, at: float) -> bytes:
        face = opened(self._wearer.frame(at))
        points = self._mesh(face)
        lies, _ = cv2.findHomography(self._points[RIGID], points[RIGID])
        mask = cv2.warpPerspective(self._mask, lies, (640, 480))
        solid = cv2.warpPerspective(self._solid, lies, (640, 480))[..., None]
        return taken(np.asarray(mask * solid + face * (1 - solid), np.float32), self._noise, blur=0.0, grain=0.0)


class Injected:
    """A person generated from one picture, in place of the camera's stream."""

    def __init__(self, victim: str, rng: Random) -> None:
        self._actor = Actor(portraits.faces()[victim], rng.getrandbits(32))
        self.perform, self.frame = self._actor.perform, self._actor.frame


class Cut:
    """The victim at rest, somebody else in every action."""

    def __init__(self, victim: str, rng: Random) -> None:
        other = rng.choice([name for name in portraits.faces() if name != victim])
        self._holder, self._other = (Actor(portraits.faces()[name], rng.getrandbits(32)) for name in (victim, other))
        self._until = 0.0

    def perform(self, action: Action | None, at: float) -> None:
        self._other.perform(action, at)
        if action is not None:
            self._until = at + 3_000

    def frame(self, at: float) -> bytes:
        return (self._other if at < self._until else self._holder).frame(at)


class Recorded:
    """The frames of an accepted session, again and at the same moments, whatever is asked now."""

    def __init__(self, victim: str, rng: Random) -> None:
        actor, at = Actor(portraits.faces()[victim], rng.getrandbits(32)), 0.0
        order = [Action.SMILE, rng.choice([Action.TURN_LEFT, Action.TURN_RIGHT]), Action.BLINK]
        rng.shuffle(order)
        self._frames = []
        while at < 20_000:
            index, moment = divmod(at - 2_500, 4_200)
            actor.perform(order[int(index)] if 0 <= index < 3 and moment < 3_000 else None, at)
            self._frames.append(actor.frame(at))
            at += 100

    def perform(self, action: Action | None, at: float) -> None:
        """A recording hears nothing."""

    def frame(self, at: float) -> bytes:
        return self._frames[round(at / 100) % len(self._frames)]


class Loop:
    """A moment of the victim at rest, over and over; `frames` 1 is a frozen stream."""

    def __init__(self, victim: str, rng: Random, frames: int) -> None:
        actor = Actor(portraits.faces()[victim], rng.getrandbits(32))
        self._frames = [actor.frame(index * 100.0) for index in range(frames)]

    def perform(self, action: Action | None, at: float) -> None:
        """A loop hears nothing."""

    def frame(self, at: float) -> bytes:
        return self._frames[round(at / 100) % len(self._frames)]


def _photograph(victim: str, rng: Random) -> bytes:
    return Actor(portraits.faces()[victim], rng.getrandbits(32)).frame(0)


def _grown(points: np.ndarray, factor: float) -> np.ndarray:
    middle = points.mean(0)
    return (points - middle) * factor + middle


Make = Callable[[str, Random, Models], Attack]
SPECIES: Mapping[str, Make] = {
    "print, flat": lambda victim, rng, _: Photo(victim, rng),
    "print, bent": lambda victim, rng, _: Photo(victim, rng, bend=rng.uniform(9, 16)),
    "print, swapped": lambda victim, rng, _: SwappedPhotos(victim, rng),
    **{
        f"display, {display.name}, {how}": lambda victim, rng, _, display=display, how=how: Replay(
            victim, rng, display, on_demand=how == "on demand"
        )
        for display in DISPLAYS
        for how in ("as recorded", "on demand")
    },
    "mask with holes": HoledMask,
    "stream, animated still": lambda victim, rng, _: Injected(victim, rng),
    "stream, cut between two": lambda victim, rng, _: Cut(victim, rng),
    "stream, session again": lambda victim, rng, _: Recorded(victim, rng),
    "stream, looped": lambda victim, rng, _: Loop(victim, rng, 15),
    "stream, frozen": lambda victim, rng, _: Loop(victim, rng, 1),
}
__all__ = ["SPECIES", "Attack", "jpeg"]

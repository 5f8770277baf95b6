"""The actor: a specimen person before a camera, who does what the screen asks.

From the one picture of a `Face` a sheet of sprites is drawn once (turns, a smile, lids) and kept in the cache; a
frame is a sprite, swayed as a head sways, under a light that breathes, with the noise of a camera. The same
sprites play in the browser (`static/actor.js`). It stands for an honest person in tests and demonstrations, and
is at the same time the injection attack: the checks are not to know it.
"""

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from random import Random
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from alicem.demo.portraits import Camera, Face, Pose, person, render
from alicem.demo.portraits.warp import Pixels
from alicem.face import Action
from alicem.face.models.files import folder, lock, write
from alicem.face.models.packages import Progress

SHEET = 4  # raised when the drawing changes: older sprites are then drawn again
WIDTH, HEIGHT = 640, 480
TURN = 30.0  # degrees at the end of a turn
SMILE = 1.6  # in smiles of the source
STEPS = 8
QUALITY = 88
LIGHT_AFTER, LIGHT_SHARE = 120.0, 0.04  # milliseconds; of the light that the screen gives, the room the rest

# name → the poses from rest to the end of the movement
POSES: Mapping[str, tuple[Pose, ...]] = {
    "neutral": (Pose(),),
    "smile": tuple(Pose(smile=SMILE * step / 5) for step in range(1, 6)),
    "turn_left": tuple(Pose(yaw=TURN * step / STEPS) for step in range(1, STEPS + 1)),
    "turn_right": tuple(Pose(yaw=-TURN * step / STEPS) for step in range(1, STEPS + 1)),
    "blink": tuple(Pose(lids=1 - step / 3) for step in range(1, 4)),
}

# how an action is played: milliseconds after it was told → share of the movement
SCRIPTS: Mapping[Action, tuple[tuple[float, float], ...]] = {
    Action.SMILE: ((400, 0.0), (900, 1.0), (2100, 1.0), (2600, 0.0)),
    Action.TURN_LEFT: ((400, 0.0), (1100, 1.0), (1700, 1.0), (2400, 0.0)),
    Action.TURN_RIGHT: ((400, 0.0), (1100, 1.0), (1700, 1.0), (2400, 0.0)),
    Action.BLINK: ((400, 0.0), (520, 1.0), (1820, 1.0), (1960, 0.0)),
}


def sprites(face: Face, progress: Progress = lambda name, fraction: None) -> Mapping[str, list[bytes]]:
    """JPEG by movement, from the cache or drawn now (about a second)."""
    path = folder() / f"actor-{SHEET}" / f"{_name(face)}.json"
    if not path.exists():
        with lock("actor"):
            if not path.exists():
                write(path, json.dumps(_encoded(_draw(face, progress))).encode())
    sheet: dict[str, list[str]] = json.loads(path.read_text())
    return {name: [base64.b64decode(one) for one in pictures] for name, pictures in sheet.items()}


def _name(face: Face) -> str:
    return hashlib.sha256(json.dumps(asdict(face), sort_keys=True, default=dict).encode()).hexdigest()[:24]


def _draw(face: Face, progress: Progress) -> dict[str, list[bytes]]:
    shown = person(face)
    total, done = sum(map(len, POSES.values())), 0
    sheet: dict[str, list[bytes]] = {}
    for name, poses in POSES.items():
        sheet[name] = []
        for pose in poses:
            sheet[name].append(_jpeg(render(shown, pose, Camera(WIDTH, HEIGHT)), QUALITY))
            done += 1
            progress("actor", done / total)
    return sheet


def _encoded(sheet: Mapping[str, list[bytes]]) -> dict[str, list[str]]:
    return {name: [base64.b64encode(one).decode() for one in pictures] for name, pictures in sheet.items()}


def manifest(face: Face) -> dict[str, Any]:
    """What `actor.js` plays: the pictures as data URLs, the scripts of the actions, the size."""
    pictures = _encoded(sprites(face))
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "sprites": {name: [f"data:image/jpeg;base64,{one}" for one in sheet] for name, sheet in pictures.items()},
        "scripts": {str(action): script for action, script in SCRIPTS.items()},
    }


def _jpeg(picture: Pixels, quality: int) -> bytes:
    clipped = np.clip(picture, 0, 255).astype(np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(clipped, cv2.COLOR_RGB2BGR), options)[1])


def _decoded(jpeg: bytes) -> Pixels:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None  # noqa: S101 - drawn by us
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.float32)


class Actor:
    """`perform` what the screen shows, `frame` what the camera sees; both at a time in milliseconds."""

    def __init__(self, face: Face, seed: int) -> None:
        rng = Random(seed)  # noqa: S311 - a play, not a secret
        self._pictures = {name: [_decoded(one) for one in sheet] for name, sheet in sprites(face).items()}
        self._noise = np.random.default_rng(seed)
        self._phases = [rng.uniform(0, 2 * math.pi) for _ in range(4)]
        self._light = rng.uniform(0.9, 1.06)
        self._warmth = rng.uniform(-0.04, 0.04)
        self._blinks = _moments(rng)
        self._shown: Action | None = None
        self._told: Action | None = None
        self._since = 0.0
        self._late = rng.uniform(0, 150)
        self._lights: list[tuple[float, NDArray[np.float64]]] = []
        self.about = {"label": "actor", "device": False, "width": WIDTH, "height": HEIGHT, "frame_rate": 10}

    def perform(self, action: Action | None, at: float) -> None:
        """The screen shows another action, or none; what is under way is finished, as people do."""
        if action is not None and action != self._shown:
            self._since = at + self._late
            self._told = action
        self._shown = action

    def light(self, colour: str | None, at: float, share: float = LIGHT_SHARE) -> None:
        """The screen shows another colour, of which the face takes a little, once the light has gone to and fro. `share`: of the light, the screen's."""
        self._lights.append((at + LIGHT_AFTER, _of_screen(colour, share)))

    def frame(self, at: float) -> bytes:
        return _jpeg(self._seen(at, (0, 0, WIDTH, HEIGHT)), 85)

    def eyes(self, at: float, x: int, y: int, width: int, height: int) -> bytes:
        """A part of what `frame` would show."""
        return _jpeg(self._seen(at, (x, y, width, height)), 90)

    def _playing(self, at: float) -> tuple[str, float]:
        if self._told is not None and at <= self._since + SCRIPTS[self._told][-1][0]:
            share = _share(SCRIPTS[self._told], at - self._since)
            if share > 0:
                return str(self._told), share
        blinking = bool(((at >= self._blinks) & (at < self._blinks + 160)).any())
        return ("blink", 1.0) if blinking else ("neutral", 0.0)

    def _seen(self, at: float, part: tuple[int, int, int, int]) -> Pixels:
        """A head that sways a little, a light that breathes, a sensor that is not perfect."""
        name, share = self._playing(at)
        picture = _between([*self._pictures["neutral"], *self._pictures[name]], share)
        a, b, c, d = (math.sin(at / span + phase) for span, phase in zip(SPANS, self._phases, strict=True))
        x, y, width, height = part
        matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT * 0.9), 0.7 * a, 1.02 + 0.012 * b)
        matrix[:, 2] += np.array([3.0 * c - x, 1.5 * d - y])
        swayed = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        light = self._light * (1 + 0.012 * b) * self._lit(at)
        lit = swayed * (light * np.array([1 + self._warmth, 1.0, 1 - self._warmth])).astype(np.float32)
        grain = self._noise.standard_normal((height, width, 1), np.float32) * 2.2
        return np.asarray(lit + grain, np.float32)

    def _lit(self, at: float) -> NDArray[np.float64]:
        """By the screen, as a factor of each colour."""
        shown = [light for since, light in self._lights if since <= at]
        return shown[-1] if shown else np.ones(3)


def _of_screen(colour: str | None, share: float) -> NDArray[np.float64]:
    shown = [1.0, 1.0, 1.0] if colour is None else [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return 1 - share * (1 - np.array(shown))


SPANS = (1700.0, 2300.0, 1300.0, 900.0)  # milliseconds: no two movements of the head keep the same pace


def _moments(rng: Random) -> NDArray[np.float64]:
    """When the eyes blink by themselves, over ten minutes."""
    return np.cumsum(np.array([rng.uniform(2500, 5500) for _ in range(150)]))


def _share(script: tuple[tuple[float, float], ...], after: float) -> float:
    for (start, low), (end, high) in pairwise(((0.0, 0.0), *script)):
        if start <= after < end:
            return low + (high - low) * (after - start) / (end - start)
    return 0.0


def _between(pictures: list[Pixels], share: float) -> Pixels:
    return pictures[round(share * (len(pictures) - 1))]

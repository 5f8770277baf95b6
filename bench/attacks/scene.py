"""What a camera sees of a sheet: paper or a screen, flat or bent, held in a hand before a wall."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from alicem.face import Action

Pixels = NDArray[np.float32]  # rows × columns × 3, RGB 0…255
Picture = NDArray[np.uint8]
Map = NDArray[np.float32]  # of the camera's pixels: where each one looks
WIDTH, HEIGHT, FOCAL = 640, 480, 760.0  # of the attacked camera, in pixels
QUALITY = 85
SPANS = (610.0, 770.0, 1130.0, 530.0, 890.0, 1490.0)  # milliseconds


@dataclass(frozen=True)
class Held:
    """How the sheet is held: degrees, counted as those of a face (`alicem.face.measure`), and centimetres from the
    camera; `bend` is the radius of a bow, 0 for flat."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    x: float = 0.0
    y: float = 0.0
    distance: float = 42.0
    bend: float = 0.0


class Hand:
    """A hand that trembles: nothing in it ever stands quite still."""

    def __init__(self, rng: Random) -> None:
        self._phases = [rng.uniform(0, 2 * math.pi) for _ in SPANS]
        self._tremor = rng.uniform(0.5, 1.5)

    def at(self, at: float, held: Held) -> Held:
        sway = [math.sin(at / span + phase) * self._tremor for span, phase in zip(SPANS, self._phases, strict=True)]
        return replace(
            held,
            yaw=held.yaw + 0.8 * sway[0],
            pitch=held.pitch + 0.6 * sway[1],
            roll=held.roll + 0.7 * sway[2],
            x=held.x + 0.25 * sway[3],
            y=held.y + 0.2 * sway[4],
            distance=held.distance + 0.3 * sway[5],
        )


class Instrument:
    """What is before the camera, or in its place: it is told what the person is asked to do and the colour that the
    phone's screen has, both at a time in milliseconds. One that does not hear, or that reflects nothing, is as this."""

    def perform(self, action: Action | None, at: float) -> None: ...

    def light(self, colour: str | None, at: float) -> None: ...


class Sees(Protocol):
    """An instrument with a picture of it at each moment."""

    def perform(self, action: Action | None, at: float) -> None: ...

    def light(self, colour: str | None, at: float) -> None: ...

    def frame(self, at: float) -> bytes: ...


class Light:
    """Of the phone's screen, on skin or paper: `share` of all the light there (linear), once it has gone to and fro."""

    def __init__(self, share: float = 0.08) -> None:
        self._share, self._shown = share, [(0.0, np.ones(3))]

    def show(self, colour: str | None, at: float) -> None:
        shown = [int((colour or "#ffffff")[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        self._shown.append((at + LIGHT_AFTER, (1 - self._share * (1 - np.array(shown))) ** (1 / 2.2)))

    def on(self, picture: Picture | Pixels, at: float) -> Pixels:
        factor = [factor for since, factor in self._shown if since <= at][-1]
        return np.asarray(picture * factor.astype(np.float32), np.float32)


LIGHT_AFTER = 120.0  # milliseconds


def seen_at(held: Held) -> tuple[Map, Map]:
    """For each pixel of the camera the place on the sheet, in centimetres from its middle: where its ray meets it."""
    turn = _rotation(held)
    rays = _rays() @ turn.astype(np.float32)
    start = (-(turn.T @ np.array([held.x, held.y, held.distance]))).astype(np.float32)
    meet = _meet_bow if held.bend else _meet_plane
    u, v = meet(start, rays, held.bend)
    return u.reshape(HEIGHT, WIDTH), v.reshape(HEIGHT, WIDTH)


def _rotation(held: Held) -> NDArray[np.float64]:
    a, b, c = (math.radians(value) for value in (-held.yaw, -held.pitch, held.roll))
    about_y = np.array([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
    about_z = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y)


@cache
def _rays() -> NDArray[np.float32]:
    x, y = np.meshgrid((np.arange(WIDTH) - WIDTH / 2) / FOCAL, (np.arange(HEIGHT) - HEIGHT / 2) / FOCAL)
    return np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1).astype(np.float32)


def _meet_plane(start: Map, rays: Map, _: float) -> tuple[Map, Map]:
    along = -start[2] / rays[:, 2]
    return start[0] + along * rays[:, 0], start[1] + along * rays[:, 1]


def _meet_bow(start: Map, rays: Map, radius: float) -> tuple[Map, Map]:
    """A sheet bent round an upright axis behind it; the first of the two is measured along the paper."""
    x, z = start[0], start[2] - radius
    a = rays[:, 0] ** 2 + rays[:, 2] ** 2
    b = x * rays[:, 0] + z * rays[:, 2]
    root = b**2 - a * (x**2 + z**2 - radius**2)
    along = (-b - np.sqrt(np.maximum(root, 0))) / a
    u = radius * np.arctan2(x + along * rays[:, 0], -(z + along * rays[:, 2]))
    return np.where(root > 0, u, np.float32(1e4)).astype(np.float32), start[1] + along * rays[:, 1]


def laid(picture: Picture, where: tuple[Map, Map], width_cm: float, around: tuple[float, ...]) -> Picture:
    """A picture of this width on the sheet, and what is around it."""
    rows, columns = picture.shape[:2]
    scale = columns / width_cm
    x, y = where[0] * scale + columns / 2, where[1] * scale + rows / 2
    whole, parts = cv2.convertMaps(x, y, cv2.CV_16SC2)  # a third of the time of maps of floats
    seen = cv2.remap(picture, whole, parts, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=around)
    return np.asarray(seen, np.uint8)


def printed(picture: Picture) -> Picture:
    """A photograph on paper: less contrast and colour. Its dots lie far under what this camera resolves."""
    whole = picture.astype(np.float32)
    grey = whole.mean(axis=2, keepdims=True)
    return np.asarray(np.clip(18 + 0.86 * (grey + 0.85 * (whole - grey)), 0, 255), np.uint8)


def taken(picture: Picture | Pixels, noise: np.random.Generator, *, blur: float = 0.6, grain: float = 2.2) -> bytes:
    """The camera: a lens that is not quite sharp, a sensor with grain, a JPEG."""
    soft = picture.astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(soft, (0, 0), blur)) if blur else soft
    soft += noise.standard_normal((*soft.shape[:2], 1), np.float32) * grain
    return jpeg(np.clip(soft, 0, 255).astype(np.uint8), QUALITY)


def jpeg(picture: Picture, quality: int) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1])


def opened(data: bytes) -> Picture:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)

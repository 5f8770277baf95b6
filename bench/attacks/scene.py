"""What a camera sees of an instrument: a picture on paper or on a screen, flat or bent, held in a hand before a wall."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]  # rows × columns × 3, RGB 0…255
WIDTH, HEIGHT, FOCAL = 640, 480, 760.0  # of the attacked camera, in pixels
QUALITY = 85


@dataclass(frozen=True)
class Held:
    """How the instrument is held: degrees, and centimetres from the camera; `bend` is the radius of a bow, 0 for flat."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    x: float = 0.0
    y: float = 0.0
    distance: float = 42.0
    bend: float = 0.0


class Hand:
    """A hand that trembles: the same instrument never stands quite still."""

    def __init__(self, rng: Random) -> None:
        self._phases = [rng.uniform(0, 2 * math.pi) for _ in range(6)]
        self._tremor = rng.uniform(0.5, 1.5)

    def at(self, at: float, held: Held) -> Held:
        sway = [math.sin(at / span + phase) * self._tremor for span, phase in zip(SPANS, self._phases, strict=True)]
        return Held(
            held.yaw + 0.8 * sway[0], held.pitch + 0.6 * sway[1], held.roll + 0.7 * sway[2],
            held.x + 0.25 * sway[3], held.y + 0.2 * sway[4], held.distance + 0.3 * sway[5], held.bend,
        )  # fmt: skip


SPANS = (610.0, 770.0, 1130.0, 530.0, 890.0, 1490.0)  # milliseconds


def rotation(held: Held) -> NDArray[np.float64]:
    a, b, c = (math.radians(value) for value in (held.yaw, held.pitch, held.roll))
    about_y = np.array([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
    about_z = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


def shown(instrument: Pixels, held: Held, width_cm: float, wall: float) -> Pixels:
    """The instrument, `width_cm` wide, as the camera sees it. Each ray of the camera meets the sheet where it lies."""
    rays = _rays()
    turn, centre = rotation(held), np.array([held.x, held.y, held.distance])
    origin, direction = -(turn.T @ centre), rays @ turn  # in the frame of the sheet
    u, v = _meet_bow(origin, direction, held.bend) if held.bend else _meet_plane(origin, direction)
    rows, columns = instrument.shape[:2]
    scale = columns / width_cm
    map_x = (u * scale + columns / 2).astype(np.float32).reshape(HEIGHT, WIDTH)
    map_y = (v * scale + rows / 2).astype(np.float32).reshape(HEIGHT, WIDTH)
    shrink = scale * held.distance / FOCAL  # samples of the instrument a pixel of the camera
    source, factor = instrument, 1.0
    while shrink > 2:  # what lies under one pixel is averaged, as a lens does
        source, factor, shrink = (
            cv2.resize(source, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
            factor / 2,
            shrink / 2,
        )
    picture = cv2.remap(
        source,
        map_x * factor,
        map_y * factor,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(wall,) * 3,
    )
    return np.asarray(picture, np.float32)


def _rays() -> NDArray[np.float64]:
    x, y = np.meshgrid((np.arange(WIDTH) - WIDTH / 2) / FOCAL, (np.arange(HEIGHT) - HEIGHT / 2) / FOCAL)
    return np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1)


def _meet_plane(origin: NDArray[np.float64], direction: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    along = -origin[2] / direction[:, 2]
    return origin[0] + along * direction[:, 0], origin[1] + along * direction[:, 1]


def _meet_bow(
    origin: NDArray[np.float64], direction: NDArray[np.float64], radius: float
) -> tuple[NDArray[np.float64], ...]:
    """A sheet bent round an upright axis behind it; `u` is measured along the paper."""
    ox, oz = origin[0], origin[2] - radius
    a = direction[:, 0] ** 2 + direction[:, 2] ** 2
    b = ox * direction[:, 0] + oz * direction[:, 2]
    root = b**2 - a * (ox**2 + oz**2 - radius**2)
    along = (-b - np.sqrt(np.maximum(root, 0))) / a
    x, z = ox + along * direction[:, 0], oz + along * direction[:, 2]
    u = np.where(root > 0, radius * np.arctan2(x, -z), 1e6)
    return u, origin[1] + along * direction[:, 1]


def taken(picture: Pixels, noise: np.random.Generator, *, blur: float = 0.6, grain: float = 2.2) -> bytes:
    """The camera: a lens that is not quite sharp, a sensor with grain, a JPEG."""
    soft = cv2.GaussianBlur(picture, (0, 0), blur) if blur else picture
    grained = soft + noise.standard_normal((*soft.shape[:2], 1), np.float32) * grain
    return jpeg(np.asarray(grained, np.float32), QUALITY)


def jpeg(picture: Pixels, quality: int) -> bytes:
    whole = np.clip(picture, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", whole[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def opened(data: bytes) -> Pixels:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture[..., ::-1], np.float32)


def printed(picture: Pixels, *, lines: float = 150.0, width_cm: float = 20.0) -> Pixels:
    """A photograph on paper: less contrast and colour, and the screen of the printer, `lines` an inch."""
    grey = picture.mean(axis=2, keepdims=True)
    flat = 18 + 0.86 * (grey + 0.85 * (picture - grey))
    large = cv2.resize(flat, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    rows, columns = large.shape[:2]
    pitch = columns / (width_cm / 2.54 * lines)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    across, down = (x + y) / pitch / math.sqrt(2), (x - y) / pitch / math.sqrt(2)
    screen = np.cos(2 * math.pi * across) + np.cos(2 * math.pi * down)
    return np.asarray(large + 5.0 * screen[..., None], np.float32)


@dataclass(frozen=True)
class Display:
    """A screen: rows of it, its width, and the codec's quality of what it plays."""

    name: str
    rows: int
    width_cm: float
    quality: int

    def show(self, picture: Pixels) -> Pixels:
        """The picture on it: recompressed, enlarged to its pixels, each a red, a green and a blue stripe and a gap."""
        played = opened(jpeg(picture, self.quality))
        columns = self.rows * 4 // 3
        pixels = cv2.resize(played, (columns, self.rows), interpolation=cv2.INTER_CUBIC)
        lit = 255 * np.clip(pixels / 255, 0, 1) ** 1.1 * np.array([0.96, 1.0, 1.08], np.float32)
        stripes = np.repeat(np.repeat(lit, 3, axis=0), 3, axis=1)
        mask = np.tile(np.eye(3, dtype=np.float32)[None], (stripes.shape[0], columns, 1)) * 3 * 0.8 + 0.2
        rows = np.array([1.05, 1.05, 0.9], np.float32)
        gaps = np.tile(rows, self.rows)[:, None, None]
        return np.asarray(stripes * mask * gaps, np.float32)


DISPLAYS = (
    Display("laptop 768", 768, 34.0, 92),
    Display("laptop 1080", 1080, 34.0, 92),
    Display("laptop 1080, compressed", 1080, 34.0, 45),
    Display("tablet 1536", 1536, 20.0, 92),
)

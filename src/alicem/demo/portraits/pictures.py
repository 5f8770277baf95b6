"""The person before a camera, in a pose; and the portrait that goes on the chip."""

import math
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alicem.demo.portraits.face import Face
from alicem.demo.portraits.shapes import LIDS, ring, smile, step, turned
from alicem.demo.portraits.textures import CENTRE, SIZE, UNIT, Person, person
from alicem.demo.portraits.warp import NOWHERE, Floats, Pixels, cover


@dataclass(frozen=True)
class Pose:
    """Degrees, the person's own left positive; smile 0…1; lids 1 open … 0 closed."""

    yaw: float = 0.0
    pitch: float = 0.0
    smile: float = 0.0
    lids: float = 1.0


@dataclass(frozen=True)
class Camera:
    """Size of the picture, where the face is in it and how high, and the wall behind (L)."""

    width: int = 640
    height: int = 480
    x: float = 320.0
    y: float = 252.0
    unit: float = 205.0
    wall: float = 190.0


PIVOT = 0.42  # the head turns about an axis so far behind the face


def posed(shown: Person, pose: Pose) -> tuple[Floats, Floats]:
    """The points of the face and of the outline in this pose; the outline of a head hardly moves."""
    points = shown.points + pose.smile * smile()
    pivot = np.array([0, 0.1, PIVOT])
    points = (points - pivot) @ turned(-pose.yaw, -pose.pitch, 0).T + pivot
    return points, shown.outline + np.array([0.1 * math.sin(math.radians(pose.yaw)), 0.0])


def render(shown: Person, pose: Pose, camera: Camera) -> Pixels:
    """The person before a wall, RGB 0…255."""
    points, outline = posed(shown, pose)
    scale, shift = camera.unit, np.array([camera.x, camera.y])
    source = np.vstack([shown.points[:, :2], shown.outline, ring()]) * UNIT + CENTRE
    target = np.vstack([points[:, :2], outline, ring()]) * scale + shift
    depth = np.append(points[:, 2], np.full(len(source) - 468, 0.5))
    found = cover(source, target, shown.triangles, (camera.width, camera.height), depth)
    texture, alpha = found.apply(_lidded(shown, pose.lids)), found.apply(shown.alpha)
    alpha = np.where(found.x == NOWHERE, 0, alpha)[..., None]
    return np.asarray(texture * alpha + _bust(shown, camera) * (1 - alpha), np.float32)


def _lidded(shown: Person, lids: float) -> Pixels:
    """Lids come down: what they have passed shows skin, their edge is dark."""
    if lids >= 1:
        return shown.texture
    still_open = np.zeros((SIZE, SIZE), np.float32)
    for upper, lower in LIDS:
        top, bottom = shown.points[list(upper), :2], shown.points[list(lower), :2]
        edge = bottom + lids * (top - bottom)
        rim = np.vstack([edge, bottom[::-1]]) * UNIT + CENTRE
        cv2.fillPoly(still_open, [np.round(rim).astype(np.int32)], 1.0)
    share = cv2.GaussianBlur(still_open * (lids > 0), (0, 0), 1.2)[..., None]
    return np.asarray(shown.texture * share + shown.eyes_closed * (1 - share), np.float32)


def _bust(shown: Person, camera: Camera) -> Pixels:
    """Wall, shoulders and neck, painted."""
    picture = np.full((camera.height, camera.width, 3), camera.wall, np.float32)
    picture += np.linspace(12, -12, camera.width, dtype=np.float32)[None, :, None]
    clothes, neck = np.array(shown.clothes, np.float32), np.array(shown.neck, np.float32)
    rows = (np.arange(camera.height, dtype=np.float32) - camera.y) / camera.unit
    shade = (0.72 + 0.24 * step(0.5, 0.8, rows))[:, None, None]
    _paint(picture, camera, NECK, neck * shade)
    light = 1 + 0.12 * np.cos((np.arange(camera.width) - camera.x) / camera.unit * 2.2)[None, :, None]
    _paint(picture, camera, SHOULDERS, clothes * light * np.ones((camera.height, 1, 1)))
    _paint(picture, camera, COLLAR, clothes * 0.72 * np.ones((camera.height, camera.width, 1)))
    return picture


# half outlines, mirrored when painted, in heights of the face
NECK = ((0.0, 0.30), (0.27, 0.30), (0.27, 0.62), (0.30, 0.76), (0.42, 0.86), (0.0, 1.0))

SHOULDERS = ((0.0, 0.98), (0.16, 0.93), (0.33, 0.74), (0.40, 0.76), (0.75, 0.88), (0.98, 1.0), (1.15, 1.3), (1.2, 2.0))

COLLAR = ((0.0, 1.02), (0.0, 0.97), (0.16, 0.92), (0.33, 0.72), (0.37, 0.75), (0.20, 0.98))


def _paint(picture: Pixels, camera: Camera, half: tuple[tuple[float, float], ...], colour: Floats) -> None:
    right = np.array(half)
    whole = np.vstack([right, (right * [-1, 1])[::-1]]) * camera.unit + [camera.x, camera.y]
    mask = cv2.fillPoly(np.zeros(picture.shape[:2], np.float32), [np.round(whole).astype(np.int32)], 1.0)
    soft = cv2.GaussianBlur(mask, (0, 0), max(1.0, camera.unit / 130))[..., None]
    picture += (colour.astype(np.float32) - picture) * soft


PORTRAIT = Camera(width=480, height=640, x=240.0, y=330.0, unit=300.0, wall=226.0)

PORTRAIT_BYTES = 18_000


def portrait(face: Face) -> bytes:
    """As a chip holds it: 240 × 320, JPEG 2000, at most 18 kB. Another moment and light than the actor's."""
    picture = render(person(face), Pose(yaw=1.5, pitch=-1.0, smile=0.04), PORTRAIT)
    picture = 255 * np.clip(picture / 255, 0, 1) ** 0.92 * np.array([1.02, 1.0, 0.97], np.float32)
    small = cv2.resize(picture, (240, 320), interpolation=cv2.INTER_AREA)
    return chip_image(np.clip(small, 0, 255).astype(np.uint8))


def chip_image(picture: NDArray[np.uint8]) -> bytes:
    """JPEG 2000 of a 240 × 320 RGB picture, at most 18 kB."""
    image = Image.fromarray(picture)
    return next(data for rate in (14, 16, 20, 26, 40) if len(data := _jpeg2000(image, rate)) <= PORTRAIT_BYTES)


def _jpeg2000(image: Image.Image, rate: int) -> bytes:
    data = BytesIO()
    image.save(data, "JPEG2000", quality_mode="rates", quality_layers=[rate], irreversible=True)
    return data.getvalue()

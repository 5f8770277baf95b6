"""Signs that the camera is a program: what the browser says about it, held against what a camera has.

Whoever writes such a program can write another name: this catches the careless, and is switched on and off by itself (`face.virtual_camera_signs`).
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

SCORE = "virtual_camera"
TEXT_MAX, SIDE_MAX = 4096, 100_000


class BadCameraError(ValueError):
    """What was said about the camera cannot be read."""


@dataclass(frozen=True)
class Camera:
    """As `MediaStreamTrack` tells it (W3C Media Capture and Streams §4.3)."""

    label: str
    device: bool  # the track belongs to an input device
    width: int
    height: int
    frame_rate: float  # 0 where it is not told


def read_camera(plain: bytes) -> Camera:
    """JSON of a phone. Raises `BadCameraError`."""
    if len(plain) > TEXT_MAX:
        raise BadCameraError("too long")
    try:
        said = json.loads(plain)
        camera = Camera(
            label=_text(said["label"]),
            device=_truth(said["device"]),
            width=int(_number(said["width"], SIDE_MAX)),
            height=int(_number(said["height"], SIDE_MAX)),
            frame_rate=_number(said.get("frame_rate", 0), 1000),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadCameraError(f"not the description of a camera: {type(error).__name__}") from None
    return camera


def signs(camera: Camera | None) -> tuple[str, ...]:
    """The names of those that speak against a camera; a phone that says nothing about it is one of them."""
    if camera is None:
        return ("nothing_said",)
    return tuple(name for name, speaks in SIGNS.items() if speaks(camera))


def _known_program(camera: Camera) -> bool:
    label = camera.label.lower()
    return any(name in label for name in _programs())


SIGNS: Mapping[str, Any] = {
    "known_program": _known_program,
    "no_device": lambda camera: not camera.device,  # a canvas, a file: no input device stands behind the track
    "no_name": lambda camera: not camera.label.strip(),  # a device that may be used has a name (§9.2.1)
    "no_camera_s_size": lambda camera: min(camera.width, camera.height) < 240,
    "no_camera_s_pace": lambda camera: 0 < camera.frame_rate < 5 or camera.frame_rate > 240,
}


@cache
def _programs() -> tuple[str, ...]:
    table = tomllib.loads(files("alicem.face").joinpath("virtual_cameras.toml").read_text(encoding="utf-8"))
    return tuple(name.lower() for name in table["names"])


def prepare() -> None:
    """Read the table of names."""
    _programs()


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 300:
        raise ValueError("text")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("truth")
    return value


def _number(value: Any, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ValueError("number")
    return float(value)

"""What a recording loses before it is shown: its frames, each a JPEG, or together a film of some codec."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from bench.attacks.scene import HEIGHT, WIDTH, Picture, jpeg, opened

RATE = 10.0  # frames a second, as the camera takes them
Codec = Callable[[Sequence[Picture]], list[Picture]]
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # a codec that is not there is told by `can`, not on the screen
FILMS = {"H.264": ("avc1", ".mp4"), "MPEG-4": ("mp4v", ".mp4"), "VP8": ("VP80", ".mkv")}


class CodecMissingError(Exception):
    """This build of OpenCV cannot write it."""


def stills(quality: int) -> Codec:
    return lambda frames: [opened(jpeg(frame, quality)) for frame in frames]


def film(name: str) -> Codec:
    """Raises `CodecMissingError` when called."""

    def played(frames: Sequence[Picture]) -> list[Picture]:
        with tempfile.TemporaryDirectory() as folder:
            return _read(_written(name, Path(folder), frames))

    return played


@cache
def can(name: str) -> bool:
    """Whether this build of OpenCV writes it; asked without its complaints."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        with tempfile.TemporaryDirectory() as folder:
            _written(name, Path(folder), [np.zeros((HEIGHT, WIDTH, 3), np.uint8)])
    except CodecMissingError:
        return False
    finally:
        cv2.utils.logging.setLogLevel(level)
    return True


def _written(name: str, folder: Path, frames: Sequence[Picture]) -> Path:
    letters, suffix = FILMS[name]
    file = folder / f"film{suffix}"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*letters), RATE, (WIDTH, HEIGHT))
    if not writer.isOpened():
        raise CodecMissingError(name)
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return file


def _read(file: Path) -> list[Picture]:
    reader, frames = cv2.VideoCapture(str(file)), []
    while (found := reader.read())[0]:
        frames.append(np.asarray(cv2.cvtColor(found[1], cv2.COLOR_BGR2RGB), np.uint8))
    reader.release()
    return frames


CODECS: Mapping[str, Codec] = {
    "JPEG 92": stills(92),
    "JPEG 45": stills(45),
    **{name: film(name) for name in FILMS},
}

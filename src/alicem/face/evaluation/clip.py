"""A recorded clip before the live check, as if its frames came from a phone at their own pace."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from alicem.face.decide import Verdict
from alicem.face.detect import boxes
from alicem.face.evaluation.faces import CLIP_FRAMES, CLIP_PIXELS, PICTURES, NoFaceError
from alicem.face.images import FRAME, Picture, UnusableImageError, decode
from alicem.face.live import LiveCheck
from alicem.face.models import Models

RATE = 10.0  # frames a second, as the service takes them
LONGEST = 60.0  # seconds
QUALITY = 90


@dataclass(frozen=True)
class Frame:
    """`at` in milliseconds of the clip."""

    at: float
    jpeg: bytes


def frames(file: Path) -> Sequence[Frame]:
    """Ten a second of a video, or the files of a folder. Raises `NoFaceError` where nothing can be read, `OSError`."""
    found = _folder(file) if file.is_dir() else _video(file)
    if not found:
        raise NoFaceError("no frame can be read")
    return found


def _folder(folder: Path) -> list[Frame]:
    files = [one for one in sorted(folder.iterdir()) if one.suffix.lower() in PICTURES][:CLIP_FRAMES]
    return [Frame(index * 1000 / RATE, one.read_bytes()) for index, one in enumerate(files)]


def _video(file: Path) -> list[Frame]:
    file.stat()
    video = cv2.VideoCapture(str(file))
    found: list[Frame] = []
    try:
        rate = video.get(cv2.CAP_PROP_FPS) or 25.0
        for index in range(CLIP_FRAMES):
            at = index * 1000 / rate
            if at > LONGEST * 1000 or not video.grab():
                break
            if found and at - found[-1].at < 1000 / RATE - 1:
                continue
            there, picture = video.retrieve()
            if not there or picture.shape[0] * picture.shape[1] > CLIP_PIXELS:
                break
            found.append(Frame(at, _jpeg(np.asarray(picture, np.uint8))))
    finally:
        video.release()
    return found


def _jpeg(bgr: Picture) -> bytes:
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def first_face(models: Models, clip: Sequence[Frame]) -> bytes:
    """The first frame that shows one face, in place of a portrait. Raises `NoFaceError`."""
    for frame in clip:
        try:
            picture = decode(frame.jpeg, FRAME)
        except UnusableImageError:
            continue
        if len(boxes(models, picture)) == 1:
            return _jpeg(np.ascontiguousarray(picture[..., ::-1]))
    raise NoFaceError("no frame shows one face")


def judge(check: LiveCheck, clip: Sequence[Frame]) -> Verdict:
    """All frames in, until the check ends or the clip does."""
    for frame in clip:
        check.add_frame(frame.jpeg, frame.at)
        if check.done:
            break
    check.give_up()
    return check.verdict()


def tree(verdict: Verdict, *, compared: bool) -> dict[str, Any]:
    """For JSON; without a portrait of somebody's, the comparison is left out."""
    left_out = () if compared else ("same_person", "doubtful")
    return {
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "missed": verdict.missed,
        "scores": {name: round(value, 4) for name, value in verdict.scores.items() if name not in left_out},
        "thresholds": {name: value for name, value in verdict.thresholds.items() if name not in left_out},
    }

"""Faces out of files: one picture as a chip holds it, or the best moments of a clip, as the service takes them.

For measurements on research sets. Files are bounded as those from strangers are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from alicem.face.detect import boxes, precise_mesh
from alicem.face.embed import Template, average, template
from alicem.face.images import Bounds, Picture, UnusableImageError, decode
from alicem.face.matchers import BUILT_IN, Matcher
from alicem.face.measure import Measure, measure, worth
from alicem.face.models import Models

PICTURE = Bounds(("JPEG", "JPEG2000", "PNG", "PPM", "BMP", "WEBP"), 20_000_000, 25_000_000, 20)
CLIPS = (".mp4", ".webm", ".mov", ".avi", ".mkv")
PICTURES = (".jpg", ".jpeg", ".jp2", ".png", ".pgm", ".ppm", ".bmp", ".webp")
CLIP_FRAMES, CLIP_PIXELS = 3_000, 2_100_000
MOMENTS, BEST = 40, 5  # looked at in a clip, and kept of them
SMALL, PORTRAIT_HEIGHT, MARGIN = 240, 330, 60  # pixels: tight research pictures get the look of a portrait


class NoFaceError(Exception):
    """The file shows no face that can be compared, or is no picture at all. Its text names no one."""


@dataclass(frozen=True)
class Seen:
    """One moment in which a face was found."""

    measure: Measure
    template: Template


def face_of(models: Models, path: Path, matchers: Sequence[Matcher] = BUILT_IN) -> Template:
    """The face of a picture, or of the best moments of a clip or of a folder of frames. Raises `NoFaceError`, `OSError`."""
    if path.is_dir() or path.suffix.lower() in CLIPS:
        found = [seen for picture in moments(path) for seen in look(models, picture, matchers)]
        if not found:
            raise NoFaceError("no face in the clip")
        best = sorted(found, key=lambda seen: worth(seen.measure), reverse=True)[:BEST]
        return average([seen.template for seen in best], matchers)
    found = look(models, _portrait(open_picture(path)), matchers)
    if not found:
        raise NoFaceError("no face in the picture")
    return found[0].template


def look(models: Models, picture: Picture, matchers: Sequence[Matcher] = BUILT_IN) -> list[Seen]:
    """The surest face of a picture, none where there is none."""
    return [
        Seen(measure(models, picture, face), template(models, picture, face, matchers))
        for box in boxes(models, picture)[:1]
        for face in [precise_mesh(models, picture, box)]
    ]


def open_picture(path: Path) -> Picture:
    """Raises `NoFaceError` for what is no picture, `OSError`."""
    if path.stat().st_size > PICTURE.bytes:
        raise NoFaceError("a picture of too many bytes")
    try:
        return decode(path.read_bytes(), PICTURE)
    except UnusableImageError as error:
        raise NoFaceError(str(error)) from error


def _portrait(picture: Picture) -> Picture:
    """Tight, small research pictures get a margin and the size of a portrait: the detector wants to see a head."""
    height, width = picture.shape[:2]
    if max(width, height) >= SMALL:
        return picture
    size = round(width * PORTRAIT_HEIGHT / height), PORTRAIT_HEIGHT
    large = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
    return np.pad(large, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="edge")


def moments(path: Path) -> Iterator[Picture]:
    """Pictures of a clip, evenly spread: of a video, or of a folder whose files are its frames in order."""
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in PICTURES][:CLIP_FRAMES]
        for file in files[:: max(1, len(files) // MOMENTS)]:
            yield open_picture(file)
        return
    frames = list(_every(path, 1, only_count=True))
    yield from _every(path, max(1, len(frames) // MOMENTS))


def _every(path: Path, step: int, *, only_count: bool = False) -> Iterator[Picture]:
    video = cv2.VideoCapture(str(path))
    try:
        for index in range(CLIP_FRAMES):
            if not video.grab():
                return
            if only_count:
                yield np.empty(0, np.uint8)
            elif index % step == 0:
                there, frame = video.retrieve()
                if not there or frame.shape[0] * frame.shape[1] > CLIP_PIXELS:
                    return
                yield np.ascontiguousarray(frame[..., ::-1], np.uint8)
    finally:
        video.release()

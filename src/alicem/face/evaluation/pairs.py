"""A list of comparisons with their truth: `a`, `b`, `same` and, where there are such, `group`, in a CSV file.

`a` is taken as the chip's picture, `b` as a picture, a clip or a folder of frames; paths are relative to the list.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alicem.face.compare import OperatingPoint, score
from alicem.face.embed import Template, average
from alicem.face.evaluation.faces import PICTURES, NoFaceError, face_of
from alicem.face.evaluation.rates import Scores
from alicem.face.matchers import Matcher
from alicem.face.models import Models

PAIRS_MAX = 2_000_000
TRUE, FALSE = ("1", "true", "yes", "same"), ("0", "false", "no", "different")
Progress = Callable[[float], None]


class PairsError(ValueError):
    """A list that cannot be read; the text names the line."""


@dataclass(frozen=True)
class Pair:
    a: Path
    b: Path
    same: bool
    group: str = ""


@dataclass(frozen=True)
class Compared:
    """Scores in the order of the pairs that could be compared. `similarities` are each matcher's own answers."""

    scores: Scores
    same: NDArray[np.bool_]
    groups: list[str]
    similarities: dict[str, Scores]
    without_face: int  # files
    files: int

    @property
    def genuine(self) -> Scores:
        return self.scores[self.same]

    @property
    def impostors(self) -> Scores:
        return self.scores[~self.same]


def read_pairs(file: Path) -> tuple[Pair, ...]:
    """Raises `PairsError`, `OSError`."""
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            return tuple(_rows(csv.DictReader(lines), file.parent))
    except (csv.Error, UnicodeDecodeError) as error:
        raise PairsError(f"no CSV in UTF-8: {error}") from error


def _rows(rows: csv.DictReader[str], folder: Path) -> Iterator[Pair]:
    if not {"a", "b", "same"} <= set(rows.fieldnames or ()):
        raise PairsError("line 1: the columns are a, b, same and, if there are groups, group")
    for row in rows:
        truth = (row["same"] or "").strip().lower()
        if truth not in TRUE + FALSE or not row["a"] or not row["b"]:
            raise PairsError(f"line {rows.line_num}: two files, and same as 1 or 0")
        if rows.line_num > PAIRS_MAX:
            raise PairsError(f"more than {PAIRS_MAX} pairs")
        yield Pair(folder / row["a"], folder / row["b"], truth in TRUE, (row.get("group") or "").strip())


def pairs_of(folder: Path, frames: int = 1) -> tuple[Pair, ...]:
    """Every pair of pictures of a folder with one sub-folder a person, where there is no list."""
    people = sorted(path for path in folder.iterdir() if path.is_dir())
    every = [(person.name, file) for person in people for file in sorted(person.iterdir()) if _is_picture(file)]
    return tuple(Pair(one, two, a == b) for (a, one), (b, two) in combinations(every, 2))


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in PICTURES


def compare_pairs(models: Models, pairs: Sequence[Pair], point: OperatingPoint, progress: Progress) -> Compared:
    """Each file is looked at once, whatever the number of its pairs. Raises `OSError`."""
    files = sorted({path for pair in pairs for path in (pair.a, pair.b)})
    faces = dict(_looked_at(models, files, point.matchers, progress))
    kept = [pair for pair in pairs if pair.a in faces and pair.b in faces]
    return _compared([(faces[one.a], faces[one.b], one.same, one.group) for one in kept], point, len(files), len(faces))


def compare_clips(models: Models, folder: Path, frames: int, point: OperatingPoint, progress: Progress) -> Compared:
    """One picture (the chip's) against the average of `frames` others (the clip's), over a folder of people."""
    people = {
        person.name: [file for file in sorted(person.iterdir()) if _is_picture(file)]
        for person in sorted(folder.iterdir())
        if person.is_dir()
    }
    files = [file for found in people.values() for file in found]
    looked = dict(_looked_at(models, files, point.matchers, progress))
    faces = {name: [looked[file] for file in found if file in looked] for name, found in people.items()}
    clips = [(name, i, clip) for name in people for i, clip in enumerate(_clips(faces[name], frames, point.matchers))]
    rows = [
        (one, clip, name == other, "")
        for name, found in faces.items()
        for i, one in enumerate(found)
        for other, j, clip in clips
        if name != other or i == j
    ]
    return _compared(rows, point, len(files), len(looked))


def _looked_at(
    models: Models, files: Sequence[Path], matchers: Sequence[Matcher], progress: Progress
) -> Iterator[tuple[Path, Template]]:
    for index, file in enumerate(files):
        progress(index / len(files))
        try:
            yield file, face_of(models, file, matchers)
        except NoFaceError:
            continue
    progress(1.0)


def _clips(faces: Sequence[Template], frames: int, matchers: Sequence[Matcher]) -> list[Template]:
    """For each picture, the average of the `frames` that follow it, round the folder."""
    count, taken = len(faces), min(frames, len(faces) - 1)
    if taken < 1:
        return []
    return [average([faces[(i + 1 + k) % count] for k in range(taken)], matchers) for i in range(count)]


Row = tuple[Template, Template, bool, str]


def _compared(rows: Sequence[Row], point: OperatingPoint, files: int, found: int) -> Compared:
    own = {
        matcher.name: np.array(
            [matcher.compare(a.vectors[matcher.name], b.vectors[matcher.name]) for a, b, _, _ in rows]
        )
        for matcher in point.matchers
    }
    return Compared(
        scores=np.array([score(a, b, point) for a, b, _, _ in rows], np.float64),
        same=np.array([same for _, _, same, _ in rows], np.bool_),
        groups=[group for _, _, _, group in rows],
        similarities=own,
        without_face=files - found,
        files=files,
    )


def digest(file: Path) -> str:
    """Names a list in what was calibrated on it."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]

"""How often the comparison errs, on a folder of people each with several pictures.

`python -m alicem.face.evaluate FOLDER [--frames N]`: one sub-folder a person. Every pair of pictures is compared,
or with `--frames` one picture (the chip's) with the average of N others (the clip's). Rates are printed with their
counts and exact 95 % intervals; pairs of the same people are not independent, so the true ones are wider.
"""

import argparse
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alicem.face import models
from alicem.face.compare import score
from alicem.face.detect import boxes, precise_mesh
from alicem.face.embed import Template, average, template
from alicem.face.images import Picture
from alicem.face.thresholds import Thresholds, published

Scores = NDArray[np.float64]
People = Mapping[str, Sequence[Template]]


@dataclass(frozen=True)
class Rate:
    """A share of errors, or of successes, with its exact 95 % interval (Clopper and Pearson)."""

    count: int
    of: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Evaluation:
    people: int
    pictures: int
    without_face: int
    genuine: int
    impostors: int
    eer: float
    threshold_at_fmr_1e_3: float
    tar_at_fmr_1e_3: Rate
    fmr: Rate  # accepted impostors at the operating point
    fnmr: Rate  # genuine pairs not accepted: refused, or sent to the office
    genuine_refused: Rate
    impostors_doubtful: Rate


def interval(count: int, of: int, level: float = 0.95) -> Rate:
    tail = (1 - level) / 2
    low = 0.0 if count == 0 else _solve(lambda p: 1 - _at_most(count - 1, of, p) - tail)
    high = 1.0 if count == of else _solve(lambda p: tail - _at_most(count, of, p))
    return Rate(count, of, count / of if of else math.nan, low, high)


def _at_most(count: int, of: int, p: float) -> float:
    """The chance of `count` or fewer among `of`."""
    if count > of / 2:
        return 1 - _at_most(of - count - 1, of, 1 - p)
    k = np.arange(count + 1)
    choose = math.lgamma(of + 1) - _lgamma(k + 1) - _lgamma(of - k + 1)
    return float(np.exp(choose + k * math.log(p) + (of - k) * math.log1p(-p)).sum())


def _lgamma(values: NDArray[np.int64]) -> Scores:
    return np.array([math.lgamma(value) for value in values])


def _solve(rising: Callable[[float], float]) -> float:
    low, high = 1e-12, 1 - 1e-12
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def threshold_at(impostors: Scores, fmr: float) -> float:
    """The lowest threshold at which no more than this share of impostors is accepted."""
    ordered = np.sort(impostors)
    allowed = int(len(ordered) * fmr)
    return float(np.nextafter(ordered[len(ordered) - allowed - 1], np.inf))


def equal_error(genuine: Scores, impostors: Scores) -> float:
    places = np.unique(np.concatenate([genuine, impostors]))
    fnmr = np.searchsorted(np.sort(genuine), places) / len(genuine)
    fmr = 1 - np.searchsorted(np.sort(impostors), places) / len(impostors)
    best = int(np.abs(fnmr - fmr).argmin())
    return float((fnmr[best] + fmr[best]) / 2)


def evaluate(people: People, without_face: int, frames: int, thresholds: Thresholds) -> Evaluation:
    genuine, impostors = scores(people, frames, thresholds)
    point = thresholds.compare
    strict = threshold_at(impostors, 1e-3)
    return Evaluation(
        people=len(people),
        pictures=sum(map(len, people.values())),
        without_face=without_face,
        genuine=len(genuine),
        impostors=len(impostors),
        eer=equal_error(genuine, impostors),
        threshold_at_fmr_1e_3=strict,
        tar_at_fmr_1e_3=_share(genuine >= strict),
        fmr=_share(impostors >= point.accept),
        fnmr=_share(genuine < point.accept),
        genuine_refused=_share(genuine < point.refuse),
        impostors_doubtful=_share((impostors >= point.refuse) & (impostors < point.accept)),
    )


def _share(hits: NDArray[np.bool_]) -> Rate:
    return interval(int(hits.sum()), len(hits))


def scores(people: People, frames: int, thresholds: Thresholds) -> tuple[Scores, Scores]:
    """Of the same person, and of different people."""
    point = thresholds.compare
    if frames <= 1:
        every = [(name, one) for name, pictures in people.items() for one in pictures]
        found = [(a == b, score(x, y, point)) for (a, x), (b, y) in combinations(every, 2)]
    else:
        clips = [(name, i, clip) for name in people for i, clip in enumerate(_clips(people[name], frames))]
        found = [
            (name == other, score(one, clip, point))
            for name, pictures in people.items()
            for i, one in enumerate(pictures)
            for other, j, clip in clips
            if name != other or i == j
        ]
    same = np.array([same for same, _ in found])
    values = np.array([value for _, value in found])
    return values[same], values[~same]


def _clips(pictures: Sequence[Template], frames: int) -> list[Template]:
    """For each picture, the average of the `frames` that follow it, round the folder."""
    count = len(pictures)
    return [average([pictures[(i + 1 + k) % count] for k in range(min(frames, count - 1))]) for i in range(count)]


def read(folder: Path) -> tuple[dict[str, list[Template]], int]:
    """The templates of every person, and how many pictures showed no face."""
    networks, people, missed = models.load(), {}, 0
    for person in sorted(path for path in folder.iterdir() if path.is_dir()):
        found = []
        for path in sorted(person.iterdir()):
            picture = _open(path)
            faces = boxes(networks, picture)
            if faces:
                found.append(template(networks, picture, precise_mesh(networks, picture, faces[0])))
            missed += not faces
        people[person.name] = found
    return people, missed


def _open(path: Path) -> Picture:
    """Tight, small research pictures get a margin and the size of a portrait: the detector wants to see a head."""
    with Image.open(path) as image:
        width, height = image.size
        if max(width, height) >= 240:
            return np.asarray(image.convert("RGB"))
        scale = 330 / height
        large = image.convert("RGB").resize((round(width * scale), 330), Image.Resampling.BICUBIC)
    return np.pad(np.asarray(large), ((60, 60), (60, 60), (0, 0)), mode="edge")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=1)
    chosen = parser.parse_args()
    people, missed = read(chosen.folder)
    print(json.dumps(asdict(evaluate(people, missed, chosen.frames, published())), indent=2))


if __name__ == "__main__":
    main()

"""`python -m bench.attacks.patterns FOLDER`: the rule on screens alone, on real faces.

Moments of clips of real people, one a file, as a camera sees them off each display; and the same moments without a
display, as that camera sends them. One moment each: a whole check looks at several.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

import cv2
import numpy as np

from alicem.face import models
from alicem.face.detect import boxes, precise_mesh
from alicem.face.evaluation.faces import moments
from alicem.face.evaluation.rates import interval
from alicem.face.spectrum import screen
from alicem.face.thresholds import published
from bench.attacks.displays import DISPLAYS, SENSORS, filmed
from bench.attacks.scene import HEIGHT, WIDTH, Held, Picture, opened, taken

EVERY = 3  # of the forty moments of a clip


def framed(picture: Picture) -> Picture:
    """As tall as the camera's picture, with a wall at the sides, or cut to it."""
    scale = HEIGHT / picture.shape[0]
    tall = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:HEIGHT]
    wide = np.full((HEIGHT, WIDTH, 3), 150, np.uint8)
    across = min(WIDTH, tall.shape[1])
    left, skip = (WIDTH - across) // 2, (tall.shape[1] - across) // 2
    wide[: tall.shape[0], left : left + across] = tall[:, skip : skip + across]
    return wide


def peak(networks: models.Models, jpeg: bytes) -> float | None:
    picture = opened(jpeg)
    found = boxes(networks, picture)
    return screen(picture, precise_mesh(networks, picture, found[0])) if found else None


def told(name: str, values: list[float | None]) -> str:
    seen = [value for value in values if value is not None]
    rate = interval(sum(value > published().attacks["screen"] for value in seen), len(seen))
    share = f"{100 * rate.rate:5.1f} % ({100 * rate.low:.1f}–{100 * rate.high:.1f})"
    return f"{name:32} over the limit {rate.count:3} of {rate.of:3}: {share}, median {np.median(seen):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.attacks.patterns", description=__doc__)
    parser.add_argument("clips", type=Path, metavar="FOLDER")
    cv2.setNumThreads(1)
    networks, rng = models.load(), Random(1)  # noqa: S311 - to be played again
    noise = np.random.default_rng(1)
    files = sorted(parser.parse_args().clips.glob("*.mp4"))
    people = [framed(picture) for file in files for picture in list(moments(file))[::EVERY]]
    print(told("no display", [peak(networks, taken(person, noise)) for person in people]), flush=True)
    for display in DISPLAYS:
        for sensor in SENSORS:
            found = []
            for person in people:
                near = rng.uniform(32, 40) * display.width_cm / 34.0
                held = Held(rng.uniform(-3, 3), rng.uniform(-1.5, 1.5), rng.uniform(-1.5, 1.5), distance=near)
                found.append(peak(networks, taken(filmed(display, sensor, person, held), noise, blur=0.0)))
            print(told(f"{display.name}, {sensor.name}", found), flush=True)


if __name__ == "__main__":
    main()

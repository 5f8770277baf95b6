"""`python -m bench.reflection [CLIPS]`: how much of the screen's light must reach a face to be seen, and how often light is found that nobody shone.

Specimen persons before a screen that gives a share of their light; then, where a folder of clips of real people is given, every stretch of them as
long as the colours last, against colours drawn by chance: light found there is light that nobody shone. Intervals are exact, of 95 %.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

from alicem.demo import actor, portraits
from alicem.face import Challenge, draw, models
from alicem.face.evaluation.clip import frames
from alicem.face.evaluation.rates import interval
from alicem.face.hints import about_pose
from alicem.face.look import Follower, Look
from alicem.face.models import Models
from alicem.face.reflection import COLOUR_MS, Reflection
from alicem.face.thresholds import published

SHARES = (0.0, 0.005, 0.01, 0.02, 0.04, 0.08)
TIMES, STEP, MOMENTS = 24, 100.0, 30


def lit(networks: Models, share: float, number: int, *, told: bool) -> float | None:
    """The score of one person under colours; `told`: the screen's own, else another's."""
    rng = Random(f"{share} {number}")  # noqa: S311 - to be played again
    names = list(portraits.faces())
    player = actor.Actor(portraits.faces()[names[number % len(names)]], number)
    challenge, other = draw(rng), draw(rng)
    shone = challenge if told else other
    reflection, follower = Reflection(), Follower(networks)
    for moment in range(MOMENTS):
        at = moment * STEP
        place = int(at // COLOUR_MS)
        if at % COLOUR_MS == 0:
            reflection.show((*challenge.colours, None)[place], at)
            player.light((*shone.colours, None)[place], at, share)
        look = follower.look(player.frame(at), at)
        if isinstance(look, Look):
            reflection.look(look)
    return reflection.score()


def stretches(networks: Models, file: Path) -> Iterator[list[Look]]:
    """Of a clip: looks in a row, straight and whole, as many as the colours last."""
    follower, row = Follower(networks), list[Look]()
    for frame in frames(file):
        look = follower.look(frame.jpeg, frame.at)
        straight = isinstance(look, Look) and look.hint is None and about_pose(look.measure) is None
        row = [*row, look] if isinstance(look, Look) and straight else []
        if len(row) == MOMENTS:
            yield row
            row = []


def unlit(row: list[Look], challenge: Challenge) -> float | None:
    """The score of a stretch in which no screen shone."""
    reflection = Reflection()
    for place, colour in enumerate((*challenge.colours, None)):
        reflection.show(colour, row[0].at + place * COLOUR_MS)
    for look in row:
        reflection.look(look)
    return reflection.score()


def line(name: str, scores: list[float | None]) -> str:
    limit = published().attacks["reflection"]
    seen = sum(score is not None for score in scores)
    found = interval(sum(score is not None and score >= limit for score in scores), len(scores))
    return (
        f"{name:48} some light seen {seen:4} of {len(scores):4}   the screen's {found.count:4}  "
        f"95 % {found.low:.3f}–{found.high:.3f}"
    )


def main() -> None:
    networks = models.load()
    for share in SHARES:
        for told in (True, False):
            scores = [lit(networks, share, number, told=told) for number in range(TIMES)]
            name = f"{100 * share:.1f} % of the light from {'the' if told else 'another'} screen"
            print(line(name, scores), flush=True)
    rng = Random(1)  # noqa: S311 - to be drawn again
    for folder in sys.argv[1:]:
        rows = [row for file in sorted(Path(folder).iterdir()) for row in stretches(networks, file)]
        scores = [unlit(row, draw(rng)) for row in rows for _ in range(20)]
        print(line(f"{len(rows)} stretches of real clips, 20 times each", scores))


if __name__ == "__main__":
    main()

"""The species (ISO/IEC 30107-3: one kind of instrument, made and used in one way, of different people)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from alicem.face.models import Models
from bench.attacks.codecs import CODECS, FILMS, can
from bench.attacks.displays import DISPLAYS, Display
from bench.attacks.masks import EYES, EYES_AND_MOUTH, Mask
from bench.attacks.persons import GENERATED, Person
from bench.attacks.prints import Photo, SwappedPhotos
from bench.attacks.replays import AsRecorded, Clips, Replay
from bench.attacks.scene import Sees
from bench.attacks.streams import Cut, Loop, SessionAgain

Make = Callable[[str, Random, Models], Sees]


@dataclass(frozen=True)
class Species:
    """`goal` is the greatest share that may be accepted; none where there is no goal. `codec`: of its recording."""

    make: Make
    goal: float | None
    codec: str | None = None

    @property
    def possible(self) -> bool:
        return self.codec not in FILMS or can(str(self.codec))


def _shown(display: Display, codec: str, *, on_demand: bool = True) -> Species:
    recording = Clips if on_demand else AsRecorded
    return Species(
        lambda victim, rng, _: Replay(recording(victim, rng, CODECS[codec]), rng, display), goal=0.05, codec=codec
    )


LAPTOP = next(display for display in DISPLAYS if display.name == "laptop 1080")

SPECIES: Mapping[str, Species] = {
    "print, flat, held": Species(lambda victim, rng, _: Photo(victim, rng, bent=False, moved=False), 0.0),
    "print, flat, moved": Species(lambda victim, rng, _: Photo(victim, rng, bent=False, moved=True), 0.0),
    "print, bent, moved": Species(lambda victim, rng, _: Photo(victim, rng, bent=True, moved=True), 0.0),
    "print, flat, swapped": Species(lambda victim, rng, _: SwappedPhotos(victim, rng), 0.0),
    "print, bent, swapped": Species(lambda victim, rng, _: SwappedPhotos(victim, rng, bent=True), 0.0),
    "display, laptop 1080, JPEG 92, as recorded": _shown(LAPTOP, "JPEG 92", on_demand=False),
    **{f"display, {one.name}, JPEG 92, on demand": _shown(one, "JPEG 92") for one in DISPLAYS},
    **{f"display, laptop 1080, {name}, on demand": _shown(LAPTOP, name) for name in CODECS if name != "JPEG 92"},
    "mask, flat, eyes and mouth": Species(
        lambda victim, rng, networks: Mask(victim, rng, networks, EYES_AND_MOUTH, bent=False), 0.05
    ),
    "mask, bent, eyes and mouth": Species(
        lambda victim, rng, networks: Mask(victim, rng, networks, EYES_AND_MOUTH, bent=True), 0.05
    ),
    "mask, bent, eyes": Species(lambda victim, rng, networks: Mask(victim, rng, networks, EYES, bent=True), 0.05),
    "stream, animated still": Species(lambda victim, rng, _: Person(victim, rng, GENERATED), None),
    "stream, cut in every action": Species(lambda victim, rng, _: Cut(victim, rng, for_good=False), 0.0),
    "stream, cut for good": Species(lambda victim, rng, _: Cut(victim, rng, for_good=True), 0.0),
    "stream, session again": Species(
        lambda victim, rng, networks: SessionAgain(victim, rng, networks, encoded_anew=False), 0.0
    ),
    "stream, session again, encoded anew": Species(
        lambda victim, rng, networks: SessionAgain(victim, rng, networks, encoded_anew=True), None
    ),
    "stream, looped": Species(lambda victim, rng, _: Loop(victim, rng, 15, encoded_anew=False), 0.0),
    "stream, looped, encoded anew": Species(lambda victim, rng, _: Loop(victim, rng, 15, encoded_anew=True), 0.0),
    "stream, frozen": Species(lambda victim, rng, _: Loop(victim, rng, 1, encoded_anew=False), 0.0),
}

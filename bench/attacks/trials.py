"""Presentations to the live check: of each species, and of the persons themselves before the same camera.

APCER (ISO/IEC 30107-3) is the share of attacks that were accepted; doubtful ones go to the office and are counted
apart. BPCER is the share of honest persons refused. A seed is the number of a presentation: any can be played again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from alicem.demo import portraits
from alicem.face import Configuration, LiveCheck, Outcome, Reason, Verdict, draw, models
from alicem.face.evaluation.rates import Rate, interval
from bench.attacks.persons import Conditions, Person, play
from bench.attacks.species import Make

LEAST = (
    "doubtful",
    "same_person",
    "one_person",
    "relief",
    "reflection",
    "rate",
)  # they speak when they are under their threshold


AS_SERVED = Configuration(colours_required=True)
"""As the service's settings have it, but for the signs of virtual cameras, which nobody describes here."""


@dataclass(frozen=True)
class Trial:
    """`note` tells what else chance decided."""

    verdict: Verdict
    note: str


@dataclass
class Trials:
    of: list[Trial] = field(default_factory=list)

    def counted(self, outcome: Outcome) -> Rate:
        return interval(sum(one.verdict.outcome is outcome for one in self.of), len(self.of))

    @property
    def reasons(self) -> Mapping[str, int]:
        """Why they were refused or sent to the office; an action that was not seen says which."""
        return Counter(
            " ".join(filter(None, (str(one.verdict.reason or one.verdict.outcome), one.verdict.missed)))
            for one in self.of
        )

    @property
    def accepted_notes(self) -> Mapping[str, int]:
        return Counter(one.note for one in self.of if one.verdict.outcome is Outcome.ACCEPT and one.note)

    def scores(self, name: str) -> list[float]:
        return [one.verdict.scores[name] for one in self.of if name in one.verdict.scores]

    def caught(self) -> Mapping[str, Rate]:
        """By each layer that looked, as if it were the only one; the first is that what is asked is not done."""
        undone = sum(one.verdict.reason is Reason.NOT_LIVE for one in self.of)
        found = {"challenge": interval(undone, len(self.of))}
        for name in sorted({name for one in self.of for name in one.verdict.scores}):
            measured = [one.verdict for one in self.of if name in one.verdict.scores and name in one.verdict.thresholds]
            if not measured:  # a detector that is switched off
                continue
            found[name] = interval(sum(_speaks(verdict, name) for verdict in measured), len(measured))
        return found

    def tree(self) -> dict[str, object]:
        """For JSON."""
        return {
            **{str(outcome): vars(self.counted(outcome)) for outcome in Outcome},
            "reasons": dict(self.reasons),
            "accepted_notes": dict(self.accepted_notes),
            "layers": {
                name: {"caught": rate.count, "of": rate.of, "scores": sorted(round(v, 3) for v in self.scores(name))}
                for name, rate in self.caught().items()
            },
        }


def _speaks(verdict: Verdict, name: str) -> bool:
    value, limit = verdict.scores[name], verdict.thresholds[name]
    return value < limit if name in LEAST else value > limit


def presented(networks: models.Models, name: str, make: Make, number: int) -> Trial:
    """One presentation of a species by its name, the same each time it is played."""
    names = list(portraits.faces())
    victim = names[number % len(names)]
    rng = Random(f"{name} {number}")  # noqa: S311 - to be played again
    attack = make(victim, rng, networks)
    check = LiveCheck(networks, portraits.portrait(portraits.faces()[victim]), draw(rng), AS_SERVED)
    play(check, attack)
    return Trial(check.verdict(), getattr(attack, "note", ""))


def present(
    networks: models.Models, name: str, make: Make, times: int, done: Callable[[], None] = lambda: None
) -> Trials:
    found = Trials()
    for number in range(times):
        found.of.append(presented(networks, name, make, number))
        done()
    return found


class Another(Person):
    """Somebody else of the specimens acts as told, without any instrument: what the comparison alone must refuse."""

    def __init__(self, victim: str, rng: Random, _: models.Models) -> None:
        other = rng.choice([name for name in portraits.faces() if name != victim])
        super().__init__(other, rng, Conditions())


def _person(conditions: Conditions) -> Make:
    return lambda victim, rng, _: Person(victim, rng, conditions)


TWINS: Mapping[str, Make] = {
    "person, good light": _person(Conditions()),
    "person, dim room": _person(Conditions(light=0.55, screen=0.2, grain=6.0)),
    "person, by the window": _person(Conditions(light=1.1, screen=0.01)),
    "person, soft lens": _person(Conditions(blur=1.4)),
}

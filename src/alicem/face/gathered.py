"""What one check gathers on its way, and the scores that come of it: nothing here decides."""

from statistics import fmean

from alicem.face.attacks import Stream, one_person
from alicem.face.compare import score
from alicem.face.configuration import Configuration
from alicem.face.embed import Template, average, template
from alicem.face.look import Look
from alicem.face.models import Models
from alicem.face.reflection import Reflection
from alicem.face.spectrum import screen


class Gathered:
    """Templates of good moments, and what the layers against attacks measured."""

    def __init__(self, models: Models, configuration: Configuration) -> None:
        self._models, self._detectors = models, configuration.detectors
        self._point = configuration.thresholds.compare
        self.stream, self.reflection = Stream(), Reflection()
        self.relief: float | None = None
        self._screen: list[float] = []
        self._at_rest: list[Template] = []
        self._moments: list[Template] = []  # these and those of the actions, in order
        self._looks_of: dict[str, list[float]] = {one.score: [] for one in self._detectors}

    def at_rest(self, look: Look) -> None:
        """A face to be compared with the portrait."""
        self._at_rest.append(self._template(look))
        if (found := screen(look.picture, look.mesh)) is not None:
            self._screen.append(found)

    def in_action(self, look: Look) -> None:
        """A moment at which it must still be the same person."""
        self._template(look)

    def _template(self, look: Look) -> Template:
        for detector in self._detectors:
            self._looks_of[detector.score].append(detector.look(self._models, look.picture, look.mesh))
        self._moments.append(template(self._models, look.picture, look.mesh, self._point.matchers))
        return self._moments[-1]

    def scores(self, portrait: Template | None) -> dict[str, float]:
        """By name; what could not be measured is absent."""
        found = {
            "frozen_ms": self.stream.frozen_ms,
            "repeated": float(self.stream.repeated),
            "jump": self.stream.jump,
            "leap": self.stream.leap,
            "gap_ms": self.stream.gap_ms,
        }
        if self._screen:
            found["screen"] = max(self._screen)
        if (reflection := self.reflection.score()) is not None:
            found["reflection"] = reflection
        if self.relief is not None:
            found["relief"] = self.relief
        found |= {name: fmean(looks) for name, looks in self._looks_of.items() if looks}
        return found | self._compared(portrait)

    def _compared(self, portrait: Template | None) -> dict[str, float]:
        if portrait is None or not self._at_rest:
            return {}
        likeness = score(portrait, average(self._at_rest, self._point.matchers), self._point)
        same = one_person(self._at_rest, self._moments, self._point)
        return {"same_person": likeness, "doubtful": likeness, "one_person": same}

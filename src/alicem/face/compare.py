"""Is it the same person? One score out of several networks, and the operating point it is held against.

What each network answers is expressed in standard deviations above the scores of different people, and these are
averaged. The constants come from one development set and are kept as data with their origin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alicem.face.detect import boxes, precise_mesh
from alicem.face.embed import Template, template
from alicem.face.images import PORTRAIT, decode
from alicem.face.matchers import BUILT_IN, Matcher
from alicem.face.models import Models


@dataclass(frozen=True)
class Scale:
    """How one network scores different people."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class OperatingPoint:
    """From `accept` on it is the same person; under `refuse` it is not; between, the office decides."""

    accept: float
    refuse: float
    scales: Mapping[str, Scale]
    provenance: str
    matchers: tuple[Matcher, ...] = BUILT_IN


def score(a: Template, b: Template, point: OperatingPoint) -> float:
    """Standard deviations above different people; 0 is what two strangers get on average."""
    return sum(_scaled(matcher, a, b, point) for matcher in point.matchers) / len(point.matchers)


def _scaled(matcher: Matcher, a: Template, b: Template, point: OperatingPoint) -> float:
    scale = point.scales[matcher.name]
    return (matcher.compare(a.vectors[matcher.name], b.vectors[matcher.name]) - scale.mean) / scale.deviation


class PortraitError(Exception):
    """The portrait of the chip shows no face that can be compared, or more than one."""


def portrait_template(models: Models, portrait: bytes, matchers: Sequence[Matcher] = BUILT_IN) -> Template:
    """The face of the chip's portrait; `UnusableImageError` where the picture cannot be read."""
    picture = decode(portrait, PORTRAIT)
    found = boxes(models, picture)
    if len(found) != 1:
        raise PortraitError(f"{len(found)} faces in the portrait")
    return template(models, picture, precise_mesh(models, picture, found[0]), matchers)

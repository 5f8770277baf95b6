"""Is it the same person? One score out of two networks, and the operating point it is held against.

Both networks answer a cosine; each is expressed in standard deviations above the scores of different people,
and the two are averaged. The constants come from one development set and are kept as data with their origin.
"""

from dataclasses import dataclass

from alicem.face.detect import boxes, precise_mesh
from alicem.face.embed import Template, template
from alicem.face.images import PORTRAIT, decode
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
    dlib: Scale
    faceres: Scale
    provenance: str


def score(a: Template, b: Template, point: OperatingPoint) -> float:
    """Standard deviations above different people; 0 is what two strangers get on average."""
    dlib = (float(a.dlib @ b.dlib) - point.dlib.mean) / point.dlib.deviation
    faceres = (float(a.faceres @ b.faceres) - point.faceres.mean) / point.faceres.deviation
    return (dlib + faceres) / 2


class PortraitError(Exception):
    """The portrait of the chip shows no face that can be compared, or more than one."""


def portrait_template(models: Models, portrait: bytes) -> Template:
    """The face of the chip's portrait; `UnusableImageError` where the picture cannot be read."""
    picture = decode(portrait, PORTRAIT)
    found = boxes(models, picture)
    if len(found) != 1:
        raise PortraitError(f"{len(found)} faces in the portrait")
    return template(models, picture, precise_mesh(models, picture, found[0]))

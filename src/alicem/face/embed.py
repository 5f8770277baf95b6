"""A face as what is compared: one vector of each network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alicem.face.detect import Mesh
from alicem.face.images import Picture
from alicem.face.matchers import BUILT_IN, Matcher, Vector
from alicem.face.models import Models


@dataclass(frozen=True)
class Template:
    """By the names of the matchers."""

    vectors: Mapping[str, Vector]


def template(models: Models, picture: Picture, mesh: Mesh, matchers: Sequence[Matcher] = BUILT_IN) -> Template:
    return Template({matcher.name: matcher.vector(models, picture, mesh) for matcher in matchers})


def average(templates: Sequence[Template], matchers: Sequence[Matcher] = BUILT_IN) -> Template:
    """One template of several pictures of one face."""
    return Template({one.name: one.join([found.vectors[one.name] for found in templates]) for one in matchers})

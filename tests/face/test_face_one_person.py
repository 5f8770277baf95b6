"""One person throughout: an exchange is found whenever it comes, for a moment or for good."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from alicem.face.attacks import one_person
from alicem.face.compare import score
from alicem.face.embed import Template, average
from alicem.face.thresholds import published

POINT = published().compare
REST = (0, 1, 3, 5)  # two moments of the neutral face, then action, rest, action, rest, action
LIMIT = published().attacks["one_person"]


def moments(people: Sequence[int]) -> list[Template]:
    """Two people as alike as two people are on average, and a little of every moment's own."""
    rng = np.random.default_rng(5)

    def unit(size: int) -> NDArray[np.float64]:
        vector = rng.standard_normal(size)
        return np.asarray(vector / np.linalg.norm(vector))

    sizes = dict(zip((matcher.name for matcher in POINT.matchers), (128, 1024), strict=True))
    faces = {name: (unit(size), [unit(size), unit(size)]) for name, size in sizes.items()}

    def seen(person: int) -> Template:
        vectors = {}
        for name, (common, own) in faces.items():
            alike = POINT.scales[name].mean
            vector = np.sqrt(alike) * common + np.sqrt(1 - alike) * own[person] + 0.1 * unit(sizes[name])
            vectors[name] = (vector / np.linalg.norm(vector)).astype(np.float32)
        return Template(vectors)

    return [seen(person) for person in people]


def judged(people: Sequence[int]) -> float:
    found = moments(people)
    return one_person([found[place] for place in REST], found, POINT)


def test_one_person_is_one() -> None:
    assert judged([0] * 7) > LIMIT


@pytest.mark.parametrize("place", range(2, 7))
def test_an_exchange_for_good_is_found(place: int) -> None:
    assert judged([0] * place + [1] * (7 - place)) < LIMIT


@pytest.mark.parametrize("place", [2, 4, 6])
def test_somebody_else_in_one_action_is_found(place: int) -> None:
    assert judged([0] * place + [1] + [0] * (6 - place)) < LIMIT


def test_held_against_the_face_at_rest_alone_the_exchange_would_pass() -> None:
    """Why the moments are split in time: a mixture resembles both."""
    found = moments([0, 0, 1, 1, 1, 1, 1])
    mixture = average([found[place] for place in REST], POINT.matchers)
    assert min(score(mixture, one, POINT) for one in found) > LIMIT


def test_a_check_that_ended_early_has_one_moment() -> None:
    found = moments([0])
    assert one_person(found, found, POINT) > LIMIT

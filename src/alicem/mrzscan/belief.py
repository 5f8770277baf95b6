"""What a zone says, given what each letter may be and that every check digit is right.

Check digits do not only judge. Of all zones whose check digits are right the likeliest is taken, and its share of the
likelihood of them all says how sure it is. With a running sum modulo ten of the field and one of the composite, that
is a walk over a hundred states: exact, and short.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from alicem.mrzscan.characters import ALPHABET, Shares
from alicem.mrzscan.layouts import MAY, Layout, Place, layouts
from emrtd.mrz import VALUES, WEIGHTS, Kind

Indices = NDArray[np.intp]

NEVER = -1e9
MASKS = {one: np.array([character in allowed for character in ALPHABET]) for one, allowed in MAY.items()}
RESIDUE = np.array([VALUES[character] % 10 for character in ALPHABET])
ALIKE = np.arange(10)[:, None] == RESIDUE  # check digits cannot tell 6 from G, L from 1, U from 0


@dataclass(frozen=True, repr=False)
class Belief:
    """The likeliest zone whose check digits are right.

    `checked` is its share among all such zones, over the places that check digits cover; `unchecked` the same over the
    others, names among them. `strain` says what the check digits cost: how much likelier the zone would be that minds
    none, a logarithm.
    """

    lines: tuple[str, ...]
    checked: float
    unchecked: float
    strain: float


@dataclass(frozen=True, repr=False)
class _Walk:
    places: list[Place]  # those that check digits cover
    letters: Indices
    best: float  # likelihood of these
    total: float  # of all that the layout allows
    free: float  # of the likeliest that minds no check digit; logarithms all


def believe(kind: Kind, shares: Shares) -> Belief:
    """Shares: lines × letters × 37, logarithms."""
    walks = [_walk(layout, _allowed(layout, shares)) for layout in layouts(kind)]
    place = int(np.argmax([walk.best for walk in walks]))
    layout, walk = layouts(kind)[place], walks[place]
    allowed = _allowed(layout, shares)
    letters, unchecked = allowed.argmax(2), np.ones(allowed.shape[:2], bool)
    rows, columns = np.array(walk.places).T
    letters[rows, columns], unchecked[rows, columns] = walk.letters, False
    others = (allowed.max(2) - np.logaddexp.reduce(allowed, axis=2))[unchecked].sum()
    return Belief(
        tuple("".join(ALPHABET[letter] for letter in row) for row in letters),
        float(np.exp(walk.best - np.logaddexp.reduce([one.total for one in walks]))),
        float(np.exp(others)),
        max(one.free for one in walks) - walk.best,
    )


def fit(kind: Kind, shares: Shares) -> float:
    """How well letters suit the kind of zone, check digits apart: the logarithm of the likeliest that it allows."""
    return max(float(_allowed(layout, shares).max(2).sum()) + layout.prior for layout in layouts(kind))


def _allowed(layout: Layout, shares: Shares) -> Shares:
    return np.where(np.array([[MASKS[one] for one in row] for row in layout.pattern]), shares, NEVER)


def _origins(field: int, composite: int) -> Indices:
    """From which state each is reached by each residue, where these weights apply: 10 × 100."""
    residue, first, second = np.ogrid[:10, :10, :10]
    origin = (first - field * residue) % 10 * 10 + (second - composite * residue) % 10
    return np.asarray(origin.reshape(10, 100), np.intp)


def _closing(composite: int) -> Indices:
    """The same where a check digit ends a field: only from sums equal to it, only to the sum 0. State 100 is none."""
    residue, first, second = np.ogrid[:10, :10, :10]
    origin = residue * 10 + (second - composite * residue) % 10
    return np.asarray(np.where(first == 0, origin, 100).reshape(10, 100), np.intp)


ORIGINS = {(field, composite): _origins(field, composite) for field in (0, *WEIGHTS) for composite in WEIGHTS}
CLOSING = {composite: _closing(composite) for composite in WEIGHTS}


def _walk(layout: Layout, shares: Shares) -> _Walk:
    """Field after field, then what only the composite covers, then its digit."""
    inner = {place: weight for field in layout.fields for place, weight in zip(field[:-1], cycle(WEIGHTS))}
    outer = dict(zip(layout.composite[:-1], cycle(WEIGHTS)))
    closing = {field[-1] for field in layout.fields}
    fields = [place for field in layout.fields for place in field]
    places = [*fields, *(place for place in layout.composite if place not in fields)]
    alike = np.where(ALIKE, np.stack([shares[place] for place in places])[:, None], NEVER)
    likeliest, summed = alike.max(2), np.logaddexp.reduce(alike, axis=2)
    best, total = np.full(101, NEVER), np.full(101, NEVER)
    best[0] = total[0] = layout.prior
    trail = []
    for place, most, all_ in zip(places[:-1], likeliest[:-1], summed[:-1], strict=True):
        weight = outer[place]
        origins = CLOSING[weight] if place in closing else ORIGINS[inner.get(place, 0), weight]
        options = best[origins] + most[:, None]
        residues = options.argmax(0)
        trail.append((residues, origins[residues, np.arange(100)]))
        best[:100] = options.max(0)
        total[:100] = np.logaddexp.reduce(total[origins] + all_[:, None], axis=0)
    ends = best[:10] + likeliest[-1]  # the sum of the composite is its digit, that of the field is 0
    chosen = _back(int(ends.argmax()), trail)
    letters = alike.argmax(2)[np.arange(len(chosen)), chosen]
    free = layout.prior + float(likeliest.max(1).sum())
    return _Walk(places, letters, float(ends.max()), float(np.logaddexp.reduce(total[:10] + summed[-1])), free)


def _back(state: int, trail: list[tuple[Indices, Indices]]) -> Indices:
    """The residues on the way to this state; the state is the last of them, the composite's digit."""
    residues = [state]
    for chosen, origin in reversed(trail):
        residues.append(int(chosen[state]))
        state = int(origin[state])
    return np.array(residues[::-1])

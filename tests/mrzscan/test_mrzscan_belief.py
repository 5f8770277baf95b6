"""Check digits judge and mend: the layouts agree with the parser of emrtd, and the walk with plain counting."""

from dataclasses import replace
from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alicem.mrzscan.belief import Belief, believe, fit
from alicem.mrzscan.characters import ALPHABET, Shares
from alicem.mrzscan.layouts import MAY, layouts
from alicem.mrzscan.specimen.holders import KINDS, zone
from emrtd.mrz import WIDTH, Kind, compose, parse, read

people = st.tuples(st.integers(0, 10**9), st.sampled_from(KINDS))


def printed(seed: object, kind: Kind) -> tuple[str, ...]:
    return zone(Random(str(seed)), kind)  # noqa: S311 - to be drawn again


def sure(lines: tuple[str, ...], doubt: float = 1e-5) -> Shares:
    """Every letter as it is, every other by `doubt`."""
    shares = np.full((len(lines), len(lines[0]), len(ALPHABET)), np.log(doubt))
    for row, text in enumerate(lines):
        for column, character in enumerate(text):
            shares[row, column, ALPHABET.index(character)] = np.log(1 - 36 * doubt)
    return shares


@settings(max_examples=150, deadline=None)
@given(people)
def test_a_clear_zone_is_believed_as_it_is(person: tuple[int, Kind]) -> None:
    seed, kind = person
    lines = printed(seed, kind)
    found = believe(kind, sure(lines))
    assert found.lines == lines and found.strain == pytest.approx(0)
    assert found.checked > 0.97
    parse("".join(found.lines))


@settings(max_examples=60, deadline=None)
@given(people, st.randoms(use_true_random=False))
def test_what_is_believed_always_has_right_check_digits(person: tuple[int, Kind], rng: Random) -> None:
    seed, kind = person
    noise = np.random.default_rng(seed).normal(0, 2, (3 if kind == "TD1" else 2, WIDTH[kind], len(ALPHABET)))
    found = believe(kind, sure(zone(rng, kind), 0.01) + noise)
    assert read("".join(found.lines))[1] == ()
    assert 0 < found.checked <= 1 and 0 < found.unchecked <= 1 and found.strain >= 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_that_cannot_be_read_is_mended(kind: Kind) -> None:
    """Of the birth date, in twenty documents: its own check digit leaves one figure for each place."""
    for seed in range(20):
        lines = compose(replace(parse("".join(printed(seed, kind))), birth_date="840229"))
        shares = sure(lines)
        row, column = (1, 1) if kind == "TD1" else (1, 14)
        shares[row, column] = -np.log(len(ALPHABET))
        found = believe(kind, shares)
        assert found.lines == lines and found.checked > 0.9, seed


def test_letters_that_check_digits_cannot_tell_apart_stay_in_doubt() -> None:
    """G is sixteen and 6 is six: the same modulo ten."""
    lines = printed(4, "TD3")
    shares = sure(lines)
    shares[1, 2] = np.log(1e-6)
    shares[1, 2, [ALPHABET.index("G"), ALPHABET.index("6")]] = np.log(0.5)
    assert believe("TD3", shares).checked < 0.6


def test_a_wrong_check_digit_in_print_strains() -> None:
    lines = printed(5, "TD3")
    wrong = str((int(lines[1][19]) + 3) % 10)
    found = believe("TD3", sure((lines[0], lines[1][:19] + wrong + lines[1][20:])))
    assert found.strain > 6


def test_names_in_doubt_are_told_apart_from_what_is_checked() -> None:
    lines = printed(6, "TD2")
    shares = sure(lines, 1e-5)
    shares[0, 7] = np.log(1e-6)
    shares[0, 7, [ALPHABET.index("O"), ALPHABET.index("Q")]] = np.log([0.6, 0.4])
    found = believe("TD2", shares)
    assert found.checked > 0.99 and 0.5 < found.unchecked < 0.61


@pytest.mark.parametrize("kind", KINDS)
def test_a_zone_upside_down_does_not_fit(kind: Kind) -> None:
    for seed in range(10):
        shares = sure(printed(seed, kind))
        assert fit(kind, shares) > -10 > fit(kind, shares[::-1, ::-1])


def counted(kind: Kind, shares: Shares, open_places: list[tuple[int, int]]) -> dict[tuple[str, ...], float]:
    """Every zone that can be made with these places open, its check digits right, with its likelihood."""
    common = layouts(kind)[0]
    best = tuple("".join(ALPHABET[letter] for letter in row) for row in shares.argmax(2))
    found = {}
    for letters in product(*(MAY[common.pattern[row][column]] for row, column in open_places)):
        text = [list(row) for row in best]
        for (row, column), letter in zip(open_places, letters, strict=True):
            text[row][column] = letter
        lines = tuple("".join(row) for row in text)
        if not read("".join(lines))[1]:
            found[lines] = sum(shares[at][ALPHABET.index(one)] for at, one in zip(open_places, letters, strict=True))
    return found


def test_the_walk_agrees_with_counting() -> None:
    """Three places of a passport's number open, all else certain: 37³ zones, of which each tenth or so has its digits."""
    rng = np.random.default_rng(7)
    lines = printed("counted", "TD3")
    shares = sure(lines, 1e-30)
    places = [(1, 1), (1, 4), (1, 7)]
    for place in places:
        shares[place] = np.log(rng.dirichlet(np.ones(len(ALPHABET))))
    found = believe("TD3", shares)
    options = counted("TD3", shares, places)
    likeliest = max(options, key=lambda one: options[one])
    assert found.lines == likeliest
    assert found.checked == pytest.approx(np.exp(options[likeliest] - np.logaddexp.reduce(list(options.values()))))


def test_what_is_believed_is_not_shown() -> None:
    lines = printed(8, "TD1")
    assert not any(line in repr(Belief(lines, 1, 1, 0)) for line in lines)

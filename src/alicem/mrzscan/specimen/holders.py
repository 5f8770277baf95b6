"""People who do not exist, and what their documents say: names of any length from random letters, all three formats."""

from __future__ import annotations

import string
from random import Random

from emrtd.mrz import Kind, Mrz, compose

KINDS: tuple[Kind, ...] = ("TD1", "TD2", "TD3")
VOWELS, CONSONANTS = "AEIOUY", "BCDFGHJKLMNPQRSTVWXZ"
NAME_ROOM: dict[Kind, int] = {"TD1": 30, "TD2": 31, "TD3": 39}
LONG_NUMBER: dict[Kind, int] = {"TD1": 13, "TD2": 5, "TD3": 0}  # letters a long number may have beyond nine
OPTIONAL: dict[Kind, int] = {"TD1": 15, "TD2": 7, "TD3": 14}


def zone(rng: Random, kind: Kind) -> tuple[str, ...]:
    """The lines of one specimen document."""
    return compose(holder(rng, kind))


def holder(rng: Random, kind: Kind) -> Mrz:
    primary, secondary = _names(rng, NAME_ROOM[kind])
    number, optional = _number(rng, kind)
    country = _letters(rng, rng.choice((3, 3, 3, 3, 1)))
    return Mrz(
        kind,
        _document_code(rng, kind),
        country,
        number,
        rng.choice((country, _letters(rng, 3))),
        _date(rng, 25, 108) if rng.random() > 0.03 else f"{rng.randrange(100):02}<<<<",
        rng.choice("FFFFMMMM<"),
        _date(rng, 26, 36),
        primary,
        secondary,
        optional,
        _any(rng, rng.randint(1, 11)) if kind == "TD1" and rng.random() < 0.4 else "",
    )


def _document_code(rng: Random, kind: Kind) -> str:
    if kind == "TD3":
        return "P" + str(rng.choice(["", "", "", *"DMPRSU"]))
    return str(rng.choice(("I", "ID", "IR", "IP", "A", "AR", "C", "CR")))


def _names(rng: Random, room: int) -> tuple[str, str]:
    """Mostly shorter than the field, one in eight too long for it, one in twenty without a given name."""
    reach = rng.randint(room - 2, room + 8) if rng.random() < 0.125 else rng.randint(4, room - 2)
    share = rng.uniform(0.25, 0.75)
    primary = _words(rng, max(2, round(reach * share)))
    return primary, "" if rng.random() < 0.05 else _words(rng, max(2, round(reach * (1 - share))))


def _words(rng: Random, length: int) -> str:
    letters = [rng.choice(VOWELS if place % 2 else CONSONANTS) for place in range(length)]
    letters = [rng.choice(string.ascii_uppercase) if rng.random() < 0.3 else letter for letter in letters]
    if length > 6 and rng.random() < 0.5:
        letters[rng.randint(2, length - 3)] = " "
    return "".join(letters)


def _number(rng: Random, kind: Kind) -> tuple[str, str]:
    """Document number and optional data; a long number takes of the room of the optional data."""
    if LONG_NUMBER[kind] and rng.random() < 0.25:
        return _any(rng, 9 + rng.randint(1, LONG_NUMBER[kind])), ""
    form = rng.choice(("figures", "any", "first", "two"))
    head = {"figures": "", "any": _any(rng, 9), "first": _letters(rng, 1), "two": _letters(rng, 2)}[form]
    number = (head + _figures(rng, 9))[: rng.choice((9, 9, 9, 8, 7))]
    return number, _any(rng, rng.randint(1, OPTIONAL[kind])) if rng.random() < 0.4 else ""


def _letters(rng: Random, length: int) -> str:
    return "".join(rng.choices(string.ascii_uppercase, k=length))


def _figures(rng: Random, length: int) -> str:
    return "".join(rng.choices(string.digits, k=length))


def _any(rng: Random, length: int) -> str:
    return "".join(rng.choices(string.ascii_uppercase + string.digits, k=length))


def _date(rng: Random, first: int, last: int) -> str:
    return f"{rng.randint(first, last) % 100:02}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"

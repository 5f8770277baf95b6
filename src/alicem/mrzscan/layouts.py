"""Which characters each place of a zone may bear, and which places its check digits cover (ICAO 9303-4 to 6, 4.2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from emrtd.mrz import WIDTH, Kind

Place = tuple[int, int]  # line and column

MAY = {
    "a": "ABCDEFGHIJKLMNOPQRSTUVWXYZ<",
    "A": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "n": "0123456789<",
    "N": "0123456789",
    "x": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ<",
    "X": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "m": "01<",  # of a month, of a day: the first figure
    "d": "0123<",
    "M": "01",
    "D": "0123",
    "s": "FM<",
    "<": "<",
}
_CODES = "Aa" + "Aaa"  # of the document and its issuer
_NUMBER = "X" + "x" * 8 + "N"
_PERSON = "nnmndn" + "N" + "s" + "NNMNDN" + "N"  # dates of birth and of expiry, sex between
PATTERN: dict[Kind, tuple[str, ...]] = {
    "TD1": (_CODES + _NUMBER + "x" * 15, _PERSON + "Aaa" + "x" * 11 + "N", "A" + "a" * 29),
    "TD2": (_CODES + "A" + "a" * 30, _NUMBER + "Aaa" + _PERSON + "x" * 7 + "N"),
    "TD3": (_CODES + "A" + "a" * 38, _NUMBER + "Aaa" + _PERSON + "x" * 14 + "NN"),
}
RARE = -4.0  # what a long number takes from the likelihood of a layout, a logarithm: few documents have one


@dataclass(frozen=True)
class Layout:
    """The last place of each field, and of `composite`, bears its check digit; `prior` is a logarithm."""

    pattern: tuple[str, ...]
    fields: tuple[tuple[Place, ...], ...]
    composite: tuple[Place, ...]
    prior: float = 0.0


@cache
def layouts(kind: Kind) -> tuple[Layout, ...]:
    """The common one, and those with a filler for a check digit: of empty optional data, of a long document number."""
    pattern, end = PATTERN[kind], WIDTH[kind]
    if kind == "TD1":
        number, rest = _span(0, 5, 15), _span(0, 15, 30)
        person = (_span(1, 0, 7), _span(1, 8, 15))
        composite = number + rest + person[0] + person[1] + _span(1, 18, 30)
    else:
        number, rest = _span(1, 0, 10), _span(1, 28, end - 1)
        person = (_span(1, 13, 20), _span(1, 21, 28))
        composite = number + person[0] + person[1] + rest + ((1, end - 1),)
    if kind == "TD3":
        empty = (pattern[0], pattern[1][:28] + "<" * 15 + "N")
        return Layout(pattern, (number, *person, rest), composite), Layout(empty, (number, *person), composite)
    common = Layout(pattern, (number, *person), composite)
    return common, *(
        Layout(_long(pattern, number, rest, more), (number[:-1] + rest[: more + 1], *person), composite, RARE)
        for more in range(1, len(rest) - 1)
    )


def _span(line: int, start: int, end: int) -> tuple[Place, ...]:
    return tuple((line, column) for column in range(start, end))


def _long(pattern: tuple[str, ...], number: tuple[Place, ...], rest: tuple[Place, ...], more: int) -> tuple[str, ...]:
    """The number goes on for `more` letters, then come its check digit and a filler (9303-5 and -6, 4.2.2 note j)."""
    line, check = number[-1]
    row, first = list(pattern[line]), rest[0][1]
    row[number[0][1] : check + 1] = "X" * 9 + "<"
    row[first : first + more + 2] = "X" * more + "N<"
    return tuple("".join(row) if place == line else text for place, text in enumerate(pattern))


def checked(kind: Kind) -> tuple[Place, ...]:
    """The places that check digits cover, those digits included."""
    return layouts(kind)[0].composite

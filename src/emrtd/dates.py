"""Dates as documents write them: two-digit years and unknown parts (ICAO 9303-3 4.7, 4.8)."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date

from emrtd.errors import Malformed


@dataclass(frozen=True)
class PartialDate:
    """A date some parts of which its State does not know: None stands for unknown."""

    year: int | None
    month: int | None
    day: int | None

    def __str__(self) -> str:
        """ISO 8601 as far as known: 1975-03-09, 1975-03, 1975; 1975-XX-09 where the middle is unknown."""
        year = "XXXX" if self.year is None else f"{self.year:04d}"
        month = "XX" if self.month is None else f"{self.month:02d}"
        day = "XX" if self.day is None else f"{self.day:02d}"
        return f"{year}-{month}-{day}".removesuffix("-XX").removesuffix("-XX")

    @property
    def complete(self) -> date | None:
        """The calendar date, None where a part is unknown."""
        if self.year is None or self.month is None or self.day is None:
            return None
        return date(self.year, self.month, self.day)

    def agrees_with(self, other: PartialDate) -> bool:
        """True where no part known to both differs."""
        pairs = ((self.year, other.year), (self.month, other.month), (self.day, other.day))
        return all(mine is None or theirs is None or mine == theirs for mine, theirs in pairs)


def partial(year: int | None, month: int | None, day: int | None) -> PartialDate:
    """A partial date of parts that exist in the calendar. Raises Malformed."""
    in_year = 4 if year is None else year  # a leap year: 29 February of an unknown year is possible
    if year is not None and not 1 <= year <= 9999:
        raise Malformed("the year is out of range")
    if month is not None and not 1 <= month <= 12:
        raise Malformed("the month is out of range")
    last = 31 if month is None else calendar.monthrange(in_year, month)[1]
    if day is not None and not 1 <= day <= last:
        raise Malformed("the day is out of range")
    return PartialDate(year, month, day)


def _part(text: str) -> int | None:
    """Two characters of a date; "<<", "XX" and "00" stand for unknown."""
    if text in ("<<", "XX", "00"):
        return None
    if len(text) != 2 or not text.isascii() or not text.isdecimal():
        raise Malformed("two characters that are no part of a date")
    return int(text)


def birth_date(text: str, at: date) -> PartialDate:
    """Resolve YYMMDD of a birth: the latest century that is not in the future of `at`. Raises Malformed.

    A person over a hundred years old is read a century too young; DG11 has all four digits.
    """
    month, day = _part(text[2:4]), _part(text[4:6])
    if len(text) != 6:
        raise Malformed("a birth date has six characters")
    if text[:2] != "00" and _part(text[:2]) is None:  # 00 is a year here
        return partial(None, month, day)
    year = at.year - at.year % 100 + int(text[:2])
    first_possible = (year, 1 if month is None else month, 1 if day is None else day)
    if first_possible > (at.year, at.month, at.day):
        year -= 100
    return partial(year, month, day)


def expiry_date(text: str, at: date) -> date:
    """Resolve YYMMDD of an expiry to the nearest such date around `at`. Raises Malformed."""
    if len(text) != 6 or not text.isascii() or not text.isdecimal():
        raise Malformed("an expiry date has six digits")
    century = at.year - at.year % 100
    years = (century + offset + int(text[:2]) for offset in (-100, 0, 100))
    year = min(years, key=lambda candidate: abs(candidate - at.year))
    whole = partial(year, int(text[2:4]), int(text[4:6])).complete
    if whole is None:
        raise Malformed("an expiry date is complete")
    return whole


def full_date(text: str) -> PartialDate:
    """Read YYYYMMDD of DG11, unknown parts "00", "XX" or "<<". Raises Malformed."""
    if len(text) != 8:
        raise Malformed("a full date has eight characters")
    known = text[:4].isascii() and text[:4].isdecimal() and text[:4] != "0000"
    return partial(int(text[:4]) if known else None, _part(text[4:6]), _part(text[6:8]))

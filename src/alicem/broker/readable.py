"""Claims in the words of who reads them: exactly what will be sent, and what it means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from alicem import cog
from alicem.web.text import Texts, long_date


@dataclass(frozen=True)
class Shown:
    """`said`: in words. `value`: as it is sent."""

    name: str
    said: str
    value: str


def readable(texts: Texts, language: str, claims: Mapping[str, str | bool]) -> Iterator[Shown]:
    """In the order given."""
    for name, value in claims.items():
        sent = str(value).lower() if isinstance(value, bool) else value
        yield Shown(name, _said(texts, language, name, sent), sent)


def _said(texts: Texts, language: str, name: str, value: str) -> str:
    if name in ("gender", "over_18"):
        return texts.get(language, f"broker.value.{name}.{value}")
    if name == "birthdate":
        return birthdate(language, value)
    return cog.place_name(value) if name in ("birthplace", "birthcountry") else value


def birthdate(language: str, value: str) -> str:
    """What is known of it: `24 août 1962`, `août 1962`, `1962`."""
    year, month, day = (int(part) for part in value.split("-"))
    if not month:
        return str(year)
    whole = long_date(language, date(year, month, day or 2))
    return whole if day else whole.partition("\N{NO-BREAK SPACE}")[2]

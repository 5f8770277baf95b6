"""Texts for people, in French and English: one TOML catalogue a room and language, one key a text.

`room.key` names a text; `{name}` in it is filled from the caller's values; a table with `one` and `other` is chosen by `count`. A key that is
missing raises: a page never shows a key. French gets its no-break spaces here, so catalogues are typed plainly. Texts under `js` of a catalogue also go to the ES modules, under their full key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from starlette.requests import HTTPConnection

LANGUAGES = ("fr", "en")
COOKIE = "lang"
LOCALE = Path(__file__).parent / "locale"

Text = str | Mapping[str, str]
"""A text, or its plural forms `one` and `other`."""

_PLACE = re.compile(r"\{(\w+)\}")
_NARROW = re.compile(r" (?=[;!?»%])|(?<=«) ")
_WIDE = re.compile(r" (?=:(?:\s|$))")
_MONTHS = {
    "fr": [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
}


class MissingText(Exception):
    """No text of this name in this language, or a value it needs was not given."""


class Texts:
    """Every catalogue of one folder, `<folder>/<language>/<room>.toml`, read once."""

    def __init__(self, folder: Path = LOCALE) -> None:
        self._texts = {language: dict(_catalogue(folder / language)) for language in LANGUAGES}

    def keys(self, language: str) -> frozenset[str]:
        """The full keys this language has."""
        return frozenset(self._texts[language])

    def get(self, language: str, key: str, **values: object) -> str:
        """The text `room.key`, filled. Raises `MissingText`."""
        text = self._texts[language].get(key)
        if text is None:
            raise MissingText(f"{language}: {key}")
        if not isinstance(text, str):
            text = text[plural(language, values.get("count", 0))]
        try:
            return _PLACE.sub(lambda place: str(values[place[1]]), text)
        except KeyError as error:
            raise MissingText(f"{language}: {key} needs a value for {error}") from error

    def raw(self, language: str, key: str) -> Text:
        """The text as it is set, places unfilled."""
        return self._texts[language][key]

    def for_scripts(self, language: str) -> dict[str, Text]:
        """The texts the ES modules may use: those whose key has `js` second, `room.js.key`."""
        return {key: text for key, text in self._texts[language].items() if key.split(".")[1] == "js"}


def plural(language: str, count: object) -> str:
    """CLDR's plural rule of the two languages: French takes 0 and 1 as one, English 1 alone."""
    ones: tuple[int, ...] = (0, 1) if language == "fr" else (1,)
    return "one" if count in ones else "other"


def language_of(connection: HTTPConnection) -> str:
    """The person's language: `?lang=`, then the cookie, then what the browser prefers, then French."""
    for asked in (connection.query_params.get("lang"), connection.cookies.get(COOKIE)):
        if asked in LANGUAGES:
            return asked
    return preferred(connection.headers.get("accept-language", ""))


def preferred(accept: str) -> str:
    """The best of our languages in an Accept-Language header (RFC 9110 §12.5.4); French when it names none."""
    ranked: list[tuple[float, str]] = []
    for part in accept[:200].split(","):
        tag, _, parameter = part.strip().partition(";")
        language = tag.strip().lower().split("-")[0]
        if language in LANGUAGES:
            ranked.append((_quality(parameter), language))
    best = max(ranked, key=lambda one: one[0], default=(0.0, "fr"))
    return best[1] if best[0] > 0 else "fr"


def long_date(language: str, day: date | datetime) -> str:
    """`21 novembre 2026`, `21 November 2026`; the first of a month is `1er` in French."""
    number = "1er" if language == "fr" and day.day == 1 else str(day.day)
    return f"{number}\N{NO-BREAK SPACE}{_MONTHS[language][day.month - 1]} {day.year}"


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0


def _catalogue(folder: Path) -> Iterator[tuple[str, Text]]:
    for file in sorted(folder.glob("*.toml")):
        with file.open("rb") as opened:
            for key, text in _flat(file.stem, tomllib.load(opened)):
                yield key, _typeset(text) if folder.name == "fr" else text


def _typeset(text: Text) -> Text:
    """Spaces before ; ! ? » % and after «, narrow; before a colon, wide; none of them breaks a line (Imprimerie nationale)."""
    if not isinstance(text, str):
        return {form: str(_typeset(one)) for form, one in text.items()}
    return _WIDE.sub("\N{NO-BREAK SPACE}", _NARROW.sub("\N{NARROW NO-BREAK SPACE}", text))


def _flat(prefix: str, tree: Mapping[str, Any]) -> Iterator[tuple[str, Text]]:
    for name, value in tree.items():
        key = f"{prefix}.{name}"
        if isinstance(value, str) or (isinstance(value, dict) and value.keys() == {"one", "other"}):
            yield key, value
        elif isinstance(value, dict):
            yield from _flat(key, value)
        else:
            raise MissingText(f"{key}: a text or a table of texts")

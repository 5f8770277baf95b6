"""Codes of the INSEE's Code officiel géographique: whether one exists, and how its place is called.

`communes.txt` (`tools/reduce-cog` makes it) and `countries.txt` say of which year they are. A code never dies: whoever was born in a commune that
merged, or in a State that ended, keeps its code, so a table only ever grows and what was once accepted is accepted for good.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from itertools import groupby

FRANCE = "99100"
FORM = re.compile(r"(?:2[AB]|[0-9]{2})[0-9]{3}")
"""Of a commune or of a country; FranceConnect's."""


class UnknownPlace(Exception):
    """No such commune, no such country, or a commune abroad. The message names which of them, never a code."""


def is_commune(code: str) -> bool:
    """Whether it is, or was since 1943, the code of a commune, of a municipal arrondissement (75101) or of an overseas community (97701)."""
    return _entry("communes.txt", code) is not None


def is_country(code: str) -> bool:
    """Whether it is, or was since 1943, the code of a country or territory abroad; `99100` is France."""
    return _entry("countries.txt", code) is not None


def require_birthplace(place: str, country: str) -> None:
    """That they exist and agree: a commune for who was born in France, an empty `place` for everybody else. Raises `UnknownPlace`."""
    if not is_country(country):
        raise UnknownPlace("the country of birth")
    if country != FRANCE and place:
        raise UnknownPlace("a commune, and another country than France")
    if country == FRANCE and not is_commune(place):
        raise UnknownPlace("the commune of birth")


def place_name(code: str) -> str:
    """How a commune or a country is called, in French; of a former commune the one it is in today. An unknown code is its own name."""
    name = _entry("communes.txt", code) or _entry("countries.txt", code) or code
    return place_name(name[1:]) if name.startswith(">") else name


def _entry(table: str, code: str) -> str | None:
    """What stands beside a code: a name, or `>` and the code that took its place."""
    if not FORM.fullmatch(code):
        return None
    _, found, rest = _departments(table).get(code[:2], "").partition(f"\n{code} ")
    return rest.partition("\n")[0] if found else None


@cache
def _departments(table: str) -> Mapping[str, str]:
    """The lines of each département as one text: quick enough to search, and a tenth of the room of a dictionary of codes."""
    lines = (files(__name__) / table).read_text("utf-8").splitlines()
    return {first: "\n" + "\n".join(some) for first, some in groupby(lines, key=lambda line: line[:2])}

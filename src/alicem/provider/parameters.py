"""Parameters of strangers: query strings and forms, read within bounds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

MOST_BYTES = 8 * 1024
"""Of an authorization request. FranceConnect's has under 1 kB."""
MOST_FIELDS = 40

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Unreadable(Exception):
    """Not a form: too long, too many fields, not UTF-8, or control characters inside."""


@dataclass(frozen=True)
class Given:
    """Parameters by name. A repeated one is named in `repeated` and has no value."""

    values: Mapping[str, str]
    repeated: frozenset[str] = frozenset()

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    def words(self, name: str) -> tuple[str, ...]:
        """A space-separated list (RFC 6749 §3.3)."""
        return tuple(word for word in self.values.get(name, "").split(" ") if word)

    def __contains__(self, name: str) -> bool:
        return name in self.values or name in self.repeated


def parse(data: bytes, most: int = MOST_BYTES) -> Given:
    """`application/x-www-form-urlencoded`. An empty parameter counts as absent (RFC 6749 §3.1). Raises `Unreadable`."""
    if len(data) > most:
        raise Unreadable("too long")
    try:
        pairs = parse_qsl(data.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise Unreadable("not a form") from error
    if any(_CONTROL.search(name) or _CONTROL.search(value) for name, value in pairs):
        raise Unreadable("control characters")
    repeated = frozenset(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    return Given({name: value for name, value in pairs if value and name not in repeated}, repeated)

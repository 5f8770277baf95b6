"""The identity a provider states: its forms, checked once, and what of it each scope of a service means.

Names are FranceConnect's; `over_18` is ours, derived from the birth date. `sub` is never taken over from the provider: see `pseudonym`.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from alicem import cog
from alicem.evidence import civil_name

FRANCE = "99100"

PIVOT = ("given_name", "family_name", "birthdate", "gender", "birthplace", "birthcountry")
"""What the civil registry is asked with, and the pseudonym is made of."""

SCOPES: Mapping[str, tuple[str, ...]] = {
    "openid": (),
    "profile": ("given_name", "family_name", "birthdate", "gender", "preferred_username"),
    "birth": ("birthplace", "birthcountry"),
    "identite_pivot": PIVOT,
    "email": ("email",),
    "over_18": ("over_18",),
} | {name: (name,) for name in (*PIVOT, "preferred_username")}
"""What a service may ask, and the claims it means."""

PROVIDER_SCOPE = "openid profile email birth preferred_username"
"""What every provider is always asked: one fixed set, so that it tells nothing of the service."""

PROVIDER_CLAIMS = frozenset({"sub", "email", "preferred_username", *PIVOT})

ORDER = (
    "given_name",
    "family_name",
    "preferred_username",
    "gender",
    "birthdate",
    "birthplace",
    "birthcountry",
    "over_18",
    "email",
)
"""The order in which a person reads them."""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"[^\s@<>\"(),:;\\\[\]]{{1,64}}@(?:{_LABEL}\.)+(?![0-9]){_LABEL}")


class ClaimsMalformed(Exception):
    """A claim is missing, of another form, or `unasked`. Carries its name, never its value."""

    def __init__(self, claim: str) -> None:
        super().__init__(claim)
        self.claim = claim


@dataclass(frozen=True)
class Identity:
    """A person as a provider or the civil registry states them. Empty: `given_name` of a person with a single name, `birthplace` of one born
    abroad."""

    given_name: str
    family_name: str
    birthdate: str
    gender: str
    birthplace: str
    birthcountry: str
    email: str
    preferred_username: str | None = None

    def claims(self) -> dict[str, str]:
        """Every claim that has a value."""
        return {name: value for name, value in asdict(self).items() if value}


def parse(claims: Mapping[str, Any], today: date) -> Identity:
    """The identity in a provider's userinfo. Raises `ClaimsMalformed`."""
    if not claims.keys() <= PROVIDER_CLAIMS:
        raise ClaimsMalformed("unasked")  # its name is a stranger's text
    for name, holds in _RULES.items():
        value = claims.get(name, "")
        if not isinstance(value, str) or not holds(value):
            raise ClaimsMalformed(name)
    if _after(claims["birthdate"], today):
        raise ClaimsMalformed("birthdate")
    in_france = claims["birthcountry"] == FRANCE
    if in_france != bool(claims.get("birthplace")):
        raise ClaimsMalformed("birthplace")
    names = Identity.__dataclass_fields__
    return Identity(**{"given_name": "", "birthplace": ""} | {name: claims[name] for name in names if name in claims})


def asked(scopes: Iterable[str]) -> frozenset[str]:
    """The claims that scopes mean."""
    return frozenset(claim for scope in scopes for claim in SCOPES[scope])


def released(identity: Identity, scopes: Iterable[str], today: date) -> dict[str, str | bool]:
    """Exactly what a service with these scopes gets besides its `sub`, in reading order; what has no value is not sent."""
    held: dict[str, str | bool] = {**identity.claims(), "over_18": over_18(identity.birthdate, today)}
    wanted = asked(scopes)
    return {name: held[name] for name in ORDER if name in wanted and name in held}


def over_18(birthdate: str, today: date) -> bool:
    """Whether who was born then is surely of age: an unknown day or month counts as the last possible one."""
    year, month, day = (int(part) for part in birthdate.split("-"))
    month = month or 12
    day = day or monthrange(year, month)[1]
    return (today.year - 18, today.month, today.day) >= (year, month, day)


def _name(text: str) -> bool:
    try:
        return civil_name(text) == text
    except ValueError:
        return False


def _optional_name(text: str) -> bool:
    return text == "" or _name(text)


def _birthdate(text: str) -> bool:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    year, month, day = (int(part) for part in text.split("-"))
    try:
        date(year, month or 1, day or 1)
    except ValueError:
        return False
    return year >= 1850 and bool(month or not day)


def _after(birthdate: str, today: date) -> bool:
    year, month, day = (int(part) for part in birthdate.split("-"))
    return date(year, month or 1, day or 1) > today


_RULES: Mapping[str, Callable[[str], bool]] = {
    "given_name": _optional_name,
    "family_name": _name,
    "birthdate": _birthdate,
    "gender": lambda text: text in ("male", "female", "unspecified"),
    "birthplace": lambda text: text == "" or cog.is_commune(text),
    "birthcountry": cog.is_country,
    "email": lambda text: len(text) <= 254 and text.isascii() and bool(_EMAIL.fullmatch(text)),
    "preferred_username": _optional_name,
}

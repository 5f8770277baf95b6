"""What a scope gives, where it comes from in the credential, and in which form FranceConnect takes it.

Everything emitted is an issuer-signed disclosure of the credential; what the holder does not have is absent, never empty.
What the civil registry knows a person by cannot be kept back: who could leave a part of it out would be two people to every service.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from alicem.cog import FRANCE
from alicem.evidence import PartialDate

VCT = "urn:eudi:pid:fr:1"
QUERY = "identity"
"""Identifier of the one credential in the DCQL query (OpenID4VP 1.0 §6.1)."""


class ClaimMalformed(Exception):
    """A claim is missing, or has a form that FranceConnect would refuse. The message names the claim, never its value."""


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 256:
        raise ValueError("1 to 256 characters")
    return value


def _given_names(value: Any) -> str:
    return "" if value == "" else _name(value)


def _birthdate(value: Any) -> str:
    return str(PartialDate.parse(value))


def _gender(value: Any) -> str:
    if type(value) is not int or not 0 <= value <= 2:
        raise ValueError("0, 1 or 2")
    return ("unspecified", "male", "female")[value]  # ISO/IEC 5218, as the PID rulebook has it


def _cog(value: Any) -> str:
    """Code of the Code officiel géographique: commune, or country (99xxx)."""
    if not isinstance(value, str) or not re.fullmatch(r"(?:2[AB]|[0-9]{2})[0-9]{3}", value):
        raise ValueError("not a COG code")
    return value


def _email(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 254 or not re.fullmatch(r"[^@\s]{1,64}@[^@\s]+\.[^@\s.]+", value):
        raise ValueError("not an address")
    return value


@dataclass(frozen=True)
class Claim:
    """One claim of userinfo. `source`: the credential's name of it. `form`: its value, or "" for one that is not sent. `optional`: there are
    people whose credential does not have it."""

    name: str
    source: str
    form: Callable[[Any], str]
    optional: bool = False


CLAIMS: Mapping[str, Claim] = {
    claim.name: claim
    for claim in (
        Claim("given_name", "given_name", _given_names),  # the credential says so of people with a single name
        Claim("family_name", "birth_family_name", _name),
        Claim("birthdate", "birthdate", _birthdate),
        Claim("gender", "sex", _gender),
        Claim("birthplace", "birthplace_cog", _cog, optional=True),  # people born abroad
        Claim("birthcountry", "birthcountry_cog", _cog),
        Claim("email", "email", _email),
        Claim("preferred_username", "preferred_username", _name, optional=True),  # people without a usage name
    )
}

_PIVOT = ("given_name", "family_name", "birthdate", "gender")
SCOPES: Mapping[str, tuple[str, ...]] = {
    "openid": (),
    "profile": (*_PIVOT, "preferred_username"),  # OIDC Core §5.4, less what the State does not know
    "identite_pivot": (*_PIVOT, "birthplace", "birthcountry"),
    "birth": ("birthplace", "birthcountry"),
    **{name: (name,) for name in CLAIMS},
}


def claims_of(scopes: Iterable[str]) -> tuple[Claim, ...]:
    """The claims these scopes give, each once, in the order of the table."""
    names = {name for scope in scopes for name in SCOPES.get(scope, ())}
    return tuple(claim for name, claim in CLAIMS.items() if name in names)


def dcql(claims: tuple[Claim, ...]) -> dict[str, Any]:
    """The query for exactly these claims (OpenID4VP 1.0 §6). What a person may lack is expressed by `claim_sets`, fullest first."""
    credential: dict[str, Any] = {"id": QUERY, "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}}
    if claims:  # without `claims` nothing is disclosed (§6.3.1.1)
        credential["claims"] = [{"path": [claim.source]} for claim in claims]
    optional = [claim.source for claim in claims if claim.optional]
    if optional:
        credential["claims"] = [{"id": claim.source, "path": [claim.source]} for claim in claims]
        credential["claim_sets"] = [
            [claim.source for claim in claims if not claim.optional or claim.source in present]
            for size in range(len(optional), -1, -1)
            for present in combinations(optional, size)
        ]
    return {"credentials": [credential]}


def emit(claims: tuple[Claim, ...], disclosed: Mapping[str, Any]) -> dict[str, str]:
    """Userinfo's claims from the credential's. Raises `ClaimMalformed`."""
    emitted = {}
    for claim in claims:
        if claim.source not in disclosed:
            if claim.optional:
                continue
            raise ClaimMalformed(f"{claim.name} is missing")
        try:
            emitted[claim.name] = claim.form(disclosed[claim.source])
        except (ValueError, TypeError) as error:
            raise ClaimMalformed(f"{claim.name} is malformed") from error
    _require_birthplace(claims, emitted)
    return {name: value for name, value in emitted.items() if value}


def _require_birthplace(claims: tuple[Claim, ...], emitted: Mapping[str, str]) -> None:
    """Where both are asked, whoever was born in France has a commune, and nobody else. Raises `ClaimMalformed`."""
    if {"birthplace", "birthcountry"} <= {claim.name for claim in claims}:
        in_france = emitted["birthcountry"] == FRANCE
        if in_france != ("birthplace" in emitted):
            raise ClaimMalformed("birthplace is missing, or of another country")

"""Which State an authority speaks for (ICAO 9303-3 5, 9303-12 7.1.1.2).

A store that trusts many States must not let one of them sign the documents of another: certificates name a
State with two letters, machine-readable zones with three.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from emrtd.errors import SignedByAnotherState
from emrtd.pki.certificate import Certificate

TERRITORIES = {"CN": frozenset(("HK", "MO"))}
"""Whose documents another's authority signs, where its alternative name says so; no other was met in any list."""


@cache
def states() -> Mapping[str, str]:
    """From a code of three letters, or Germany's of one, to that of two."""
    table = tomllib.loads((files("emrtd.pki") / "states.toml").read_text("utf-8"))
    return {code: country for country, codes in table.items() for code in codes}


def two_letters(code: str) -> str:
    """The two-letter code of a State, whichever way it is written; an unknown code comes back as it is."""
    bare = code.strip(" <").upper()
    return states().get(bare, bare)


def check_issuing_state(authority: Certificate, issuer: str) -> None:
    """Check that `authority` speaks for the State that a machine-readable zone calls `issuer`.

    The country of its name counts, and of the codes of its alternative name those of its `TERRITORIES`: nobody could
    gainsay an authority that names itself another State. Raises SignedByAnotherState.
    """
    country = two_letters(authority.country)
    named = {two_letters(code) for code in authority.issuing_codes}
    spoken_for = {country} | (named & TERRITORIES.get(country, frozenset()))
    if two_letters(issuer) not in spoken_for:
        raise SignedByAnotherState(f"an authority of {authority.country} answers for a document of {issuer}")

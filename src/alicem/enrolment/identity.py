"""From what the chip and the registry say to one civil identity, and the document's keyed fingerprint."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from alicem import cog
from alicem.enrolment.registry_client import CivilStatus, DocumentQuery
from alicem.evidence import CivilIdentity, DocumentFacts, Gender, PartialDate
from alicem.jose import unb64
from alicem.keys import KeyRing, document_fingerprints
from alicem.reasons import Refused
from emrtd.errors import MalformedMrz
from emrtd.names import transliterate

_SEX = {"M": Gender.MALE, "F": Gender.FEMALE}


def query_of(facts: Mapping[str, Any]) -> DocumentQuery:
    names = ("issuer", "kind", "number", "birth_date", "expiry_date")
    return DocumentQuery(**{name: facts[name] for name in names})


def civil_identity(facts: Mapping[str, Any], civil: CivilStatus) -> CivilIdentity:
    """The registry's spelling and codes, once it tells the same person as the chip.

    Raises `Refused` (`registry_mismatch`, `birthplace_unknown`): later nobody asks any more whether a code exists.
    """
    agrees = (
        _same_name(civil.family_name, facts["primary"], facts["names_full"]),
        _same_name(civil.given_names, facts["secondary"], facts["names_full"]),
        _agree(civil.birthdate, facts["birthdate"]),
        facts["sex"] not in _SEX or civil.gender in (_SEX[facts["sex"]], Gender.UNSPECIFIED),
    )
    if not all(agrees):
        raise Refused("registry_mismatch")
    try:
        cog.require_birthplace(civil.birthplace_cog, civil.birthcountry_cog)
    except cog.UnknownPlace as error:
        raise Refused("birthplace_unknown") from error
    return CivilIdentity(
        family_name=civil.family_name,
        given_names=civil.given_names,
        preferred_username=civil.usage_name,
        birthdate=civil.birthdate,
        gender=civil.gender,
        birthplace_cog=civil.birthplace_cog,
        birthcountry_cog=civil.birthcountry_cog,
        nationality=facts["nationality"],
    )


def require_age(identity: CivilIdentity, least: int, today: date) -> None:
    """That so many years are surely reached: of an unknown day or month the last one counts. Raises `Refused` (`holder_is_minor`)."""
    if identity.birthdate.age_at(today) < least:
        raise Refused("holder_is_minor")


def document_facts(facts: Mapping[str, Any], ring: KeyRing, now: datetime) -> DocumentFacts:
    return DocumentFacts(
        kind=facts["kind"],
        issuer=facts["issuer"],
        expires=date.fromisoformat(facts["expires"]),
        chip_key=unb64(facts["chip_key"]),
        chip_protocol=facts["chip_protocol"],
        fingerprint=fingerprints(facts, ring, now)[0],
    )


def fingerprints(facts: Mapping[str, Any], ring: KeyRing, now: datetime) -> tuple[str, ...]:
    """The document's keyed fingerprints, under the key in use first."""
    return document_fingerprints(ring, facts["issuer"], facts["kind"], facts["number"], now)


def _same_name(written: str, zone: str, may_be_cut: bool) -> bool:
    """Compared as the machine-readable zone writes it; a full zone may have cut the end (9303-3 §4.6).

    States differ: an apostrophe is left out or becomes a space, Ü becomes UE or U (9303-3 §6 A). Each of these is the same name.
    """
    letters = zone.replace(" ", "")
    ways = [way for way in (_letters(written), _letters(_unmarked(written))) if way is not None]
    return any(way == letters or (may_be_cut and (way.startswith(letters) or letters == "")) for way in ways)


def _letters(written: str) -> str | None:
    """Its letters as the zone has them; none where the name has some that no zone can hold."""
    try:
        return transliterate(written).replace(" ", "")
    except MalformedMrz:
        return None


def _unmarked(written: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFD", written) if not unicodedata.combining(one))


def _agree(ours: PartialDate, theirs: str) -> bool:
    """No part that both know differs."""
    other = [int(part) for part in theirs.split("-")]
    return all(not a or not b or a == b for a, b in zip((ours.year, ours.month, ours.day), other, strict=True))

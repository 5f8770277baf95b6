"""What a check of a document comes to: proven, not proven, or refused, as JSON and in words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from asn1crypto import x509

from alicem.cli.says import REFUSED, TECHNICAL, USAGE
from emrtd.authenticity import prove_chip
from emrtd.errors import (
    AccessRefused,
    EmrtdError,
    Malformed,
    MalformedDescription,
    Misuse,
    NoChipKey,
    NotGenuine,
    WrongAccessKey,
)
from emrtd.passive import AuthenticDocument, RawDocument, passive_authentication
from emrtd.pki.certificate import Certificate
from emrtd.pki.trust import TrustStore

EXITS: tuple[tuple[type[EmrtdError], int], ...] = (
    (MalformedDescription, USAGE),
    (Misuse, USAGE),
    (AccessRefused, REFUSED),
    (NotGenuine, REFUSED),
    (Malformed, REFUSED),
    (EmrtdError, TECHNICAL),
)
"""From what went wrong to the exit status; the first that fits."""

WARNINGS = {
    "no_revocation_list": "No revocation list of this State is at hand: whether the signer was revoked is not known.",
    "revocation_list_stale": "The State's revocation list at hand is out of date.",
    "sha1": "The signature rests on SHA-1, which can be forged with effort.",
    "card_access_differs_from_dg14": "What the chip advertised openly is not what its State signed.",
    "access_not_confirmed": "The file that says how the chip is to be opened was signed, and not read.",
    "document_expired": "The document has expired.",
    "no_signing_time": "The signature does not say when it was made.",
    "authority_not_verified": "The authority came from a list whose own signature nobody verified.",
    "com_lists_other_groups": "EF.COM, which nobody signs, lists other files than the State signed.",
}
"""Names of warnings in words."""
ODDLY_WRITTEN = re.compile(r"(com|sod|lds|cardaccess|dg\d+)_(\w+)")


@dataclass(frozen=True)
class Checked:
    """A genuine document. ``not_a_copy`` names the protocols by which the chip proved itself, () with ``why_not``."""

    document: AuthenticDocument = field(repr=False)
    not_a_copy: tuple[str, ...]
    why_not: str
    warnings: tuple[str, ...]


def check(raw: RawDocument, trust: TrustStore, at: datetime, *, live: bool) -> Checked:
    """Everything that can be checked of `raw`; `live` where the chip itself was read just now.

    Raises NotGenuine and its kinds, Malformed.
    """
    document = passive_authentication(raw, trust, at=at)
    shown, why_not = _shown(document, raw, live=live)
    expired = ("document_expired",) if document.dg1 and document.expiry_date < at.date() else ()
    return Checked(document, shown, why_not, document.warnings + expired)


def _shown(document: AuthenticDocument, raw: RawDocument, *, live: bool) -> tuple[tuple[str, ...], str]:
    nothing_kept = not raw.response and raw.chip_authentication is None and raw.chip_mapping is None
    if not live and nothing_kept:
        return (), "the folder holds no proof that the chip gave while it was read"
    try:
        return prove_chip(document, raw), ""
    except NoChipKey:
        return (), "its State gave it no key to prove itself with"


def exit_status(error: EmrtdError) -> int:
    return next(status for kind, status in EXITS if isinstance(error, kind))


def _name(certificate: Certificate) -> str:
    """The subject as its State writes it."""
    name: str = x509.Certificate.load(certificate.der).subject.human_friendly
    return name


def in_words(warning: str) -> str:
    """A sentence for the name of a warning; most names say how a file departs from its specification."""
    if warning in WARNINGS:
        return WARNINGS[warning]
    if oddly := ODDLY_WRITTEN.fullmatch(warning):
        return f"{oddly[1].upper()} is written in a way of its own ({oddly[2].replace('_', ' ')})."
    return f"{warning.replace('_', ' ').capitalize()}."


# --- JSON -------------------------------------------------------------------------------------------


def refused(error: EmrtdError) -> dict[str, Any]:
    verdict = "refused" if exit_status(error) == REFUSED else "failed"
    tree: dict[str, Any] = {
        "verdict": verdict,
        "reason": type(error).__name__,
        "clause": error.clause,
        "message": str(error),
    }
    if isinstance(error, WrongAccessKey) and error.tries_left is not None:
        tree["tries_left"] = error.tries_left
    return tree


def genuine(checked: Checked) -> dict[str, Any]:
    document = checked.document
    signer, authority = document.signer.certificate, document.signer.authority
    return {
        "verdict": "genuine",
        "proven": {
            "authentic": {"country": authority.country, "signer": _name(signer), "authority": _name(authority)},
            "not_a_copy": list(checked.not_a_copy),
            "opened_with": document.protocol,
            "groups": sorted(document.read_groups),
        },
        "not_proven": [checked.why_not] if checked.why_not else [],
        "warnings": list(checked.warnings),
        "document": _document(document),
        "checked_at": document.at.isoformat(),
    }


def _document(document: AuthenticDocument) -> dict[str, Any]:
    """What the State signed about document and holder, as far as it was read."""
    if document.dg1 is None:
        return {}
    zone, details, portrait = document.mrz, document.dg11, document.dg2 and document.portrait
    return {
        "code": zone.document_code,
        "issuer": zone.issuer,
        "number": zone.number,
        "surname": document.surname,
        "given_names": document.given_names,
        "birth_date": str(document.birth_date),
        "birth_place": list(details.birth_place) if details else [],
        "sex": zone.sex,
        "nationality": zone.nationality,
        "expiry_date": document.expiry_date.isoformat(),
        "portrait": {"format": portrait.format, "bytes": len(portrait.image)} if portrait else None,
    }


# --- words ------------------------------------------------------------------------------------------


def lines(checked: Checked, *, live: bool) -> list[str]:
    """The verdict for a person: who, then what was proven and what was not."""
    document = checked.document
    authority = document.signer.authority
    found = [f"Genuine: a document that {authority.country} signed.", *_holder(document), ""]
    found.append(f"  proven      authentic: every file read has the hash its State signed, under {_name(authority)}")
    if checked.not_a_copy:
        when = "" if live else " when it was read"
        found.append(f"  proven      the chip was no copy{when}: {', '.join(checked.not_a_copy)}")
    else:
        found.append(f"  NOT proven  that the chip is no copy: {checked.why_not}")
    if document.protocol:
        found.append(f"  opened by   {document.protocol}")
    found += [f"  warning     {in_words(warning)}" for warning in checked.warnings]
    found.append("  not checked that the person holding it is the one on the portrait")
    return found


def _holder(document: AuthenticDocument) -> list[str]:
    if document.dg1 is None:
        return []
    zone = document.mrz
    return [
        f"  {document.full_name}, born {document.birth_date}, {zone.nationality}",
        f"  document {zone.document_code} {zone.number} of {zone.issuer}, valid until {document.expiry_date}",
    ]

"""Signed receipts: what was checked, what was erased, what is kept. They name no one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from alicem import jose
from alicem.evidence import Check, Evidence
from alicem.keys import KeyRing

KEPT = (
    "account_number",
    "state",
    "level",
    "month_of_identity_check",
    "month_of_last_use",
    "document_fingerprint",
    "suspension_code_hash",
    "status_index",
    "phone_public_keys",
    "code_key_and_share",
    "tries",
    "journal",
)
TYP = "alicem-receipt+jwt"


def enrolment(
    ring: KeyRing, origin: str, evidence: Evidence, erased: Iterable[tuple[str, datetime]], now: datetime
) -> str:
    """enrolment.md, *The receipt*."""
    consent = evidence.biometrics_consent_at
    payload = {
        "iss": origin,
        "iat": int(now.timestamp()),
        "level": evidence.level.name.lower(),
        "path": evidence.path,
        "terms_version": evidence.terms_version,
        "biometrics_consent_at": None if consent is None else instant(consent),
        "checked": [_check(one) for one in evidence.checks],
        "erased": [{"what": what, "at": instant(at)} for what, at in erased],
        "kept": list(KEPT),
        "specimen": evidence.specimen,
    }
    return _sign(ring, payload, now)


def closing(ring: KeyRing, origin: str, now: datetime) -> str:
    """The receipt of an erased account."""
    erased = [{"what": what, "at": instant(now)} for what in KEPT]
    return _sign(ring, {"iss": origin, "iat": int(now.timestamp()), "erased": erased, "kept": []}, now)


def _check(check: Check) -> dict[str, str]:
    return {"name": check.name, "clause": check.clause, "at": instant(check.at)}


def _sign(ring: KeyRing, payload: dict[str, Any], now: datetime) -> str:
    key = ring.signing("issuer", now)
    return jose.sign(key.private, TYP, payload, kid=key.kid, x5c=key.x5c_header)


def instant(at: datetime) -> str:
    """RFC 3339, whole seconds, UTC."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"

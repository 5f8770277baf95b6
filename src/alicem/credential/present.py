"""Verify a credential shown by a phone (RFC 9901 §7.3, SD-JWT VC, OpenID4VP 1.0 §14.1). Each refusal has its name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from alicem import jose
from alicem.credential import sdjwt
from alicem.credential.issue import TYP, VCT
from alicem.credential.status import index_of
from alicem.evidence import Level
from alicem.jose import BadToken
from alicem.keys import SigningKey

_FRESH = 120  # seconds a key-binding proof may be old, or early by a phone's clock

REASONS: Mapping[str, str] = {
    "form": "credential_malformed",
    "algorithm_or_type": "credential_malformed",
    "disclosure": "credential_malformed",
    "holder_key": "credential_malformed",
    "status": "credential_malformed",
    "level": "credential_malformed",
    "issuer_unknown": "credential_untrusted",
    "issuer_signature": "credential_untrusted",
    "vct": "credential_untrusted",
    "expired": "credential_expired",
    "not_yet_valid": "credential_expired",
    "claims": "credential_claims",
    "key_binding_missing": "key_binding_wrong",
    "key_binding_signature": "key_binding_wrong",
    "nonce": "key_binding_wrong",
    "aud": "key_binding_wrong",
    "sd_hash": "key_binding_wrong",
    "transaction_data_hashes": "key_binding_wrong",
    "iat": "key_binding_wrong",
}
"""Each refusal by name, and the row of reasons.toml a person reads. `nonce`: of another transaction, so replayed; `iat`: of the key binding."""


class CredentialRefused(Exception):
    """`name` and `reason`: of `REASONS`. `detail`: for developers; holds no claim."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name
        self.reason = REASONS[name]


@dataclass(frozen=True)
class Expected:
    """What this presentation must answer. `claims`: what may be disclosed. `grace`: how long past its end the credential still speaks."""

    nonce: str
    audience: str
    claims: frozenset[str]
    transaction_data: tuple[str, ...] = ()
    grace: timedelta = timedelta()


@dataclass(frozen=True)
class Presentation:
    """What was proven: the disclosed claims, the thumbprint of the phone's key, the level of the check. `status_index`: where to ask whether it
    still holds; `expires`: Unix time."""

    claims: Mapping[str, Any]
    thumbprint: str
    level: Level
    specimen: bool
    status_index: int
    expires: int


def verify_presentation(token: str, expected: Expected, issuers: Sequence[SigningKey], now: datetime) -> Presentation:
    """Raises `CredentialRefused`. The status is not read here: the provider asks its own database (`status.current`)."""
    presented = _taken_apart(token)
    payload = _issued(presented.issuer_jwt, issuers)
    try:
        claims = sdjwt.reveal(payload, presented.disclosures)
    except BadToken as error:
        raise _refused("disclosure", error) from error
    _check_validity(payload, now - expected.grace, now)
    holder = _holder(payload)
    _check_key_binding(presented, holder, expected, now)
    disclosed = claims.keys() - payload.keys()
    if not disclosed <= expected.claims:
        raise _refused("claims", f"{len(disclosed - expected.claims)} claims nobody asked for")
    return Presentation(
        {name: claims[name] for name in disclosed},
        jose.thumbprint(holder),
        _level(payload),
        bool(payload.get("specimen")),
        _status_index(payload),
        payload["exp"],
    )


def _refused(name: str, detail: object) -> CredentialRefused:
    return CredentialRefused(name, str(detail))


def _taken_apart(token: str) -> sdjwt.SdJwt:
    if token.count("~") == 0:
        raise _refused("form", "not a compact SD-JWT")
    try:
        return sdjwt.parse(token)
    except BadToken as error:
        raise _refused("disclosure", error) from error


def _issued(token: str, issuers: Sequence[SigningKey]) -> dict[str, Any]:
    """The payload, signed by one of our keys, whose algorithm we know: what the header says of either is compared, never followed."""
    try:
        unverified = jose.unpack(token, TYP)
        payload = unverified.json()
    except BadToken as error:
        raise _refused("algorithm_or_type" if token.count(".") == 2 else "form", error) from error
    key = next((key for key in issuers if key.kid == unverified.header.get("kid")), None)
    if key is None:
        raise _refused("issuer_unknown", "signed by none of our keys")
    try:
        jose.check(unverified, key.private.public_key())
    except BadToken as error:
        raise _refused("issuer_signature", error) from error
    return payload


def _check_validity(payload: Mapping[str, Any], end_after: datetime, now: datetime) -> None:
    if payload.get("vct") != VCT:
        raise _refused("vct", "another type of credential")
    if not isinstance(payload.get("exp"), int) or end_after.timestamp() >= payload["exp"]:
        raise _refused("expired", "past its exp")
    begins = payload.get("nbf", payload.get("iat"))
    if not isinstance(begins, int) or now.timestamp() < begins - _FRESH:
        raise _refused("not_yet_valid", "before its nbf or iat")


def _holder(payload: Mapping[str, Any]) -> EllipticCurvePublicKey:
    try:
        return jose.public_key(payload["cnf"]["jwk"])
    except (BadToken, KeyError, TypeError) as error:
        raise _refused("holder_key", "no holder key") from error


def _level(payload: Mapping[str, Any]) -> Level:
    try:
        return Level.from_name(payload["level"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refused("level", "no level of assurance") from error


def _status_index(payload: Mapping[str, Any]) -> int:
    try:
        return index_of(payload["status"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refused("status", "no reference to a status list of ours") from error


def _check_key_binding(
    presented: sdjwt.SdJwt, holder: EllipticCurvePublicKey, expected: Expected, now: datetime
) -> None:
    if not presented.key_binding:
        raise _refused("key_binding_missing", "stripped, or never made")
    try:
        proof = jose.verify(presented.key_binding, holder, "kb+jwt")
    except BadToken as error:
        raise _refused("key_binding_signature", error) from error
    hashes = [jose.b64(hashlib.sha256(one.encode()).digest()) for one in expected.transaction_data]
    rules = (
        ("nonce", proof.get("nonce") == expected.nonce),
        ("aud", proof.get("aud") == expected.audience),
        ("sd_hash", proof.get("sd_hash") == presented.sd_hash),
        ("transaction_data_hashes", proof.get("transaction_data_hashes", []) == hashes),
        ("iat", isinstance(proof.get("iat"), int) and abs(int(now.timestamp()) - proof["iat"]) <= _FRESH),
    )
    for name, holds in rules:
        if not holds:
            raise _refused(name, "of the key binding")

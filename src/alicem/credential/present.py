"""Verify a credential shown by a phone (RFC 9901 §7.3, SD-JWT VC, OpenID4VP 1.0 §14.1). Each refusal has its name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alicem import jose
from alicem.credential import sdjwt
from alicem.credential.issue import TYP, VCT
from alicem.evidence import Level
from alicem.jose import BadToken
from alicem.keys import SigningKey

_FRESH = 120  # seconds a key-binding proof may be old, or early by a phone's clock


class CredentialRefused(Exception):
    """`reason`: a row of reasons.toml. `detail`: for developers; holds no claim."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


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
    """What was proven: the disclosed claims, the thumbprint of the phone's key, the level of the check."""

    claims: Mapping[str, Any]
    thumbprint: str
    level: Level
    specimen: bool


def verify_presentation(token: str, expected: Expected, issuers: Sequence[SigningKey], now: datetime) -> Presentation:
    """Raises `CredentialRefused`. The status is not read here: the provider asks its own database."""
    try:
        presented = sdjwt.parse(token)
        payload = _issued(presented.issuer_jwt, issuers)
        claims = sdjwt.reveal(payload, presented.disclosures)
    except BadToken as error:
        raise CredentialRefused("credential_malformed", str(error)) from error
    _check_validity(payload, now - expected.grace, now)
    holder = _holder(payload)
    _check_key_binding(presented, holder, expected, now)
    disclosed = {one.name for one in presented.disclosures}
    if not disclosed <= expected.claims:
        raise CredentialRefused("credential_claims", f"{len(disclosed - expected.claims)} claims nobody asked for")
    return Presentation(
        {name: claims[name] for name in disclosed},
        jose.thumbprint(holder),
        Level.from_name(payload["level"]),
        bool(payload.get("specimen")),
    )


def _issued(token: str, issuers: Sequence[SigningKey]) -> dict[str, Any]:
    unverified = jose.unpack(token, TYP)
    for key in issuers:
        if key.kid == unverified.header.get("kid"):
            try:
                jose.check(unverified, key.private.public_key())
            except BadToken as error:
                raise CredentialRefused("credential_untrusted", str(error)) from error
            return unverified.json()
    raise CredentialRefused("credential_untrusted", "signed by none of our keys")


def _check_validity(payload: Mapping[str, Any], end_after: datetime, now: datetime) -> None:
    if payload.get("vct") != VCT:
        raise CredentialRefused("credential_untrusted", "another type of credential")
    if not isinstance(payload.get("exp"), int) or end_after.timestamp() >= payload["exp"]:
        raise CredentialRefused("credential_expired", "past its exp")
    if not isinstance(payload.get("iat"), int) or now.timestamp() < payload["iat"] - _FRESH:
        raise CredentialRefused("credential_expired", "not valid yet")


def _holder(payload: Mapping[str, Any]) -> Any:
    try:
        return jose.public_key(payload["cnf"]["jwk"])
    except (BadToken, KeyError, TypeError) as error:
        raise CredentialRefused("credential_malformed", "no holder key") from error


def _check_key_binding(presented: sdjwt.SdJwt, holder: Any, expected: Expected, now: datetime) -> None:
    if not presented.key_binding:
        raise CredentialRefused("key_binding_wrong", "the key binding is missing")
    try:
        proof = jose.verify(presented.key_binding, holder, "kb+jwt")
    except BadToken as error:
        raise CredentialRefused("key_binding_wrong", str(error)) from error
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
            raise CredentialRefused("key_binding_wrong", name)

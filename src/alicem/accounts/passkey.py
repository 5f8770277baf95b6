"""What a passkey signs: an assertion over a hash of ours (WebAuthn Level 3 §7.2), and whether it may leave its device."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from alicem import jose
from alicem.jose import BadToken

_PRESENT, _VERIFIED, _BACKUP_ELIGIBLE = 0x01, 0x04, 0x08  # §6.1
_MOST = 4096
KIND, SYNCED = "passkey", "passkey_synced"


@dataclass(frozen=True)
class Assertion:
    """`authenticatorData`, `clientDataJSON` and the DER signature, as they came."""

    authenticator_data: bytes
    client_data: bytes
    signature: bytes

    @property
    def kind(self) -> str:
        """The kind of key this passkey makes of a phone's: one that may be copied to other devices counts lower."""
        return SYNCED if self.authenticator_data[32] & _BACKUP_ELIGIBLE else KIND


def parse(given: Any) -> Assertion:
    """Raises `BadToken`."""
    if not isinstance(given, Mapping):
        raise BadToken("no assertion")
    parts = [jose.unb64(given.get(name, "")) for name in ("authenticator_data", "client_data", "signature")]
    if len(parts[0]) < 37 or max(map(len, parts)) > _MOST:
        raise BadToken("not an assertion")
    return Assertion(*parts)


def check(assertion: Assertion, key: ec.EllipticCurvePublicKey, about: bytes, origin: str) -> None:
    """Require that the passkey of `key` signed `about` here and now, its user verified. Raises `BadToken`."""
    said = _client_data(assertion.client_data)
    rules = (
        said.get("type") == "webauthn.get",
        said.get("challenge") == jose.b64(hashlib.sha256(about).digest()),
        said.get("origin") == origin,
        said.get("crossOrigin", False) is False,
        hmac.compare_digest(assertion.authenticator_data[:32], relying_party(origin)),
        assertion.authenticator_data[32] & _PRESENT,
        assertion.authenticator_data[32] & _VERIFIED,
    )
    if not all(rules):
        raise BadToken("an assertion of something else")
    signed = assertion.authenticator_data + hashlib.sha256(assertion.client_data).digest()
    try:
        key.verify(assertion.signature, signed, ec.ECDSA(SHA256()))
    except InvalidSignature as error:
        raise BadToken("the passkey did not sign this") from error


def relying_party(origin: str) -> bytes:
    """SHA-256 of the relying party's id: the host of the origin."""
    return hashlib.sha256((urlsplit(origin).hostname or "").encode()).digest()


def _client_data(data: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadToken("client data is not JSON") from error
    if not isinstance(said, dict):
        raise BadToken("client data is not an object")
    return said

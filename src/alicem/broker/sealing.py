"""What the broker keeps of a person for minutes is sealed to a secret that only the browser or the service holds.

The database keeps the secret's hash to find the row, and can open nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Random = Callable[[int], bytes]


class DoesNotOpen(Exception):
    """Sealed to another secret, or damaged."""


def new_secret(rng: Random) -> str:
    """256 random bits, base64url."""
    return base64.urlsafe_b64encode(rng(32)).rstrip(b"=").decode()


def fingerprint(secret: str) -> str:
    """What the database finds a secret by: SHA-256, hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def seal(secret: str, purpose: str, value: Mapping[str, Any], rng: Random) -> bytes:
    nonce = rng(12)
    return nonce + AESGCM(_key(secret, purpose)).encrypt(nonce, json.dumps(value).encode(), purpose.encode())


def unseal(secret: str, purpose: str, sealed: bytes) -> dict[str, Any]:
    """Raises `DoesNotOpen`."""
    try:
        plain = AESGCM(_key(secret, purpose)).decrypt(sealed[:12], sealed[12:], purpose.encode())
    except InvalidTag as error:
        raise DoesNotOpen(purpose) from error
    value: dict[str, Any] = json.loads(plain)
    return value


def _key(secret: str, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=f"alicem broker {purpose}".encode()).derive(secret.encode())

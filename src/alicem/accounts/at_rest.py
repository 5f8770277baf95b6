"""What the database holds encrypted: PIN public keys and shares, each bound to its phone and its column."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from alicem.keys import KeyRing, KeysError


def protect(
    ring: KeyRing, rng: Callable[[int], bytes], thumbprint: str, column: str, plain: bytes, now: datetime
) -> bytes:
    """`key id` ‖ 0 ‖ nonce ‖ AES-256-GCM under the at-rest key in use."""
    key, nonce = ring.secret("at_rest", now), rng(12)
    return key.kid.encode() + b"\x00" + nonce + AESGCM(key.value).encrypt(nonce, plain, _bound(thumbprint, column))


def unprotect(ring: KeyRing, thumbprint: str, column: str, stored: bytes) -> bytes:
    """Inverse of `protect` under any live key. Raises `KeysError` where the row does not belong to its keys."""
    kid, _, rest = stored.partition(b"\x00")
    for key in ring.secret_all("at_rest"):
        if key.kid.encode() == kid:
            try:
                return AESGCM(key.value).decrypt(rest[:12], rest[12:], _bound(thumbprint, column))
            except InvalidTag as error:
                raise KeysError(f"{column} does not open under {key.kid}") from error
    raise KeysError(f"{column} is encrypted under a key that is not in the ring")


def _bound(thumbprint: str, column: str) -> bytes:
    return f"{column}\n{thumbprint}".encode()

"""What a chip that was read again leaves for its sign-in: bound to this sign-in, the phone that approved it and the key the chip proved.

Only a hash under a key of the ring is stored, so that the database alone tells of no document.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from alicem.provider.claims import Claim

CHIP_KEY = "chip_key"


CLAIM = Claim(CHIP_KEY, CHIP_KEY, str)
"""What the phone shows beside what the client asked; it goes no further than here."""


def proof_of(secret: bytes, signin: str, thumbprint: str, chip_key: str) -> bytes:
    """`thumbprint`: of the device key; `chip_key`: SHA-256 of the key the chip proved, in base64url as in the credential."""
    about = b"\0".join((b"alicem chip proof v1", signin.encode(), thumbprint.encode(), chip_key.encode()))
    return hmac.digest(secret, about, hashlib.sha256)


def proves(secrets: Iterable[bytes], proof: bytes, signin: str, thumbprint: str, chip_key: str) -> bool:
    """Whether `proof` is of exactly these, under any of the ring's living keys."""
    made = [proof_of(secret, signin, thumbprint, chip_key) for secret in secrets]
    return any(hmac.compare_digest(one, proof) for one in made)

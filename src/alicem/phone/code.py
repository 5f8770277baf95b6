"""The security code on the phone: the PIN key derived from it, and codes too easy to guess (approval.md, *Keys*)."""

from __future__ import annotations

import re

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KDF = {"name": "argon2id", "memory_kib": 19456, "passes": 2, "lanes": 1}
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # FIPS 186-5, P-256
_UP, _DOWN = "01234567890123456789", "98765432109876543210"


def pin_key(code: str, salt: bytes) -> ec.EllipticCurvePrivateKey:
    """The PIN key of a six-digit code. `salt`: 32 bytes."""
    kdf = Argon2id(salt=salt, length=32, iterations=2, lanes=1, memory_cost=19456)
    stretched = kdf.derive(code.encode("ascii"))
    okm = HKDF(SHA256(), 48, salt, b"alicem pin key v1").derive(stretched)
    return ec.derive_private_key(int.from_bytes(okm, "big") % (ORDER - 1) + 1, ec.SECP256R1())


def is_trivial(code: str, birth_date: str = "") -> bool:
    """Whether anyone would try this code early. `birth_date`: `YYMMDD` of the holder, or empty."""
    if not re.fullmatch(r"[0-9]{6}", code):
        return True
    year, month, day = birth_date[:2], birth_date[2:4], birth_date[4:6]
    dates = (day + month + year, year + month + day, month + day + year) if birth_date else ()
    blocks = code[:2] * 3 == code or code[:3] * 2 == code
    return blocks or code in _UP or code in _DOWN or code in dates

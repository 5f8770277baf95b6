"""What keeps the database unable to read a name: every stage of a sign-in is sealed under a secret that only the next visitor brings.

phone → browser: to a key derived from the browser's cookie. browser → client: under the code. client → client: under the access token.
Each of these secrets is 256 random bits, is stored nowhere, and its stored hash is not the key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of P-256 (SP 800-186 §3.2.1.3)."""
_PAD = 1024
_ONCE = bytes(12)  # nonce: each key seals one message


class DoesNotOpen(Exception):
    """Another secret, or altered."""


def private_key(secret: bytes, salt: bytes, purpose: bytes) -> ec.EllipticCurvePrivateKey:
    """A P-256 key from a secret (FIPS 186-5 A.2.1): 48 bytes of HKDF, so that the bias is below 2⁻¹²⁸."""
    wide = HKDF(algorithm=SHA256(), length=48, salt=salt, info=purpose).derive(secret)
    return ec.derive_private_key(int.from_bytes(wide, "big") % (_N - 1) + 1, ec.SECP256R1())


def browser_key(cookie_secret: bytes, signin: str) -> ec.EllipticCurvePrivateKey:
    """What the claims wait sealed to. Only its public half is stored."""
    return private_key(cookie_secret, signin.encode(), b"alicem signin browser key v1")


def response_key(server_secret: bytes, salt: bytes, signin: str) -> ec.EllipticCurvePrivateKey:
    """What the phone encrypts its answer to: of the key ring and the row together, gone with the row."""
    return private_key(server_secret, salt, b"alicem signin response key v1 " + signin.encode())


def public_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    """65 bytes, uncompressed (SEC 1 §2.3.3)."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def public_from(data: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)


def seal_under(secret: bytes, purpose: bytes, plaintext: bytes) -> bytes:
    return AESGCM(_key(secret, purpose)).encrypt(_ONCE, plaintext, purpose)


def open_under(secret: bytes, purpose: bytes, sealed: bytes) -> bytes:
    """Raises `DoesNotOpen`."""
    try:
        return AESGCM(_key(secret, purpose)).decrypt(_ONCE, sealed, purpose)
    except InvalidTag as error:
        raise DoesNotOpen from error


def pack(value: Mapping[str, Any]) -> bytes:
    """JSON, padded with spaces: the length tells neither a name's length nor how much was asked."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return text.ljust(-(-len(text) // _PAD) * _PAD)


def unpack(data: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(data)
    return value


def stored(secret: bytes) -> bytes:
    """What the database knows a code or token by."""
    return hashlib.sha256(b"alicem stored v1" + secret).digest()


def _key(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret)

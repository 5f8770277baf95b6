"""Sealed members (enrolment.md): what only the session process and the phone can read."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from alicem.jose import BadToken, b64, unb64


class Seal:
    """One session's key, the same on both sides."""

    def __init__(self, own: ec.EllipticCurvePrivateKey, other: ec.EllipticCurvePublicKey, session: str) -> None:
        shared = own.exchange(ec.ECDH(), other)
        key = HKDF(SHA256(), 32, session.encode("ascii"), b"alicem seal v1").derive(shared)
        self._cipher = AESGCM(key)

    def seal(self, kind: str, number: int, plain: bytes) -> str:
        return b64(self._cipher.encrypt(number.to_bytes(12, "big"), plain, _bound(kind, number)))

    def open(self, kind: str, number: int, sealed: str) -> bytes:
        """Raises `BadToken` where type, id or key is another."""
        try:
            return self._cipher.decrypt(number.to_bytes(12, "big"), unb64(sealed), _bound(kind, number))
        except (InvalidTag, OverflowError) as error:
            raise BadToken("a sealed member does not open") from error


def _bound(kind: str, number: int) -> bytes:
    return f"{kind}\n{number}".encode()

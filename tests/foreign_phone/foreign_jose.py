"""Envelopes and keys as the pages under docs/protocols describe them: JWK, JWS, JWE, a pinned chain, the PIN key.

Written from those pages and the standards they name, with nothing of the product: what is wrong here or there shows when the two meet.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CURVE = ec.SECP256R1()
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
MEMORY_KIB, PASSES, LANES = 19_456, 2, 1

Jwk = dict[str, str]


class Untrusted(Exception):
    """Something signed is not what it should be."""


def b64(data: bytes) -> str:
    """RFC 4648 §5 without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def hkdf(secret: bytes, salt: bytes, info: str, length: int = 32) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info.encode()).derive(secret)


def fresh_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(CURVE)


def jwk_of(key: ec.EllipticCurvePrivateKey) -> Jwk:
    """The public half as RFC 7517: `kty crv x y` only."""
    point = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": b64(point.x.to_bytes(32, "big")), "y": b64(point.y.to_bytes(32, "big"))}


def public_key(jwk: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    x, y = (int.from_bytes(unb64(jwk[name]), "big") for name in "xy")
    return ec.EllipticCurvePublicNumbers(x, y, CURVE).public_key()


def thumbprint(jwk: Jwk) -> str:
    """RFC 7638 with SHA-256."""
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return b64(sha256(json.dumps(members, separators=(",", ":"))))


def pin_key(code: str, salt: bytes) -> ec.EllipticCurvePrivateKey:
    """The key of six digits (approval.md, *Keys*)."""
    argon = Argon2id(salt=salt, length=32, iterations=PASSES, lanes=LANES, memory_cost=MEMORY_KIB)
    okm = hkdf(argon.derive(code.encode("ascii")), salt, "alicem pin key v1", 48)
    return ec.derive_private_key(int.from_bytes(okm, "big") % (ORDER - 1) + 1, CURVE)


def sign(key: ec.EllipticCurvePrivateKey, header: Mapping[str, Any], payload: Mapping[str, Any] | str) -> str:
    """A compact JWS, ES256. A payload that is a string is signed as it is."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    signed = b64(json.dumps({"alg": "ES256", **header}).encode()) + "." + b64(text.encode())
    r, s = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return signed + "." + b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def unverified(token: str) -> tuple[dict[str, Any], bytes]:
    """Header and payload of a compact JWS, its signature not looked at."""
    header, payload, _ = token.split(".")
    return json.loads(unb64(header)), unb64(payload)


def verify(token: str, typ: str, key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    """The payload of a JWS of this `typ` under `key`. Raises `Untrusted`."""
    header, payload = unverified(token)
    if header.get("alg") != "ES256" or header.get("typ") != typ:
        raise Untrusted("another kind of object")
    signed, _, signature = token.rpartition(".")
    raw = unb64(signature)
    der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    try:
        key.verify(der, signed.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise Untrusted("the signature is not right") from None
    claims: dict[str, Any] = json.loads(payload)
    return claims


def root_of(token: str) -> str:
    """SHA-256 of the certificate at the top of the token's `x5c`: what a phone pins."""
    return b64(hashlib.sha256(base64.b64decode(unverified(token)[0]["x5c"][-1])).digest())


def verify_chained(token: str, typ: str, anchor: str, now: float) -> tuple[dict[str, Any], bytes]:
    """Payload and leaf (DER) of a JWS whose `x5c` leads to the pinned root. Raises `Untrusted`."""
    chain = [base64.b64decode(one) for one in unverified(token)[0]["x5c"]]
    if b64(hashlib.sha256(chain[-1]).digest()) != anchor:
        raise Untrusted("another root than the pinned one")
    certificates = [x509.load_der_x509_certificate(one) for one in chain]
    for certificate, issuer in zip(certificates, [*certificates[1:], certificates[-1]], strict=True):
        _check_issued(certificate, issuer, datetime.fromtimestamp(now, UTC))
    key = certificates[0].public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Untrusted("the leaf's key is of another kind")
    return verify(token, typ, key), chain[0]


def _check_issued(certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> None:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        raise Untrusted("a certificate was not issued by the next") from None
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Untrusted("a certificate is out of its time")


def encrypt(plaintext: bytes, to: Mapping[str, Any]) -> str:
    """A compact JWE, ECDH-ES and A256GCM (RFC 7518 §4.6), with the `kid` of the recipient's key."""
    ephemeral = fresh_key()
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": to["kid"], "epk": jwk_of(ephemeral)}
    protected, nonce = b64(json.dumps(header).encode()), os.urandom(12)
    key = _agreed(ephemeral.exchange(ec.ECDH(), public_key(to)), header)
    sealed = AESGCM(key).encrypt(nonce, plaintext, protected.encode())
    return ".".join((protected, "", b64(nonce), b64(sealed[:-16]), b64(sealed[-16:])))


def decrypt(token: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The plaintext of a compact JWE to `key`. Raises cryptography's `InvalidTag`."""
    protected, _, nonce, ciphertext, tag = token.split(".")
    header = json.loads(unb64(protected))
    if (header["alg"], header["enc"]) != ("ECDH-ES", "A256GCM"):
        raise Untrusted("another encryption")
    agreed = _agreed(key.exchange(ec.ECDH(), public_key(header["epk"])), header)
    return AESGCM(agreed).decrypt(unb64(nonce), unb64(ciphertext) + unb64(tag), protected.encode())


def _agreed(secret: bytes, header: Mapping[str, Any]) -> bytes:
    parts = (header["enc"].encode(), unb64(header.get("apu", "")), unb64(header.get("apv", "")))
    info = b"".join(len(part).to_bytes(4, "big") + part for part in parts) + (256).to_bytes(4, "big")
    return ConcatKDFHash(hashes.SHA256(), 32, info).derive(secret)

"""JOSE as Alicem uses it: ES256 and ECDH-ES with A256GCM on P-256, nothing else, whatever a message asks for; A128GCM is opened, never made.
To a client that wants RSA, RSA-OAEP is made, never opened.

A token is `Unverified` until a key the caller chose has verified it (RFC 8725 §3.1, §3.8, §3.11). Refused before any key is touched: another
`alg` (`none`, HMAC, `RSA1_5`, `dir`, PBES2 with its `p2c`), `zip` (a bomb), `crit`, another `typ`. Never looked at: keys a header brings or
points to (`jwk`, `jku`, `x5u`, `x5c`), save where a protocol says that the header's key is the one to prove (the caller takes it then).
"""

from __future__ import annotations

import binascii
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MOST = 256 * 1024
"""Characters of a token that are looked at."""

OPENED: Mapping[str, int] = {"A256GCM": 256, "A128GCM": 128}
"""Content encryption that is opened, with the bits of its key: HAIP 1.0 §5 asks verifiers for both."""

RSA_OAEP: Mapping[str, padding.OAEP] = {
    "RSA-OAEP-256": padding.OAEP(padding.MGF1(SHA256()), SHA256(), None),
    "RSA-OAEP": padding.OAEP(padding.MGF1(SHA1()), SHA1(), None),  # noqa: S303 - RFC 7518 §4.3; nothing rests on its collisions
}
"""Key wrapping that is made (RFC 7518 §4.3)."""

_TO_URL = bytes.maketrans(b"+/", b"-_")
_CURVE, _ES256 = ec.SECP256R1(), ec.ECDSA(SHA256())


class Signer(Protocol):
    """A P-256 private key, in memory or in a token that never gives it away. The signature is DER, as in X.509."""

    def sign(self, data: bytes, signature_algorithm: ec.ECDSA) -> bytes: ...

    def public_key(self) -> ec.EllipticCurvePublicKey: ...


class BadToken(Exception):
    """Malformed, of another type or algorithm, or not signed by the key expected."""


@dataclass(frozen=True)
class Unverified:
    """A compact JWS taken apart. Nothing in it has been proven."""

    header: Mapping[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes

    def json(self) -> dict[str, Any]:
        return _object(self.payload)


def b64(data: bytes) -> str:
    """Base64url without padding (RFC 4648 §5)."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Strict inverse of `b64`. Raises `BadToken`."""
    if not isinstance(text, str):
        raise BadToken("not a string")
    if "+" in text or "/" in text or "=" in text:
        raise BadToken("not base64url")
    try:
        padded = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
        data = binascii.a2b_base64(padded, strict_mode=True)
    except ValueError as error:
        raise BadToken("not base64url") from error
    rest = len(data) % 3  # the bits that are left over in the last character are zero
    if rest and b64(data[-rest:]) != text[-rest - 1 :]:
        raise BadToken("not canonical base64url")
    return data


def sign(key: Signer, typ: str, payload: Mapping[str, Any] | str, **header: Any) -> str:
    """A compact JWS, ES256 (RFC 7518 §3.4)."""
    head = json.dumps({"alg": "ES256", "typ": typ, **header}, separators=(",", ":")).encode()
    body = payload if isinstance(payload, str) else json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    signing_input = f"{b64(head)}.{b64(body.encode())}"
    r, s = decode_dss_signature(key.sign(signing_input.encode(), _ES256))
    return f"{signing_input}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def unpack(token: str, *typ: str | None) -> Unverified:
    """Take a compact JWS apart, insisting on a `typ` of these (None: on none) and ES256 before anything else is read."""
    if not isinstance(token, str) or len(token) > MOST or token.count(".") != 2:
        raise BadToken("not a compact JWS")
    head, body, signature = token.split(".")
    header = _object(unb64(head))
    if header.get("alg") != "ES256" or header.get("typ") not in typ or "crit" in header:
        raise BadToken(f"not a {typ[0]} signed with ES256")
    return Unverified(header, unb64(body), f"{head}.{body}".encode(), unb64(signature))


def check(token: Unverified, key: ec.EllipticCurvePublicKey) -> bytes:
    """The payload, once `key` has verified it. Raises `BadToken`."""
    if len(token.signature) != 64:
        raise BadToken("a signature of ES256 has 64 bytes")
    r, s = (int.from_bytes(half, "big") for half in (token.signature[:32], token.signature[32:]))
    try:
        key.verify(encode_dss_signature(r, s), token.signing_input, _ES256)
    except (InvalidSignature, ValueError) as error:
        raise BadToken("the signature is wrong") from error
    return token.payload


def verify(token: str, key: ec.EllipticCurvePublicKey, typ: str) -> dict[str, Any]:
    """The payload of a JWS of type `typ` that `key` signed, as a JSON object."""
    unverified = unpack(token, typ)
    check(unverified, key)
    return unverified.json()


def public_jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """`kty crv x y` (RFC 7518 §6.2)."""
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    x, y = b64(point[1:33]), b64(point[33:])
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def public_key(jwk: Any) -> ec.EllipticCurvePublicKey:
    """A P-256 key from a JWK of strangers. Raises `BadToken` for anything else, points off the curve included."""
    if not isinstance(jwk, Mapping) or jwk.get("kty") != "EC" or jwk.get("crv") != "P-256" or "d" in jwk:
        raise BadToken("not a public P-256 JWK")
    x, y = unb64(jwk.get("x", "")), unb64(jwk.get("y", ""))
    if len(x) != 32 or len(y) != 32:
        raise BadToken("coordinates of P-256 have 32 bytes")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, b"\x04" + x + y)
    except ValueError as error:
        raise BadToken("not a point of P-256") from error


def public_rsa_key(jwk: Any) -> rsa.RSAPublicKey:
    """An RSA key of 2048 to 4096 bits from a JWK of strangers. Raises `BadToken`."""
    if not isinstance(jwk, Mapping) or jwk.get("kty") != "RSA" or "d" in jwk:
        raise BadToken("not a public RSA JWK")
    n, e = unb64(jwk.get("n", "")), unb64(jwk.get("e", ""))
    if not 256 <= len(n) <= 512 or n[0] < 0x80 or not 1 <= len(e) <= 4:  # a huge exponent would cost us seconds
        raise BadToken("not an RSA key of 2048 to 4096 bits with an exponent of 32 bits at most")
    try:
        return rsa.RSAPublicNumbers(int.from_bytes(e, "big"), int.from_bytes(n, "big")).public_key()
    except ValueError as error:
        raise BadToken("not an RSA key") from error


def thumbprint(key: ec.EllipticCurvePublicKey) -> str:
    """RFC 7638 with SHA-256."""
    jwk = public_jwk(key)
    canonical = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    return b64(hashlib.sha256(canonical.encode()).digest())


def encrypt_to(key: ec.EllipticCurvePublicKey, plaintext: bytes, **header: str) -> str:
    """A compact JWE that only the holder of `key` opens (RFC 7516 §5.1; RFC 7518 §4.6 directly, §5.3)."""
    once = ec.generate_private_key(_CURVE)
    protected = {"alg": "ECDH-ES", "enc": "A256GCM", "epk": public_jwk(once.public_key()), **header}
    return _sealed(protected, agreed_key(once.exchange(ec.ECDH(), key)), b"", plaintext)


def encrypt_to_rsa(key: rsa.RSAPublicKey, plaintext: bytes, alg: str, **header: str) -> str:
    """A compact JWE that only the holder of `key` opens; `alg`: one of `RSA_OAEP`."""
    secret = os.urandom(32)
    protected = {"alg": alg, "enc": "A256GCM", **header}
    return _sealed(protected, secret, key.encrypt(secret, RSA_OAEP[alg]), plaintext)


def _sealed(protected: Mapping[str, Any], secret: bytes, wrapped: bytes, plaintext: bytes) -> str:
    head, nonce = b64(json.dumps(protected, separators=(",", ":")).encode()), os.urandom(12)
    sealed = AESGCM(secret).encrypt(nonce, plaintext, head.encode())
    return f"{head}.{b64(wrapped)}.{b64(nonce)}.{b64(sealed[:-16])}.{b64(sealed[-16:])}"


def decrypt(token: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Open a compact JWE. Raises `BadToken`; `zip` is refused."""
    if not isinstance(token, str) or len(token) > MOST or token.count(".") != 4:
        raise BadToken("not a compact JWE")
    head, *rest = token.split(".")
    header = _object(unb64(head))
    enc = str(header.get("enc"))
    if header.get("alg") != "ECDH-ES" or enc not in OPENED or "zip" in header or "crit" in header:
        raise BadToken("not ECDH-ES with A256GCM or A128GCM")
    wrapped, nonce, sealed, tag = (unb64(part) for part in rest)
    if wrapped or len(nonce) != 12 or len(tag) != 16:
        raise BadToken("not a direct agreement with a nonce and a tag of AES-GCM")
    shared = key.exchange(ec.ECDH(), public_key(header.get("epk")))
    parties = (unb64(header.get(name, "")) for name in ("apu", "apv"))
    try:
        secret = agreed_key(shared, *parties, enc=enc, bits=OPENED[enc])
        return AESGCM(secret).decrypt(nonce, sealed + tag, head.encode())
    except InvalidTag as error:
        raise BadToken("does not open") from error


def agreed_key(shared: bytes, apu: bytes = b"", apv: bytes = b"", *, enc: str = "A256GCM", bits: int = 256) -> bytes:
    """The Concat KDF of ECDH-ES in direct agreement, SHA-256 (RFC 7518 §4.6.2): at most 256 bits, so one round of it."""
    told = b"".join(len(part).to_bytes(4, "big") + part for part in (enc.encode(), apu, apv))
    return hashlib.sha256(b"\x00\x00\x00\x01" + shared + told + bits.to_bytes(4, "big")).digest()[: bits // 8]


def _object(data: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadToken("not JSON") from error
    if not isinstance(tree, dict):
        raise BadToken("not a JSON object")
    return tree

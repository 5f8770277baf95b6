"""The key ring: every private key and secret of the provider, in one file encrypted under the master key.

File: `ALK1` ‖ 12 bytes nonce ‖ AES-256-GCM(master key, JSON). The master key never lies beside it: environment or a file of its own.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.x509 import load_der_x509_certificate
from joserfc.jwk import ECKey

from alicem.keys.authority import make_authority, make_issuing

_MAGIC = b"ALK1"
SIGNING = ("signing", "issuer", "verifier", "journal")
"""ES256 keys: id tokens; credentials and receipts; request objects; journal seals."""
CERTIFIED = ("issuer", "verifier")
SECRETS = ("at_rest", "subject", "fingerprint", "transaction")
"""32 random bytes each: shares and PIN keys in the database; pairwise `sub`; document fingerprints; sign-in references."""

Random = Callable[[int], bytes]


class KeysError(Exception):
    """The key file or the master key is missing, wrong or damaged."""


@dataclass(frozen=True)
class SigningKey:
    """An ES256 key. `x5c`: DER certificates, leaf first, without the authority's when empty."""

    kid: str
    purpose: str
    private: ec.EllipticCurvePrivateKey
    use_by: datetime
    x5c: tuple[bytes, ...] = ()

    @property
    def jwk(self) -> ECKey:
        """For joserfc; holds the private part."""
        return ECKey.import_key(
            self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), {"kid": self.kid}
        )

    @property
    def x5c_header(self) -> list[str]:
        """RFC 7515 §4.1.6: standard base64 of each certificate."""
        return [base64.b64encode(one).decode() for one in self.x5c]


@dataclass(frozen=True)
class SecretKey:
    kid: str
    purpose: str
    value: bytes
    use_by: datetime


Key = TypeVar("Key", SigningKey, SecretKey)


@dataclass(frozen=True)
class KeyRing:
    """All live keys, newest first within a purpose: the first signs and encrypts, all verify and decrypt."""

    signing_keys: tuple[SigningKey, ...]
    secret_keys: tuple[SecretKey, ...]

    def signing(self, purpose: str) -> SigningKey:
        return _first(self.signing_all(purpose), purpose)

    def secret(self, purpose: str) -> SecretKey:
        return _first(self.secret_all(purpose), purpose)

    def signing_all(self, purpose: str) -> tuple[SigningKey, ...]:
        return tuple(key for key in self.signing_keys if key.purpose == purpose)

    def secret_all(self, purpose: str) -> tuple[SecretKey, ...]:
        return tuple(key for key in self.secret_keys if key.purpose == purpose)


def _first(keys: tuple[Key, ...], purpose: str) -> Key:
    if not keys:
        raise KeysError(f"the key ring has no {purpose} key; run `alicem keys create`")
    return keys[0]


def create(file: Path, master: bytes, *, now: datetime, rng: Random, host: str) -> KeyRing:
    """Make one key of each purpose and write them. Refuses to overwrite a key file."""
    if file.exists():
        raise KeysError(f"{file} exists; keys are rotated, never overwritten")
    ring = _make(now, rng, host)
    _write(file, master, ring, rng)
    return ring


def open_ring(file: Path, master: bytes) -> KeyRing:
    """Read the key file. Raises `KeysError` that says whether it is missing, damaged or of another master key."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise KeysError(f"{file}: {error.strerror}; run `alicem keys create`") from error
    if data[:4] != _MAGIC:
        raise KeysError(f"{file} is not a key file of version 1")
    try:
        plain = _cipher(master).decrypt(data[4:16], data[16:], _MAGIC)
    except InvalidTag as error:
        raise KeysError(f"{file} does not open: another master key, or a damaged file") from error
    return _parse(json.loads(plain))


def _make(now: datetime, rng: Random, host: str) -> KeyRing:
    use_by = now + timedelta(days=365)
    authority_key = ec.generate_private_key(
        ec.SECP256R1()
    )  # certifies once, then is gone: nothing else can be certified
    authority = make_authority(authority_key, now, host)

    def chain(purpose: str, private: ec.EllipticCurvePrivateKey) -> tuple[bytes, ...]:
        if purpose not in CERTIFIED:
            return ()
        leaf = make_issuing(private.public_key(), authority, authority_key, now, purpose, host)
        return (leaf.public_bytes(Encoding.DER), authority.public_bytes(Encoding.DER))

    signing = []
    for purpose in SIGNING:
        private = ec.generate_private_key(ec.SECP256R1())
        signing.append(SigningKey(_kid(purpose, now, rng), purpose, private, use_by, chain(purpose, private)))
    secrets = tuple(SecretKey(_kid(purpose, now, rng), purpose, rng(32), use_by) for purpose in SECRETS)
    return KeyRing(tuple(signing), secrets)


def _kid(purpose: str, now: datetime, rng: Random) -> str:
    return f"{purpose}-{now:%Y%m%d}-{rng(3).hex()}"


def _cipher(master: bytes) -> AESGCM:
    if len(master) != 32:
        raise KeysError("the master key is not 32 bytes of base64")
    return AESGCM(master)


def _write(file: Path, master: bytes, ring: KeyRing, rng: Random) -> None:
    tree = {
        "signing": [
            {
                "kid": key.kid,
                "purpose": key.purpose,
                "use_by": key.use_by.isoformat(),
                "private": _text(key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())),
                "x5c": [_text(one) for one in key.x5c],
            }
            for key in ring.signing_keys
        ],
        "secret": [
            {"kid": key.kid, "purpose": key.purpose, "use_by": key.use_by.isoformat(), "value": _text(key.value)}
            for key in ring.secret_keys
        ],
    }
    nonce = rng(12)
    sealed = _MAGIC + nonce + _cipher(master).encrypt(nonce, json.dumps(tree).encode(), _MAGIC)
    temporary = file.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(sealed)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.rename(file)


def _parse(tree: Any) -> KeyRing:
    signing = []
    for row in tree["signing"]:
        private = load_der_private_key(_bytes(row["private"]), None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise KeysError(f"{row['kid']} is not an elliptic curve key")
        x5c = tuple(_bytes(one) for one in row["x5c"])
        for one in x5c:
            load_der_x509_certificate(one)
        use_by = datetime.fromisoformat(row["use_by"])
        signing.append(SigningKey(row["kid"], row["purpose"], private, use_by, x5c))
    secrets = tuple(
        SecretKey(row["kid"], row["purpose"], _bytes(row["value"]), datetime.fromisoformat(row["use_by"]))
        for row in tree["secret"]
    )
    return KeyRing(tuple(signing), secrets)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)

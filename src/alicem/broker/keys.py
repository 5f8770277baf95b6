"""The broker's own keys and secrets: files that nobody else may read.

`key_file` signs for services; `encryption_file` opens what providers encrypt to us; the secret of the pseudonyms also gives, by HKDF, the keys
under which history and letters are kept. None of them is in the database.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from alicem.settings import SettingsError

OVERLAP = timedelta(days=1)
"""How long the key before is still published; it opens an hour longer, since providers keep our keys for ten minutes."""
_AFTER = timedelta(hours=1)
_RSA_BITS = 3072
LEAST_SECRET = 32  # characters


def client_secret(path: Path) -> str:
    """A secret shared with a service or a provider. Raises `SettingsError`."""
    try:
        secret = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: no secret can be read there") from error
    if len(secret) < LEAST_SECRET:
        raise SettingsError(f"{path}: a client secret has at least {LEAST_SECRET} characters")
    return secret


def signing_key(path: Path) -> ECKey:
    """The broker's ES256 key, made where there is none; its thumbprint is its `kid`. Raises `SettingsError`."""
    if not path.exists():
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_private(path, pem)
    content = read_private(path)
    try:
        kid = ECKey.import_key(content).thumbprint()
        key = ECKey.import_key(content, {"kid": kid, "use": "sig", "alg": "ES256"})
    except (JoseError, ValueError) as error:
        raise SettingsError(f"{path}: not a key in PEM") from error
    if key.curve_name != "P-256" or not key.is_private:
        raise SettingsError(f"{path}: not a private key on P-256")
    return key


def pseudonym_secret(path: Path, rng: Callable[[int], bytes]) -> str:
    """The secret of the pseudonyms, made where there is none. Raises `SettingsError`."""
    if not path.exists():
        write_private(path, rng(32).hex().encode())
    read_private(path)
    return client_secret(path)


def derived(secret: str, purpose: str) -> bytes:
    """32 bytes for one purpose."""
    return HKDF(SHA256(), 32, salt=None, info=f"alicem broker {purpose} key".encode()).derive(secret.encode())


@dataclass(frozen=True)
class EncryptionKey:
    """`alg`: the one algorithm it is used with. `until`: Unix time from which it is published no more; None: the newest of its algorithm."""

    alg: str
    key: RSAKey | ECKey
    made: int
    until: int | None = None

    def published(self, now: datetime) -> bool:
        return self.until is None or now.timestamp() < self.until

    def opens(self, now: datetime) -> bool:
        return self.until is None or now.timestamp() < self.until + _AFTER.total_seconds()


class EncryptionKeys:
    """`encryption_file`, read again when somebody rotated it."""

    def __init__(self, path: Path) -> None:
        self.path, self._mtime, self._keys = path, -1, list[EncryptionKey]()

    def all(self) -> list[EncryptionKey]:
        """Newest first. Raises `SettingsError`."""
        mtime = self.path.stat().st_mtime_ns if self.path.exists() else -1
        if mtime != self._mtime:
            self._keys, self._mtime = ([] if mtime == -1 else _parse(self.path)), mtime
        return self._keys

    def have(self, algorithms: Iterable[str], now: datetime) -> None:
        """Make a key for each algorithm that has none."""
        missing = {*algorithms} - {one.alg for one in self.all()}
        if missing:
            self._write([*(_made(alg, now) for alg in sorted(missing)), *self.all()])

    def rotate(self, now: datetime) -> None:
        """A new key for each algorithm; those before are published for `OVERLAP` longer; those that open no more go."""
        until = int((now + OVERLAP).timestamp())
        before = [replace(one, until=one.until or until) for one in self.all() if one.opens(now)]
        self._write([*(_made(alg, now) for alg in sorted({one.alg for one in before})), *before])

    def public(self, now: datetime) -> list[dict[str, Any]]:
        """RFC 7517, `use: enc`, newest first."""
        return [
            {**one.key.as_dict(private=False), "use": "enc", "alg": one.alg} for one in self.all() if one.published(now)
        ]

    def openers(self, alg: str, now: datetime) -> Mapping[str, RSAKey | ECKey]:
        """Private keys of an algorithm by `kid`."""
        return {str(one.key.kid): one.key for one in self.all() if one.alg == alg and one.opens(now)}

    def _write(self, keys: list[EncryptionKey]) -> None:
        rows = [
            {"alg": one.alg, "made": one.made, "until": one.until, "jwk": one.key.as_dict(private=True)} for one in keys
        ]
        new = self.path.with_name(f".{self.path.name}.new")
        new.unlink(missing_ok=True)
        write_private(new, json.dumps({"keys": rows}, indent=1).encode())
        new.replace(self.path)


def _made(alg: str, now: datetime) -> EncryptionKey:
    key = ECKey.generate_key("P-256") if alg == "ECDH-ES" else RSAKey.generate_key(_RSA_BITS)
    return EncryptionKey(alg, _with_kid(key.as_dict(private=True)), int(now.timestamp()))


def _with_kid(jwk: Any) -> RSAKey | ECKey:
    kind: type[RSAKey] | type[ECKey] = RSAKey if jwk["kty"] == "RSA" else ECKey
    return kind.import_key({**jwk, "kid": kind.import_key(jwk).thumbprint()})


def _parse(path: Path) -> list[EncryptionKey]:
    try:
        rows = json.loads(read_private(path))["keys"]
        return [EncryptionKey(row["alg"], _with_kid(row["jwk"]), row["made"], row["until"]) for row in rows]
    except (ValueError, KeyError, TypeError, JoseError) as error:
        raise SettingsError(f"{path}: not a file of encryption keys") from error


def read_private(path: Path) -> bytes:
    """A file that its owner alone may read. Raises `SettingsError`."""
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SettingsError(f"{path}: others may read or write it; chmod 600 {path}")
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error


def write_private(path: Path, content: bytes) -> None:
    """A new file of its owner's alone. Raises `SettingsError`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)

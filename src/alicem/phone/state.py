"""What the phone keeps (phone-state.md): a record readable without the code, and a vault only the code opens, with the server's help."""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from alicem.jose import b64, public_jwk, unb64
from alicem.phone.code import KDF

VERSION = 1
_INFO = b"alicem vault v1"
MOST_HISTORY = 500


class PhoneHasForgotten(Exception):
    """There is no state here, or not a whole one: enrol again, or come to an office."""


class UnknownVersion(Exception):
    """The state was written by another version; nothing was changed."""


@dataclass(frozen=True)
class Phone:
    """The record. `private` and `secret` are the software key kind's handle. `next_salt`: of a code that is being changed."""

    origin: str
    private: bytes
    secret: bytes
    salt: bytes
    account: str | None = None
    sequence: int = 0
    anchor: str = ""
    language: str = "fr"
    pending: str | None = None
    next_salt: bytes | None = None

    @property
    def device_key(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int.from_bytes(self.private, "big"), ec.SECP256R1())

    def to_json(self) -> dict[str, Any]:
        handle = {"kind": "software", "private": b64(self.private), "secret": b64(self.secret)}
        return {
            "version": VERSION,
            "origin": self.origin,
            "account": self.account,
            "sequence": self.sequence,
            "salt": b64(self.salt),
            "kdf": KDF,
            "device_key": {**handle, "public": public_jwk(self.device_key.public_key())},
            "anchor": self.anchor,
            "language": self.language,
            "pending": self.pending,
            "next_salt": None if self.next_salt is None else b64(self.next_salt),
        }

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Phone:
        if tree["version"] != VERSION or tree["kdf"] != KDF or tree["device_key"]["kind"] != "software":
            raise UnknownVersion("this state was written by another version")
        return cls(
            origin=tree["origin"],
            private=unb64(tree["device_key"]["private"]),
            secret=unb64(tree["device_key"]["secret"]),
            salt=unb64(tree["salt"]),
            account=tree["account"],
            sequence=tree["sequence"],
            anchor=tree["anchor"],
            language=tree["language"],
            pending=tree.get("pending"),
            next_salt=unb64(tree["next_salt"]) if tree.get("next_salt") else None,
        )


def new_phone(origin: str, language: str, rng: Callable[[int], bytes]) -> Phone:
    """A phone that is not enrolled yet, with a device key of the software kind."""
    private = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value.to_bytes(32, "big")
    return Phone(origin=origin, private=private, secret=rng(32), salt=rng(32), language=language)


class Storage:
    """A folder with `phone.json` and `vault.bin`, mode 0600, each replaced as a whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def load(self) -> Phone:
        """Raises `PhoneHasForgotten`, `UnknownVersion`."""
        try:
            tree = json.loads((self._folder / "phone.json").read_bytes())
            return Phone.from_json(tree)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PhoneHasForgotten("no usable phone.json") from error

    def save(self, phone: Phone) -> None:
        self._replace("phone.json", json.dumps(phone.to_json(), indent=1).encode())

    def next_sequence(self, phone: Phone) -> Phone:
        """The record with its next instruction number, on disk before the number is used."""
        phone = replace(phone, sequence=phone.sequence + 1)
        self.save(phone)
        return phone

    def load_vault(self) -> bytes:
        try:
            return (self._folder / "vault.bin").read_bytes()
        except OSError as error:
            raise PhoneHasForgotten("no vault") from error

    def save_vault(self, sealed: bytes) -> None:
        self._replace("vault.bin", sealed)

    def enrolled(self) -> bool:
        """Whether there is a vault: an identity to open."""
        return (self._folder / "vault.bin").exists()

    def wipe(self) -> None:
        for name in ("vault.bin", "phone.json"):
            (self._folder / name).unlink(missing_ok=True)

    def _replace(self, name: str, data: bytes) -> None:
        temporary = self._folder / f".{name}.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.rename(self._folder / name)


def seal_vault(phone: Phone, share: bytes, content: dict[str, Any], rng: Callable[[int], bytes]) -> bytes:
    nonce = rng(12)
    plain = json.dumps({"version": VERSION, **content}, ensure_ascii=False).encode()
    return bytes([VERSION]) + nonce + _cipher(phone, share).encrypt(nonce, plain, _INFO)


def open_vault(phone: Phone, share: bytes, sealed: bytes) -> dict[str, Any]:
    """Raises `PhoneHasForgotten` where vault, device secret and share do not belong together."""
    if sealed[:1] != bytes([VERSION]):
        raise UnknownVersion("this vault was written by another version")
    try:
        tree = json.loads(_cipher(phone, share).decrypt(sealed[1:13], sealed[13:], _INFO))
    except (InvalidTag, ValueError) as error:
        raise PhoneHasForgotten("the vault does not open") from error
    return dict(tree)


def _cipher(phone: Phone, share: bytes) -> AESGCM:
    mixed = hmac.digest(phone.secret, share, "sha256")
    return AESGCM(HKDF(SHA256(), 32, None, _INFO).derive(mixed))

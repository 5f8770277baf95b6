"""The key ring: which key signs or encrypts now, and which may still verify or decrypt. Where it is kept is `file`'s business."""

from __future__ import annotations

import base64
import hmac
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from alicem.jose import Signer
from alicem.keys.purposes import PURPOSES


class KeysError(Exception):
    """The key file, the master key or a key is missing, wrong, damaged or over."""


class KeyRefused(KeysError):
    """The ring is well, and what was asked of it may not be done."""


class KeyEnded(KeysError):
    """The key in use is past its `use_by`, and strangers rely on that day."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """`used_from`: when it takes over, None while it waits for its certificate. `use_by`: no new signature or ciphertext after it.
    `retired`: since then it makes nothing, and what it can do is gone from the ring."""

    kid: str
    purpose: str
    created: datetime
    used_from: datetime | None
    use_by: datetime | None
    retired: datetime | None = None

    def over(self, now: datetime) -> bool:
        return self.use_by is not None and self.use_by <= now


@dataclass(frozen=True, kw_only=True)
class SigningKey(Key):
    """An ES256 key. `x5c`: DER certificates, leaf first, then the authority's. `compromised`: what it signed is believed no more."""

    private: Signer = field(repr=False)
    x5c: tuple[bytes, ...] = field(default=(), repr=False)
    compromised: bool = False

    @property
    def x5c_header(self) -> list[str]:
        """RFC 7515 §4.1.6: standard base64 of each certificate."""
        return [base64.b64encode(one).decode() for one in self.x5c]


@dataclass(frozen=True, kw_only=True)
class SecretKey(Key):
    """`value`: 32 bytes; none where the key is in a token, which computes `outside`."""

    value: bytes = field(repr=False)
    outside: Callable[[bytes], bytes] | None = field(default=None, repr=False)

    def mac(self, data: bytes) -> bytes:
        """HMAC-SHA-256. Raises `KeysError` where its token does not answer."""
        return hmac.digest(self.value, data, "sha256") if self.outside is None else self.outside(data)


@dataclass(frozen=True)
class PublicPart:
    """What is here of a signing key that was retired, or that is in a token which is not at hand."""

    public: ec.EllipticCurvePublicKey
    in_token: bool = False

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self.public

    def sign(self, data: bytes, signature_algorithm: ec.ECDSA) -> NoReturn:
        raise KeysError("a key in a token that keys.token does not name" if self.in_token else "a retired key")


AnyKey = TypeVar("AnyKey", bound=Key)


class KeyRing(ABC):
    """Which key is in use, and which count. One of each purpose is in use; all verify and decrypt until they are retired, signatures even then."""

    @abstractmethod
    def held(self) -> Keys:
        """The keys of this moment."""

    def signing(self, purpose: str, now: datetime) -> SigningKey:
        """The key that signs. Raises `KeysError`, `KeyEnded`."""
        key = in_use(self.signing_all(purpose), purpose, now)
        if PURPOSES[purpose].ends and key.over(now):
            raise KeyEnded(f"{key.kid} ended on {key.use_by:%Y-%m-%d}; run `alicem keys rotate {purpose}`")
        return key

    def secret(self, purpose: str, now: datetime) -> SecretKey:
        """The key that encrypts, tags or fingerprints. Raises `KeysError`."""
        return in_use(self.secret_all(purpose), purpose, now)

    def signing_all(self, purpose: str) -> tuple[SigningKey, ...]:
        """Whose signatures are believed, newest first. A compromised journal key stays: its seals are held against checkpoints kept elsewhere."""
        named = (key for key in self.held().signing_keys if key.purpose == purpose)
        return tuple(key for key in named if not key.compromised or purpose == "journal")

    def secret_all(self, purpose: str) -> tuple[SecretKey, ...]:
        """What decrypts and recognises, newest first."""
        return tuple(key for key in self.held().secret_keys if key.purpose == purpose and key.retired is None)

    def living(self, purpose: str) -> tuple[SigningKey | SecretKey, ...]:
        """Every key of a purpose that was not retired, newest first."""
        return (*self.published(purpose), *self.secret_all(purpose))

    def published(self, purpose: str) -> tuple[SigningKey, ...]:
        """What strangers are told to believe: the key to come too, the retired no more."""
        return tuple(key for key in self.signing_all(purpose) if key.retired is None)


@dataclass(frozen=True)
class Keys(KeyRing):
    """A ring that does not change. Newest first within a purpose."""

    signing_keys: tuple[SigningKey, ...]
    secret_keys: tuple[SecretKey, ...]

    def held(self) -> Keys:
        return self

    @property
    def every(self) -> tuple[SigningKey | SecretKey, ...]:
        return (*self.signing_keys, *self.secret_keys)


def in_use(keys: Sequence[AnyKey], purpose: str, now: datetime) -> AnyKey:
    """The last that has begun, past its end or not. Raises `KeysError` where there is none."""
    oldest_first = (key for key in reversed(keys) if key.retired is None and key.used_from is not None)
    waiting = sorted(oldest_first, key=_begins)
    if not waiting:
        raise KeysError(f"the key ring has no {purpose} key in use; run `alicem keys rotate {purpose}`")
    begun = [key for key in waiting if _begins(key) <= now]
    return begun[-1] if begun else waiting[0]  # a clock that was set back stops nobody


def _begins(key: Key) -> datetime:
    return key.used_from or key.created

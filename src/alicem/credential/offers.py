"""Credential offers that wait for their phone: in memory alone, for five minutes, each taken once (OpenID4VCI 1.0 §4).

The evidence of a person lives here between the last step and the issuing, and nowhere else.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sqlalchemy import Connection

from alicem import jose
from alicem.evidence import Evidence, Level
from alicem.jose import BadToken

LIFE = timedelta(minutes=5)
_MOST = 10_000


class TooManyOffers(Exception):
    """More offers wait than a worker may hold."""


@dataclass(frozen=True)
class Offer:
    """`on_issue` runs in the issuing transaction with the status index; `issued` after it is durable."""

    evidence: Evidence
    holder: EllipticCurvePublicKey
    on_issue: Callable[[Connection, int], None]
    issued: Callable[[], None]


@dataclass(frozen=True)
class Copy:
    """Of the credential of a phone, which showed it whole, for the key of a foreign wallet. Both have one status: what ends the phone's ends the copy."""

    claims: Mapping[str, Any] = field(repr=False)
    level: Level
    specimen: bool
    expires: int
    status_index: int


class Offers:
    """Pre-authorized codes, then access tokens and nonces; all one-time."""

    def __init__(self, clock: Callable[[], datetime], rng: Callable[[int], bytes]) -> None:
        self._clock, self._rng = clock, rng
        self._by_code: dict[bytes, tuple[datetime, Offer | Copy]] = {}
        self._by_token: dict[bytes, tuple[datetime, Offer | Copy]] = {}
        self._key = rng(32)
        self._spent: dict[str, datetime] = {}

    def add(self, offer: Offer | Copy) -> str:
        """The pre-authorized code for this offer."""
        return self._put(self._by_code, offer)

    def redeem(self, code: str) -> str | None:
        """An access token for a code, once."""
        found = self._by_code.pop(_digest(code), None)
        if found is None or found[0] < self._clock():
            return None
        return self._put(self._by_token, found[1])

    def peek(self, token: str) -> Offer | Copy | None:
        found = self._by_token.get(_digest(token))
        return found[1] if found is not None and found[0] >= self._clock() else None

    def take(self, token: str) -> Offer | Copy | None:
        """The offer of an access token, once."""
        offer = self.peek(token)
        self._by_token.pop(_digest(token), None)
        return offer

    def nonce(self) -> str:
        """For anybody who asks (OpenID4VCI 1.0 §7), so none is kept: it says itself until when it is good."""
        until = int((self._clock() + LIFE).timestamp()).to_bytes(4, "big")
        value = until + self._rng(12)
        return jose.b64(value + self._tag(value))

    def take_nonce(self, nonce: str) -> bool:
        """Whether it is ours, still good, and taken for the first time. Only who holds an access token comes so far."""
        try:
            data = jose.unb64(nonce)
        except BadToken:
            return False
        value, now = data[:16], self._clock()
        until = datetime.fromtimestamp(int.from_bytes(value[:4], "big"), UTC)
        if not hmac.compare_digest(self._tag(value), data[16:]) or until < now or nonce in self._spent:
            return False
        self._sweep()
        self._spent[nonce] = until
        return True

    def _tag(self, value: bytes) -> bytes:
        return hmac.digest(self._key, value, hashlib.sha256)[:16]

    def _put(self, table: dict[bytes, tuple[datetime, Offer | Copy]], offer: Offer | Copy) -> str:
        self._sweep()
        value = jose.b64(self._rng(32))
        table[_digest(value)] = (self._clock() + LIFE, offer)
        return value

    def _sweep(self) -> None:
        now = self._clock()
        for table in (self._by_code, self._by_token):
            for key in [key for key, (until, _) in table.items() if until < now]:
                del table[key]
        for nonce in [nonce for nonce, until in self._spent.items() if until < now]:
            del self._spent[nonce]
        if max(len(self._by_code), len(self._by_token), len(self._spent)) >= _MOST:
            raise TooManyOffers("come back in a minute")


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()

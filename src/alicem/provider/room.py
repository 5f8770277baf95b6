"""What the provider works with: its settings, store, keys, clients, clock, randomness and pages. `alicem/app.py` makes it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from alicem import jose
from alicem.enrolment.pool import Pool
from alicem.evidence import Level
from alicem.keys import KeyRing, SigningKey
from alicem.limits import Limit
from alicem.provider.client_keys import ClientKeys
from alicem.provider.clients import Client
from alicem.provider.waiting import Waiting
from alicem.settings import Settings
from alicem.store import Store
from alicem.web.pages import Pages

Clock = Callable[[], datetime]
Random = Callable[[int], bytes]

SIGNIN_LIFE = timedelta(minutes=5)
CODE_LIFE = timedelta(seconds=30)
TOKEN_LIFE = timedelta(minutes=2)
"""Single use besides. Not a minute: Authlib takes a token for expired one minute before it is."""
ID_TOKEN_LIFE = timedelta(minutes=5)


@dataclass(frozen=True)
class Provider:
    """`chips`: processes that read a document again at a sign-in; None where none is read."""

    settings: Settings
    store: Store
    ring: KeyRing
    clients: Mapping[str, Client]
    clock: Clock
    rng: Random
    pages: Pages
    chips: Pool | None = None
    waiting: Waiting = field(default_factory=Waiting)

    @property
    def issuer(self) -> str:
        """`iss` everywhere; equal to discovery's byte for byte."""
        return self.settings.service.origin

    @property
    def reachable(self) -> Level:
        """The highest level a sign-in can prove here. Device key and code give substantial; high needs the chip read again."""
        return Level.SUBSTANTIAL if self.chips is None else Level.HIGH

    @cached_property
    def address_limit(self) -> Limit:
        return self._limit("sign-ins of an address", self.settings.limits.sign_ins_per_minute_and_address)

    @cached_property
    def client_limit(self) -> Limit:
        return self._limit("sign-ins of a client", self.settings.limits.sign_ins_per_minute_and_client)

    @cached_property
    def token_failures(self) -> Limit:
        return self._limit("token failures", self.settings.limits.token_failures_per_minute_and_client)

    def _limit(self, thing: str, most: int) -> Limit:
        return Limit(self.store, self.ring, self.clock, thing, most=most, seconds=60)

    @cached_property
    def phone_limit(self) -> Limit:
        """Of what phones fetch, answer and read."""
        return self._limit("requests of sign-ins", self.settings.limits.instructions_per_minute_and_address)

    def transaction_secret(self, now: datetime) -> bytes:
        """What makes references, states and response keys now."""
        return self.ring.secret("transaction", now).value

    @property
    def transaction_secrets(self) -> tuple[bytes, ...]:
        """Those of which they are recognised."""
        return tuple(key.value for key in self.ring.secret_all("transaction"))

    @cached_property
    def client_keys(self) -> ClientKeys:
        """The public keys that clients publish at addresses of theirs."""
        return ClientKeys(self.clock)


def verifier_id(key: SigningKey) -> str:
    """`client_id` towards phones (OpenID4VP 1.0 §5.9.3, `x509_hash`)."""
    return "x509_hash:" + jose.b64(hashlib.sha256(key.x5c[0]).digest())

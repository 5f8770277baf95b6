"""Everything the broker's endpoints need, put together once in `app`."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import httpx
from joserfc.jwk import ECKey

from alicem.broker.claims import Identity
from alicem.broker.folder import Folder
from alicem.broker.keys import EncryptionKeys
from alicem.broker.limits import Limit
from alicem.broker.post import Post
from alicem.broker.providers import Provider
from alicem.broker.pseudonym import identity_hash
from alicem.broker.rnipp import Register
from alicem.broker.service_keys import ServiceKeys
from alicem.broker.services import Service
from alicem.broker.settings import BrokerSettings
from alicem.store import Store
from alicem.web.pages import Pages

PARIS = ZoneInfo("Europe/Paris")
SIGN_IN_LIVES = 900
CODE_LIVES = 30
TOKEN_LIVES = 60
"""Seconds."""


@dataclass(frozen=True)
class Parts:
    settings: BrokerSettings
    service_files: Folder[Service]
    provider_files: Folder[Provider]
    store: Store
    key: ECKey
    encryption: EncryptionKeys
    pseudonyms: str
    """The secret of the pseudonyms."""
    history_key: bytes
    register: Register
    pages: Pages
    client: httpx.AsyncClient
    service_keys: ServiceKeys
    arrivals: Limit
    """Sign-ins begun by one address."""
    failures: Limit
    """Services that one address failed to be."""
    post: Post
    """The letters that wait to leave."""
    clock: Callable[[], datetime]
    rng: Callable[[int], bytes]

    @property
    def services(self) -> Mapping[str, Service]:
        """By client_id, as their files say now."""
        return self.service_files.all()

    @property
    def providers(self) -> Mapping[str, Provider]:
        """By name, as their files say now."""
        return self.provider_files.all()

    @property
    def issuer(self) -> str:
        return self.settings.origin

    def callback(self, provider: Provider) -> str:
        """The one address a provider knows, whatever the service; another for each provider (RFC 9700 §4.4.2.2)."""
        return f"{self.settings.origin}/callback/{provider.name}"

    def person(self, identity: Identity) -> str:
        """What history and blocks are kept under: a keyed hash, so that the database alone tells of nobody."""
        return hmac.digest(self.history_key, identity_hash(identity).encode(), "sha256").hex()

    def today(self) -> date:
        """In France."""
        return self.clock().astimezone(PARIS).date()

    def now(self) -> int:
        return int(self.clock().timestamp())

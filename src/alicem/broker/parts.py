"""Everything the broker's endpoints need, put together once in `app`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import httpx
from joserfc.jwk import ECKey

from alicem.broker.folder import Folder
from alicem.broker.keys import EncryptionKeys
from alicem.broker.providers import Provider
from alicem.broker.rnipp import Register
from alicem.broker.services import Service
from alicem.broker.settings import BrokerSettings
from alicem.store import Store
from alicem.web.pages import Pages

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
    register: Register
    pages: Pages
    client: httpx.AsyncClient
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

    def now(self) -> int:
        return int(self.clock().timestamp())

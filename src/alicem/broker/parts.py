"""Everything the broker's endpoints need, put together once in `app`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import httpx
from joserfc.jwk import ECKey

from alicem.broker.rnipp import Register
from alicem.broker.settings import BrokerSettings, Provider, Service
from alicem.store import Store
from alicem.web.pages import Pages

SIGN_IN_LIVES = 900
CODE_LIVES = 30
TOKEN_LIVES = 60
"""Seconds."""


@dataclass(frozen=True)
class Parts:
    settings: BrokerSettings
    services: Mapping[str, Service]
    providers: Mapping[str, Provider]
    store: Store
    key: ECKey
    pseudonyms: str
    """The secret of the pseudonyms."""
    register: Register
    pages: Pages
    client: httpx.AsyncClient
    clock: Callable[[], datetime]
    rng: Callable[[int], bytes]

    @property
    def issuer(self) -> str:
        return self.settings.origin

    @property
    def callback(self) -> str:
        """The one address every provider knows, whatever the service."""
        return f"{self.settings.origin}/callback"

    def now(self) -> int:
        return int(self.clock().timestamp())

"""The keys a service publishes: to verify its assertions, and to encrypt to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from alicem.broker.messages import Opener, public_keys
from alicem.broker.relying import ProviderFault, fetch
from alicem.broker.services import Service

KEPT = 600
"""Seconds a JWKS is kept; a `kid` that it lacks has it fetched again, once in `AGAIN` seconds."""
AGAIN = 10


class NoKey(Exception):
    """The service publishes no key for this use and algorithm, or its keys cannot be fetched."""


class ServiceKeys:
    """`clock`: Unix time."""

    def __init__(self, client: httpx.AsyncClient, clock: Callable[[], int]) -> None:
        self._client, self._clock = client, clock
        self._fetched: dict[str, tuple[int, Mapping[str, Any]]] = {}

    async def of(self, service: Service, use: str, alg: str, kid: str | None = None) -> dict[str, Opener]:
        """By `kid`; the one named where one is. Raises `NoKey`."""
        found = public_keys(await self._jwks(service, KEPT), use, alg)
        if not found or (kid is not None and kid not in found):
            found = public_keys(await self._jwks(service, AGAIN), use, alg)
        if not found:
            raise NoKey
        return found

    async def _jwks(self, service: Service, oldest: int) -> Mapping[str, Any]:
        if service.file.jwks_uri is None:
            return service.keys or {}
        at, known = self._fetched.get(service.file.jwks_uri, (-KEPT, {}))
        if self._clock() - at >= oldest:
            known = await self._fetch(service.file.jwks_uri)
            self._fetched[service.file.jwks_uri] = self._clock(), known
        return known

    async def _fetch(self, address: str) -> Mapping[str, Any]:
        try:
            tree = json.loads((await fetch(self._client, "GET", address)).content)
        except (ProviderFault, ValueError, RecursionError) as error:
            raise NoKey from error
        return tree if isinstance(tree, dict) else {}

"""Single sign-on: a browser recognised at `eidas2` is recognised for ten minutes more, at `eidas2` and never above.

What is kept for it is sealed to the browser's cookie. The person sees the information page again before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection

from alicem.broker import kept, records
from alicem.broker.parts import Parts
from alicem.broker.providers import Provider
from alicem.broker.requests import ServiceRequest
from alicem.broker.sealing import DoesNotOpen, fingerprint
from alicem.broker.services import Service
from alicem.broker.under_way import Held

LEVEL = "eidas2"
LIVES = 600
"""Seconds since the person was asked."""
_PURPOSE = "single sign-on"

_Rule = Callable[[ServiceRequest, Held, Provider, Service], bool]

RULES: tuple[tuple[str, _Rule], ...] = (
    ("what is asked is eidas2", lambda asked, _, __, ___: asked.level == LEVEL),
    ("what was proven is eidas2", lambda _, held, __, ___: held.level == LEVEL),
    ("the service does not want the person asked anew", lambda asked, _, __, ___: not asked.anew),
    ("the service admits the provider", lambda _, __, provider, service: service.admits(provider.name)),
    ("the provider still gives the level", lambda _, held, provider, __: held.level in provider.file.levels),
    ("the provider is still there", lambda _, __, provider, ___: not provider.file.coming),
)


async def remember(parts: Parts, cookie: str, provider: str, held: Held) -> None:
    """After a sign-in that the person sent: recognise the browser, or, at another level, recognise it no more."""
    expires = min(held.auth_time, parts.now()) + LIVES
    sealed = held.sealed(cookie, f"{_PURPOSE} {provider}", parts.rng)

    def write(connection: Connection) -> None:
        if held.level == LEVEL:
            records.remember(connection, fingerprint(cookie), expires, provider, sealed)
        else:
            records.forget(connection, fingerprint(cookie))

    if held.anew:
        await parts.store.write(write)


async def recall(parts: Parts, cookie: str, asked: ServiceRequest, service: Service) -> tuple[Provider, Held] | None:
    """Who this browser is recognised as, if that does for this request."""
    found = await session(parts, cookie)
    if found is None:
        return None
    provider, held = found
    if not all(holds(asked, held, provider, service) for _, holds in RULES):
        return None
    person = parts.person(held.identity)
    if provider.name in await parts.store.read(lambda connection: kept.blocked(connection, person)):
        return None
    return provider, replace(held, anew=False)


async def session(parts: Parts, cookie: str) -> tuple[Provider, Held] | None:
    """Whom this browser is recognised as, and through whom."""
    now, digest = parts.now(), fingerprint(cookie)
    row = await parts.store.read(lambda connection: records.recall(connection, now, digest)) if cookie else None
    return None if row is None else _opened(parts, cookie, *row)


async def forget(parts: Parts, cookie: str) -> tuple[Provider, Held] | None:
    """Recognise this browser no more; whom it was recognised as."""
    row = (
        await parts.store.write(lambda connection: records.forget(connection, fingerprint(cookie))) if cookie else None
    )
    return None if row is None else _opened(parts, cookie, *row)


def _opened(parts: Parts, cookie: str, name: str, sealed: bytes) -> tuple[Provider, Held] | None:
    provider = parts.providers.get(name)
    if provider is None:
        return None
    try:
        return provider, Held.opened(cookie, f"{_PURPOSE} {name}", sealed)
    except DoesNotOpen:
        return None

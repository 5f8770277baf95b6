"""What a waiting page is told, as server-sent events (HTML Living Standard §9.2).

`reference` {link, qr}: a new QR code. `approved` {url}, `refused` {url, reason}: go there. `replaced` {url}: this browser began another sign-in.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime

from alicem.provider import records, references, signing_in
from alicem.provider.records import APPROVED, WAITING, Signin
from alicem.provider.room import Provider

_LOOK = 2.0  # seconds between looks at the database: what another worker received is seen then
_LIFE = 55.0  # seconds of one stream; the browser comes back by itself (§9.2.3), proxies cut longer ones
_RETRY = "retry: 1000\n\n"


async def stream(provider: Provider, name: str) -> AsyncIterator[str]:
    """Events of one sign-in until it ends or the stream has lived."""
    woken = provider.waiting.enter(name)
    try:
        yield _RETRY
        ends = asyncio.get_running_loop().time() + _LIFE
        told: int | None = None
        while asyncio.get_running_loop().time() < ends:
            woken.clear()
            now = provider.clock()
            end = _end(await provider.store.look_up(lambda c: records.find_signin(c, name)), name, now)
            if end is not None:
                yield end
                return
            slot = int(now.timestamp()) // references.SLOT
            if slot != told:
                told = slot
                yield _reference(provider, name, now)
            await _sleep(woken)
    finally:
        provider.waiting.leave(name, woken)


async def replaced() -> AsyncIterator[str]:
    """For a page whose cookie now speaks for another sign-in, or none."""
    yield _event("replaced", url="/signin")


def _end(signin: Signin | None, name: str, now: datetime) -> str | None:
    if signin is None:
        return _event("replaced", url="/signin")
    there = f"/signin/continue?t={name}"
    if signin.outcome == WAITING:
        return None if signin.alive(now) else _event("refused", url=there, reason="signin_expired")
    if signin.outcome == APPROVED:
        return _event("approved", url=there)
    return _event("refused", url=there, reason=signin.outcome)


def _reference(provider: Provider, name: str, now: datetime) -> str:
    link, qr = signing_in.link(provider, name, now), signing_in.qr_address(provider, name, now)
    return _event("reference", link=link, qr=qr)


def _event(name: str, **data: str) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


async def _sleep(woken: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(woken.wait(), _LOOK)
    except TimeoutError:
        return

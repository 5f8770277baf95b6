"""What recurs while the broker runs: what has expired goes, letters leave, a provider that begins to encrypt finds a key."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from functools import partial

import structlog
from sqlalchemy.exc import SQLAlchemyError

from alicem.broker import kept, records
from alicem.broker.parts import Parts
from alicem.broker.providers import Provider
from alicem.settings import SettingsError

PAUSE = 30.0
"""Seconds between rounds; a letter that comes begins one."""

log = structlog.get_logger("broker")


async def attend(parts: Parts) -> None:
    """Until it is cancelled."""
    came = asyncio.Event()
    parts.post.wake = partial(asyncio.get_running_loop().call_soon_threadsafe, came.set)
    while True:
        came.clear()
        try:
            await once(parts)
        except (SQLAlchemyError, SettingsError, OSError) as error:
            log.error("a round failed", error=type(error).__name__)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(came.wait(), PAUSE)


async def once(parts: Parts) -> None:
    """One round."""
    now = parts.now()
    await parts.store.write(lambda connection: records.expire(connection, now))
    await parts.store.write(lambda connection: kept.expire(connection, now))
    await asyncio.to_thread(parts.encryption.have, encrypting(parts.providers.values()), parts.clock())
    await parts.post.deliver(parts.store, now)


def encrypting(providers: Iterable[Provider]) -> set[str]:
    """The algorithms that providers encrypt to us with."""
    return {one.file.encryption_alg for one in providers if one.file.encryption_alg is not None}

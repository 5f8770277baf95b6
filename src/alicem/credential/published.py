"""The signed status lists as strangers fetch them: kept by each worker, made anew when the database says that one changed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from alicem.credential import records, status
from alicem.keys import KeyRing
from alicem.store import Store

_REST = timedelta(milliseconds=500)
"""A list is made at most twice a second, however often it changes: what changed is still out within the second."""


@dataclass(frozen=True)
class Published:
    """`etag`: of what the list says and of the time its token speaks for, the same from every worker."""

    token: str
    etag: str
    at: datetime


class StatusLists:
    """The lists of one worker. Another worker's change is seen by the version in the database, asked at each request."""

    def __init__(self, store: Store, ring: KeyRing, origin: str, clock: Callable[[], datetime]) -> None:
        self._store, self._ring, self._origin, self._clock = store, ring, origin, clock
        self._lists: dict[int, Published] = {}
        self._making: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, number: int) -> Published | None:
        """The list, never older than half a second than its last change; None where there is no such list."""
        kept, now = self._lists.get(number), self._clock()
        if kept is not None and abs(now - kept.at) < _REST:
            return kept
        version = await self._version(number)
        if version is None:
            return None
        if kept is not None and kept.etag == _etag(version, now):
            return kept
        async with self._making[number]:
            return await self._current(number)

    async def _current(self, number: int) -> Published | None:
        """Who waited while another made it finds it made."""
        version, now, kept = await self._version(number), self._clock(), self._lists.get(number)
        if version is not None and (kept is None or kept.etag != _etag(version, now)):
            kept = self._lists[number] = await self._store.read(lambda c: self._made(c, number, version, now))
        return kept

    async def _version(self, number: int) -> int | None:
        if number >= status.MOST_LISTS:
            return None
        return await self._store.look_up(lambda c: records.version_of(c, number))

    def _made(self, connection: Connection, number: int, version: int, now: datetime) -> Published:
        """What changed since `version` was read is in it already, and makes it once more."""
        key = self._ring.signing("status", now)
        token = status.status_list(connection, number, key, self._origin, now)
        return Published(token, _etag(version, now), now)

    async def numbers(self) -> range:
        newest = await self._store.look_up(records.newest_list)
        return range(0 if newest is None else newest + 1)


def _etag(version: int, now: datetime) -> str:
    """A token lives two terms and is replaced each term: whoever hears that nothing changed holds one that is good for another term."""
    return f'W/"{version}.{int(now.timestamp()) // status.TTL}"'

"""How often somebody may do a thing in a while, over all workers of one database.

A worker lets a sixteenth of it pass by itself; what is more it takes from the database, a sixteenth at a time. So whoever asks as often as
people do costs no transaction and leaves no row, and whoever asks more often is held to the limit, and to a sixteenth more for each worker.
A limit of less than sixteen is counted in the database alone, exactly.
Nobody can be read out of a row: it is found by a keyed hash of the thing, of who does it and of the while, which the next while makes anew.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, Integer, LargeBinary, Table, bindparam, delete
from sqlalchemy.dialects.postgresql import insert

from alicem.keys import KeyRing
from alicem.store import Int64, Prepared, Store, metadata

_MOST_KNOWN = 50_000
"""How many a worker remembers in one while; of those before it forgets that they are over, and the database does not."""

limits = Table(
    "limits",
    metadata,
    Column("key", LargeBinary, primary_key=True, comment="keyed hash of the thing, of who does it, and of the while"),
    Column("count", Integer, nullable=False, comment="how often, as far as a worker asked"),
    Column("ends", Int64, nullable=False, index=True, comment="Unix time"),
)

_NEW = insert(limits)
_TAKE = Prepared(
    _NEW.on_conflict_do_update(
        index_elements=[limits.c.key],
        set_={"count": limits.c.count + _NEW.excluded.count},
        where=limits.c.count + _NEW.excluded.count <= bindparam("most", type_=Integer),
    ).returning(limits.c.count),
    "key",
    "count",
    "ends",
)


def expire(connection: Connection, now: datetime) -> None:
    """Erase what is over. For a job, every minute."""
    connection.execute(delete(limits).where(limits.c.ends <= int(now.timestamp())))


@dataclass(frozen=True)
class While:
    """One window of time of one limit, and what finds its rows. `ends`: Unix time."""

    secret: bytes
    ends: int

    def key(self, who: str) -> bytes:
        return hmac.digest(self.secret, who.encode(), "sha256")[:16]

    def take(self, connection: Connection, key: bytes, much: int, most: int) -> bool:
        """Count so much for all workers, if that is not more than `most`. Whether it was counted."""
        row = _TAKE.first(connection, key=key, count=much, ends=self.ends, most=most) if much <= most else None
        return row is not None


def while_of(ring: KeyRing, thing: str, seconds: int, now: datetime) -> While:
    """The window that this moment is in."""
    begun = int(now.timestamp()) // seconds
    named = f"alicem limit v1 {thing} {begun}".encode()
    return While(ring.secret("transaction", now).mac(named), (begun + 1) * seconds)


def counted(
    connection: Connection, ring: KeyRing, thing: str, who: str, *, most: int, seconds: int, now: datetime
) -> bool:
    """Count once, exactly, in a transaction that writes anyway; whether it is still within the limit."""
    window = while_of(ring, thing, seconds, now)
    return window.take(connection, window.key(who), 1, most)


@dataclass
class _Share:
    """What a worker gave of what it may give. `owed`: given, and not in the database yet."""

    granted: int
    owed: int
    used: int = 0
    over: bool = False


class Limit:
    """At most `most` times in each window of `seconds`. `thing`: its name, one for each limit."""

    def __init__(
        self, store: Store, ring: KeyRing, clock: Callable[[], datetime], thing: str, *, most: int, seconds: int
    ) -> None:
        self._store, self._ring, self._clock, self._thing = store, ring, clock, thing
        self._most, self._seconds, self._free = most, seconds, most // 16
        self._shares: OrderedDict[bytes, _Share] = OrderedDict()
        self._now: While | None = None

    async def admits(self, who: str) -> bool:
        """Count once; whether it is still within the limit. An error of the database goes to whoever asks: nobody passes uncounted."""
        window = self._window()
        key = window.key(who)
        share = self._share(key)
        if share.used >= share.granted and not share.over:
            await self._take(window, key, share)
        if share.over:
            return False
        share.used += 1
        return True

    def over(self, who: str) -> bool:
        """Whether this worker was told so already. Counts nothing and asks nobody."""
        share = self._shares.get(self._window().key(who))
        return share is not None and share.over

    def retry_after(self) -> dict[str, str]:
        """The header of an answer to somebody who asks too often (RFC 9110 §10.2.3)."""
        return {"Retry-After": str(max(1, self._window().ends - int(self._clock().timestamp())))}

    def _window(self) -> While:
        now = self._clock()
        if self._now is None or not 0 < self._now.ends - now.timestamp() <= self._seconds:
            self._now = while_of(self._ring, self._thing, self._seconds, now)
            self._shares.clear()
        return self._now

    def _share(self, key: bytes) -> _Share:
        share = self._shares.get(key)
        if share is None:
            share = self._shares[key] = _Share(granted=self._free, owed=self._free)
            if len(self._shares) > _MOST_KNOWN:
                self._shares.popitem(last=False)
        else:
            self._shares.move_to_end(key)
        return share

    async def _take(self, window: While, key: bytes, share: _Share) -> None:
        """A further sixteenth, or one if there is no more left."""
        owed, share.owed = share.owed, 0
        for much in (max(1, self._free), 1):
            if await self._store.write(lambda c, much=much: window.take(c, key, owed + much, self._most)):  # type: ignore[misc]
                share.granted += much
                return
        share.over = True

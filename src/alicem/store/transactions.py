"""Durable transactions for asynchronous callers, on SQLite or PostgreSQL.

Rooms write plain functions that take a `Connection`; `Store.write` runs one as a transaction and returns only when it is on disk.
A function may be run again from its beginning (see `writers`): it changes nothing but the database.

What is deleted: SQLite overwrites it (`secure_delete`), and its log at the next checkpoint. PostgreSQL keeps a dead row in its
files until VACUUM, which autovacuum runs by itself, and in its log and the operator's archives of it as long as these are kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from alicem.store.engine import LOOKERS, READERS, WRITERS, connect
from alicem.store.writers import GroupLooker, GroupWriter, OptimisticWriter, Parallel, run

T = TypeVar("T")


class Store:
    """One database.

    `url` is SQLAlchemy's, for instance `sqlite:////var/lib/alicem/alicem.db` or `postgresql+psycopg://alicem@/alicem`.
    """

    def __init__(self, url: str) -> None:
        self.engine = connect(url)
        self._in_a_file = self.engine.dialect.name == "sqlite"
        snapshots = self.engine if self._in_a_file else self.engine.execution_options(isolation_level="REPEATABLE READ")
        self._reader = Parallel(snapshots, READERS)
        self._writer = GroupWriter(self.engine) if self._in_a_file else OptimisticWriter(self.engine, WRITERS)
        self._looker = None if self._in_a_file else GroupLooker(connect(url, looks=True), LOOKERS)
        self._lookups: Connection | None = None
        self._looking_up = threading.Lock()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` as one transaction; what it did is durable when this returns. What it raises undoes it."""
        return await self._writer.do(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one moment of the database; whatever it writes is rolled back. A row it reads is not held for it."""
        return await self._reader.do(work)

    async def look_up(self, work: Callable[[Connection], T]) -> T:
        """`read` for a row or two by their key, cheap enough for every request.

        On SQLite it runs here and now, on a connection of its own: a reader never waits for a writer there (WAL), and a thread
        would cost several times the read. On PostgreSQL a thread waits, since a server that does not answer may not stop everybody;
        each statement sees a moment of its own, and one that writes is refused: there is no transaction to pay for.
        """
        if self._looker is not None:
            return await self._looker.do(work)
        with self._looking_up:
            if self._lookups is None:
                self._lookups = self.engine.connect()
            return run(self._lookups, work, kept=False)

    @property
    def waiting(self) -> int:
        """Works that wait to be written."""
        return self._writer.waiting

    def close(self) -> None:
        """Finish what waits, then let go of the database."""
        self._writer.close()
        self._reader.close()
        if self._looker is not None:
            self._looker.close()
        if self._lookups is not None:
            self._lookups.close()
        self.engine.dispose()

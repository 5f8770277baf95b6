"""Durable transactions on SQLite (or another database SQLAlchemy knows), for asynchronous callers.

Rooms write plain functions that take a `Connection`; `Store.write` runs one as a transaction and returns only when it is on disk.
Writers that wait at the same moment share one commit: each runs in a savepoint of its own, so one that fails undoes itself alone.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, MetaData, create_engine, event
from sqlalchemy.engine import make_url

metadata = MetaData()
"""Tables of the provider's own database. The broker and the registry have their own."""

T = TypeVar("T")
_Work = tuple[Callable[[Connection], Any], "Future[Any]"]
_GROUP = 64  # writers that may share one commit: bounds how long the first of them waits


class Store:
    """One database.

    `url` is SQLAlchemy's, for instance `sqlite:////var/lib/alicem/alicem.db`.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._writing = self.engine.execution_options(alicem_writes=True)
        self._works: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_for_ever, name="store-writer", daemon=True)
        self._writer.start()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` as one transaction; what it did is durable when this returns. What it raises undoes it."""
        future: Future[T] = Future()
        self._works.put((work, future))
        return await asyncio.wrap_future(future)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a snapshot; whatever it writes is rolled back."""
        return await asyncio.to_thread(self._read, work)

    def close(self) -> None:
        """Finish what waits, then let go of the database."""
        self._works.put(None)
        self._writer.join()
        self.engine.dispose()

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self.engine.connect() as connection:
            return work(connection)

    def _write_for_ever(self) -> None:
        while (first := self._works.get()) is not None:
            group = [first, *self._waiting()]
            stop = None in group
            self._commit([one for one in group if one is not None])
            if stop:
                return

    def _waiting(self) -> list[_Work | None]:
        group: list[_Work | None] = []
        while len(group) < _GROUP - 1:
            try:
                group.append(self._works.get_nowait())
            except queue.Empty:
                break
        return group

    def _commit(self, works: list[_Work]) -> None:
        done: list[tuple[Future[Any], Any]] = []
        try:
            with self._writing.begin() as connection:
                for work, future in works:
                    try:
                        with connection.begin_nested():
                            done.append((future, work(connection)))
                    except BaseException as error:  # noqa: BLE001 - handed to the caller that waits for it
                        future.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - the commit itself failed: nobody may believe it was done
            for _, future in works:
                if not future.done():
                    future.set_exception(error)
            return
        for future, result in done:
            future.set_result(result)


def _engine(url: str) -> Engine:
    engine = create_engine(url)
    if make_url(url).get_backend_name() == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(dbapi_connection: Any, _record: Any) -> None:
    dbapi_connection.isolation_level = None  # the driver must not begin transactions by itself: savepoints would break
    cursor = dbapi_connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: upgrading from a snapshot fails when another process wrote in between (SQLITE_BUSY_SNAPSHOT).
    writes = connection.get_execution_options().get("alicem_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

"""Who runs the works of `Store.write`: one thread that shares its commits, or a few whose commits the database shares.

SQLite has one writer at a time and flushes for each commit, so works that wait at the same moment run in one transaction, each in
a savepoint of its own. PostgreSQL has many and flushes once for all that commit at the same moment, so each work is a transaction.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")
_Work = tuple[Callable[[Connection], Any], "Future[Any]"]
_GROUP = 64  # works that may share one commit: bounds how long the first of them waits
_TRIES = 3
_ANOTHER_WAS_FASTER = {"40001", "40P01", "23505"}  # serialization_failure, deadlock_detected, unique_violation


class GroupWriter:
    """One thread, one transaction for all that waits. A work that fails undoes itself alone."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(alicem_writes=True)
        self._works: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_for_ever, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Connection], T]) -> Future[T]:
        future: Future[T] = Future()
        self._works.put((work, future))
        return future

    def close(self) -> None:
        self._works.put(None)
        self._thread.join()

    def _write_for_ever(self) -> None:
        while (first := self._works.get()) is not None:
            group = [first, *self._waiting()]
            # From here on nobody can take a work back: whoever waits for it may go, its outcome has a place to lie.
            self._commit([one for one in group if one is not None and one[1].set_running_or_notify_cancel()])
            if None in group:
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
            with self._engine.begin() as connection:
                for work, future in works:
                    try:
                        done.append((future, _in_savepoint(connection, work)))
                    except BaseException as error:  # noqa: BLE001 - handed to the caller that waits for it
                        future.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - the commit itself failed: nobody may believe it was done
            for _, future in works:
                if not future.done():
                    future.set_exception(error)
            return
        for future, result in done:
            future.set_result(result)


def _in_savepoint(connection: Connection, work: Callable[[Connection], T]) -> T:
    # By the driver: SQLAlchemy's own savepoint takes as long as everything else a small work does.
    driver: Any = connection.connection.driver_connection
    driver.execute("SAVEPOINT one_work")
    try:
        return work(connection)
    except BaseException:
        driver.execute("ROLLBACK TO one_work")
        raise
    finally:
        driver.execute("RELEASE one_work")


class ParallelWriter:
    """A few threads, each with a connection of its own, each work a transaction of its own."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(threads, "store-writer")
        self._of_this_thread = threading.local()
        self._connections: list[Connection] = []

    def submit(self, work: Callable[[Connection], T]) -> Future[T]:
        return self._threads.submit(self._run, work)

    def close(self) -> None:
        self._threads.shutdown()
        for connection in self._connections:
            connection.close()

    def _run(self, work: Callable[[Connection], T]) -> T:
        connection: Connection | None = getattr(self._of_this_thread, "connection", None)
        if connection is None:
            connection = self._of_this_thread.connection = self._engine.connect()
            self._connections.append(connection)
        return run(connection, work)


def run(connection: Connection, work: Callable[[Connection], T], *, kept: bool = True) -> T:
    """Run a work as a transaction, and undo it where it is not to be kept.

    A work that another was faster than, or whose connection was lost before its commit, is run again as a whole: nothing of it
    was done. A connection lost during the commit is an error: nobody knows.
    """
    tries = 0
    while True:
        tries += 1
        with connection.begin() as transaction:
            try:
                result = work(connection)
            except DBAPIError as error:
                if tries == _TRIES or not _worth_again(error):
                    raise
                transaction.rollback()
                continue
            if not kept:
                transaction.rollback()
            return result


def _worth_again(error: DBAPIError) -> bool:
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _ANOTHER_WAS_FASTER

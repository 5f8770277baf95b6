"""Who runs the works of a store. Works that wait at the same moment share a transaction, and so a flush.

SQLite has one writer at a time; a savepoint there costs nothing, so each work has one. PostgreSQL has several, and each word to it is
a journey: there a group is tried as a whole, and where one of its works fails each becomes a transaction of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")
_Work = tuple[Callable[[Connection], Any], "asyncio.Future[Any]"]
_Outcome = tuple["asyncio.Future[Any]", Any, BaseException | None]
_GROUP = 64  # works that may share one commit: bounds how long the first of them waits
_LINGER = 0.0002  # seconds the first of a group waits for others, less than a flush takes: the loop goes on undisturbed meanwhile
_PATIENCE = 0.02  # seconds: a loop may be long in coming, or end
_TRIES = 3
_ANOTHER_WAS_FASTER = {"40001", "40P01", "23505"}  # serialization_failure, deadlock_detected, unique_violation


class GroupWriter:
    """Threads that each take all that waits and commit it at once. A work that fails undoes itself alone."""

    def __init__(self, engine: Engine, threads: int = 1) -> None:
        self._engine = engine.execution_options(alicem_writes=True)
        self._works: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._write_for_ever, name="store-writer", daemon=True) for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    async def do(self, work: Callable[[Connection], T]) -> T:
        caller: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._works.put((work, caller))
        return await caller

    @property
    def waiting(self) -> int:
        """Works that no thread has taken yet."""
        return self._works.qsize()

    def close(self) -> None:
        self._works.put(None)
        for thread in self._threads:
            thread.join()
        self._engine.dispose()

    def _write_for_ever(self) -> None:
        last = False
        while not last and (first := self._works.get()) is not None:
            time.sleep(_LINGER)
            group = [first, *self._waiting()]
            last = None in group
            _tell(self._commit([one for one in group if one is not None and not one[1].cancelled()]))
        self._works.put(None)  # for the next thread

    def _waiting(self) -> list[_Work | None]:
        group: list[_Work | None] = []
        while len(group) < _GROUP - 1:
            try:
                group.append(self._works.get_nowait())
            except queue.Empty:
                break
        return group

    def _commit(self, works: list[_Work]) -> list[_Outcome]:
        try:
            with self._engine.begin() as connection:
                return [(caller, *_attempt(connection, work)) for work, caller in works]
        except BaseException as error:  # noqa: BLE001 - the commit itself failed: nobody may believe it was done
            return [(caller, None, error) for _, caller in works]

    def _alone(self, work: Callable[[Connection], Any], *, kept: bool) -> tuple[Any, BaseException | None]:
        try:
            with self._engine.connect() as connection:
                return run(connection, work, kept=kept), None
        except BaseException as error:  # noqa: BLE001 - handed to the caller that waits for it
            return None, error


class OptimisticWriter(GroupWriter):
    """Groups without savepoints: where one work of a group fails, nothing was done, and each is done alone."""

    def _commit(self, works: list[_Work]) -> list[_Outcome]:
        together = self._together(works) if len(works) > 1 else None
        return together or [(caller, *self._alone(work, kept=True)) for work, caller in works]

    def _together(self, works: list[_Work]) -> list[_Outcome] | None:
        """What the works returned; None where one of them failed."""
        try:
            with self._engine.connect() as connection, connection.begin() as transaction:
                try:
                    return [(caller, _called(work, connection), None) for work, caller in works]
                except BaseException:  # noqa: BLE001 - whose it is, is seen when each is done alone
                    transaction.rollback()
                    return None
        except BaseException as error:  # noqa: BLE001 - the commit itself failed: nobody may believe it was done
            return [(caller, None, error) for _, caller in works]


class GroupLooker(GroupWriter):
    """Reads of single statements: who asks at the same moment is answered at the same moment, with one change of threads for all."""

    def _commit(self, works: list[_Work]) -> list[_Outcome]:
        return [(caller, *self._alone(work, kept=False)) for work, caller in works]


def _attempt(connection: Connection, work: Callable[[Connection], T]) -> tuple[T | None, BaseException | None]:
    """What a work returned or raised; all of it or nothing of it is in the transaction."""
    # By the driver: SQLAlchemy's own savepoint takes as long as everything else a small work does.
    driver: Any = connection.connection.driver_connection
    driver.execute("SAVEPOINT one_work")
    try:
        return _called(work, connection), None
    except BaseException as error:  # noqa: BLE001 - handed to the caller that waits for it
        driver.execute("ROLLBACK TO one_work")
        return None, error
    finally:
        driver.execute("RELEASE one_work")


def _tell(outcomes: list[_Outcome]) -> None:
    """Wake everybody of a group at once: a wake-up each would cost more than their writes.

    Then wait until they have gone on, as far as their next write. It shall not find this thread at work: two threads of Python that run
    at once spend as much on taking turns, and writes that come together share a commit.
    """
    for loop in {caller.get_loop() for caller, _, _ in outcomes}:
        mine = [outcome for outcome in outcomes if outcome[0].get_loop() is loop]
        gone_on = threading.Event()
        with contextlib.suppress(RuntimeError):  # the loop ended, and whoever waited with it
            loop.call_soon_threadsafe(_wake, loop, mine, gone_on)
            gone_on.wait(_PATIENCE)


def _wake(loop: asyncio.AbstractEventLoop, outcomes: list[_Outcome], gone_on: threading.Event) -> None:
    for caller, result, error in outcomes:
        if caller.done():  # whoever waited has gone away
            continue
        if error is None:
            caller.set_result(result)
        else:
            caller.set_exception(error)
    loop.call_soon(gone_on.set)  # after all who were just woken


class Parallel:
    """A few threads that read, each with a connection of its own, each work a transaction of its own that is never kept."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(threads, "store-reader")
        self._of_this_thread = threading.local()
        self._connections: list[Connection] = []

    async def do(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.wrap_future(self._threads.submit(self._run, work))

    def close(self) -> None:
        self._threads.shutdown()
        for connection in self._connections:
            connection.close()
        self._engine.dispose()

    def _run(self, work: Callable[[Connection], T]) -> T:
        connection: Connection | None = getattr(self._of_this_thread, "connection", None)
        if connection is None:
            connection = self._of_this_thread.connection = self._engine.connect()
            self._connections.append(connection)
        return run(connection, work, kept=False)


def run(connection: Connection, work: Callable[[Connection], T], *, kept: bool) -> T:
    """Run a work as a transaction, and undo it where it is not to be kept.

    A work that another was faster than, or whose connection was lost before its commit, is run again as a whole: nothing of it
    was done. A connection lost during the commit is an error: nobody knows.
    """
    tries = 0
    while True:
        tries += 1
        with connection.begin() as transaction:
            try:
                result = _called(work, connection)
            except DBAPIError as error:
                if tries == _TRIES or not _worth_again(error):
                    raise
                transaction.rollback()
                continue
            if not kept:
                transaction.rollback()
            return result


def _called(work: Callable[[Connection], T], connection: Connection) -> T:
    try:
        return work(connection)
    except StopIteration as error:  # no future can hold one
        raise RuntimeError("a work ran out of an iterator") from error


def _worth_again(error: DBAPIError) -> bool:
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _ANOTHER_WAS_FASTER

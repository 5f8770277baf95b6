"""Durable transactions: what waits together commits together, and what fails undoes itself alone."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection

from alicem.store import Store


def made(database_url: str) -> Store:
    store = Store(database_url)
    asyncio.run(store.write(lambda c: c.exec_driver_sql("create table t (n integer primary key)")))
    return store


def add(number: int, fail: bool = False) -> object:
    def work(connection: Connection) -> int:
        connection.exec_driver_sql(f"insert into t values ({number})")  # noqa: S608 - a number
        if fail:
            raise ValueError(number)
        return number

    return work


def count(store: Store) -> int:
    return int(asyncio.run(store.read(lambda c: c.exec_driver_sql("select count(*) from t").scalar_one())))


def test_writers_that_wait_together_all_commit(database_url: str) -> None:
    store = made(database_url)

    async def all_at_once() -> list[int]:
        return await asyncio.gather(*(store.write(add(number)) for number in range(300)))  # type: ignore[arg-type]

    assert asyncio.run(all_at_once()) == list(range(300))
    assert count(store) == 300
    store.close()


def test_one_that_fails_undoes_itself_alone_and_says_why(database_url: str) -> None:
    store = made(database_url)

    async def mixed() -> list[object]:
        works = (store.write(add(number, fail=number % 7 == 0)) for number in range(100))  # type: ignore[arg-type]
        return await asyncio.gather(*works, return_exceptions=True)

    outcomes = asyncio.run(mixed())
    failed = [outcome for outcome in outcomes if isinstance(outcome, ValueError)]
    assert len(failed) == 15
    assert count(store) == 85
    store.close()


def test_whoever_goes_away_takes_nobody_with_them(sqlite_url: str) -> None:
    """Where one thread writes for all."""
    store = made(sqlite_url)

    def slow(connection: Connection) -> None:
        time.sleep(0.2)
        add(1)(connection)  # type: ignore[operator]

    async def leave() -> int:
        begun = asyncio.create_task(store.write(slow))
        await asyncio.sleep(0.05)
        waiting = asyncio.create_task(store.write(add(2)))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        begun.cancel()
        waiting.cancel()
        return await asyncio.wait_for(store.write(add(3)), 5)  # type: ignore[arg-type]

    assert asyncio.run(leave()) == 3
    assert count(store) == 2  # what had begun was done, what had not was not
    store.close()


def test_an_error_no_future_can_hold_reaches_its_caller_and_no_other(database_url: str) -> None:
    store = made(database_url)

    def runs_out(_connection: Connection) -> object:
        return next(iter([]))

    async def both() -> list[object]:
        works = (store.write(runs_out), store.write(add(1)))  # type: ignore[arg-type]
        return await asyncio.wait_for(asyncio.gather(*works, return_exceptions=True), 5)

    failed, done = asyncio.run(both())
    assert (type(failed), done) == (RuntimeError, 1)
    store.close()


def test_a_reader_cannot_write(database_url: str) -> None:
    store = made(database_url)
    asyncio.run(store.read(add(1)))  # type: ignore[arg-type]
    assert count(store) == 0
    store.close()


def test_closing_finishes_what_waits(database_url: str) -> None:
    store = made(database_url)

    async def close_at_once() -> int:
        waiting = asyncio.ensure_future(store.write(add(1)))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await asyncio.to_thread(store.close)
        return await waiting

    assert asyncio.run(close_at_once()) == 1


CHILD = """
import asyncio, sys
from alicem.store import Store
store = Store(sys.argv[1])
async def main():
    for number in range(1, 100000):
        await store.write(lambda c: c.exec_driver_sql(f"insert into t values ({number})"))
        print(number, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("moment", [0.05, 0.2, 0.5])
def test_what_was_acknowledged_survives_a_kill(database_url: str, moment: float) -> None:
    made(database_url).close()
    command = [sys.executable, "-c", CHILD, database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(moment)
        os.kill(child.pid, signal.SIGKILL)
        told = [first, *child.stdout.readlines()]
    acknowledged = max(int(line) for line in told if line.endswith("\n"))
    store = Store(database_url)
    kept = asyncio.run(store.read(lambda c: c.exec_driver_sql("select n from t order by n").scalars().all()))
    store.close()
    assert kept[:acknowledged] == list(range(1, acknowledged + 1))
    assert len(kept) <= acknowledged + 1


def test_a_new_file_is_its_owners_alone_and_so_are_those_beside_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = made(f"sqlite:///{tmp_path}/new.db")
        asyncio.run(store.write(add(1)))
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
        store.close()
    assert modes.keys() >= {"new.db", "new.db-wal"} and set(modes.values()) == {0o600}

"""Durable transactions: what waits together commits together, and what fails undoes itself alone."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection

from alicem.store import Store


def made(tmp_path: Path) -> Store:
    store = Store(f"sqlite:///{tmp_path}/a.db")
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


def test_writers_that_wait_together_all_commit(tmp_path: Path) -> None:
    store = made(tmp_path)

    async def all_at_once() -> list[int]:
        return await asyncio.gather(*(store.write(add(number)) for number in range(300)))  # type: ignore[arg-type]

    assert asyncio.run(all_at_once()) == list(range(300))
    assert count(store) == 300
    store.close()


def test_one_that_fails_undoes_itself_alone_and_says_why(tmp_path: Path) -> None:
    store = made(tmp_path)

    async def mixed() -> list[object]:
        works = (store.write(add(number, fail=number % 7 == 0)) for number in range(100))  # type: ignore[arg-type]
        return await asyncio.gather(*works, return_exceptions=True)

    outcomes = asyncio.run(mixed())
    failed = [outcome for outcome in outcomes if isinstance(outcome, ValueError)]
    assert len(failed) == 15
    assert count(store) == 85
    store.close()


def test_whoever_goes_away_takes_nobody_with_them(tmp_path: Path) -> None:
    store = made(tmp_path)

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


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    store = made(tmp_path)
    asyncio.run(store.read(add(1)))  # type: ignore[arg-type]
    assert count(store) == 0
    store.close()


def test_closing_finishes_what_waits(tmp_path: Path) -> None:
    store = made(tmp_path)

    async def close_at_once() -> int:
        waiting = asyncio.ensure_future(store.write(add(1)))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await asyncio.to_thread(store.close)
        return await waiting

    assert asyncio.run(close_at_once()) == 1


CHILD = """
import asyncio, sys
from alicem.store import Store
store = Store(f"sqlite:///{sys.argv[1]}")
async def main():
    for number in range(1, 100000):
        await store.write(lambda c: c.exec_driver_sql(f"insert into t values ({number})"))
        print(number, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("moment", [0.05, 0.2, 0.5])
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, moment: float) -> None:
    made(tmp_path).close()
    command = [sys.executable, "-c", CHILD, str(tmp_path / "a.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(moment)
        os.kill(child.pid, signal.SIGKILL)
        told = [first, *child.stdout.readlines()]
    acknowledged = max(int(line) for line in told if line.endswith("\n"))
    with sqlite3.connect(tmp_path / "a.db") as connection:
        kept = [number for (number,) in connection.execute("select n from t order by n")]
    assert kept[:acknowledged] == list(range(1, acknowledged + 1))
    assert len(kept) <= acknowledged + 1

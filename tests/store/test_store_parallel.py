"""Works at the same moment, on both databases: exactly one outcome, and what cannot be done says so."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, MetaData, Table, bindparam, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from alicem.store import Int64, Prepared, Store
from alicem.store.engine import connect

counters = Table(
    "counters", MetaData(), Column("name", Int64, primary_key=True), Column("value", Int64, nullable=False)
)
ONE = select(counters.c.value).where(counters.c.name == bindparam("key"))
LOOK, READ = Prepared(ONE), Prepared(ONE.with_for_update())
SET = Prepared(update(counters).where(counters.c.name == bindparam("key")), "value")
ADD = Prepared(insert(counters), "name", "value")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    yield from made(database_url)


@pytest.fixture
def postgresql(postgresql_url: str) -> Iterator[Store]:
    yield from made(postgresql_url)


def made(url: str) -> Iterator[Store]:
    store = Store(url)
    counters.metadata.create_all(store.engine)
    write(store, lambda c: [ADD.run(c, name=name, value=0) for name in (1, 2)])
    yield store
    store.close()


def write(store: Store, *works: Callable[[Connection], Any]) -> list[Any]:
    """Run works at once; what each returned or raised."""

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(store.write(work) for work in works), return_exceptions=True)

    return asyncio.run(all_at_once())


def apart(url: str, *works: Callable[[Connection], Any]) -> list[Any]:
    """Run works at once, each by a store of its own, as several servers do."""
    stores = [Store(url) for _ in works]

    async def all_at_once() -> list[Any]:
        pairs = zip(stores, works, strict=True)
        return await asyncio.gather(*(store.write(work) for store, work in pairs), return_exceptions=True)

    try:
        return asyncio.run(all_at_once())
    finally:
        for store in stores:
            store.close()


class Meeting:
    """Where the first two wait for each other; whoever comes later passes."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(2)
        self._places = [1, 2]

    def wait(self) -> None:
        if self._places:
            self._places.pop()
            self._barrier.wait(5)


def value(store: Store, name: int) -> Any:
    row = asyncio.run(store.look_up(lambda c: LOOK.first(c, key=name)))
    return None if row is None else row.value


def step(connection: Connection, name: int) -> None:
    SET.run(connection, key=name, value=READ.first(connection, key=name).value + 1)


def test_parallel_counters_are_exact(store: Store) -> None:
    outcomes = write(store, *(lambda c, n=number: step(c, n % 2 + 1) for number in range(300)))
    assert outcomes == [None] * 300
    assert (value(store, 1), value(store, 2)) == (150, 150)


def test_what_returned_is_there_for_another_process(store: Store) -> None:
    write(store, lambda c: step(c, 1))
    look = "import sys, sqlalchemy; from alicem.store import Store; "
    look += "print(Store(sys.argv[1]).engine.connect().execute(sqlalchemy.text('select value from counters where name = 1')).scalar())"
    url = store.engine.url.render_as_string(hide_password=False)
    assert subprocess.check_output([sys.executable, "-c", look, url], text=True) == "1\n"


def test_a_read_sees_one_moment_and_changes_nothing(store: Store) -> None:
    def work(connection: Connection) -> list[int]:
        before = connection.execute(select(counters.c.value).where(counters.c.name == 1)).scalar_one()
        threading.Thread(target=write, args=(store, lambda c: step(c, 1))).start()
        until_it_is_two(store)
        return [before, connection.execute(select(counters.c.value).where(counters.c.name == 1)).scalar_one()]

    write(store, lambda c: step(c, 1))
    assert asyncio.run(store.read(work)) == [1, 1]
    asyncio.run(store.read(lambda c: step(c, 1)))
    with contextlib.suppress(DBAPIError):  # PostgreSQL refuses, SQLite forgets
        asyncio.run(store.look_up(lambda c: step(c, 1)))
    assert value(store, 1) == 2


def until_it_is_two(store: Store) -> None:
    while value(store, 1) != 2:
        pass


def test_a_look_up_waits_for_no_writer(store: Store) -> None:
    began, looked = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        step(connection, 1)
        began.set()
        assert looked.wait(10)

    writing = threading.Thread(target=write, args=(store, slow))
    writing.start()
    assert began.wait(10)
    before = value(store, 1)
    looked.set()
    writing.join()
    assert (before, value(store, 1)) == (0, 1)


def test_a_commit_that_fails_is_an_error_and_the_next_work_is_done(store: Store) -> None:
    orphans = "create table orphans (of bigint references counters (name) deferrable initially deferred)"
    write(store, lambda c: c.execute(text(orphans)))
    (outcome,) = write(store, lambda c: c.execute(text("insert into orphans values (77)")).rowcount)
    assert isinstance(outcome, IntegrityError)
    assert write(store, lambda c: step(c, 1)) == [None]
    assert value(store, 1) == 1


def test_of_two_that_write_the_same_row_one_writes_it(store: Store, database_url: str) -> None:
    """Both look before they write; whoever is second looks again and finds it."""
    meeting = Meeting()

    def work(connection: Connection) -> str:
        if READ.first(connection, key=7) is not None:
            return "there"
        if store.engine.dialect.name == "postgresql":
            meeting.wait()
        ADD.run(connection, name=7, value=0)
        return "written"

    assert sorted(apart(database_url, work, work)) == ["there", "written"]


def test_a_row_that_cannot_be_written_is_refused_and_the_rest_goes_on(store: Store) -> None:
    outcomes = write(store, lambda c: ADD.run(c, name=1, value=0), lambda c: step(c, 1))
    assert isinstance(outcomes[0], IntegrityError)
    assert value(store, 1) == 1


def test_two_works_that_wait_for_each_other_are_both_done(postgresql: Store, postgresql_url: str) -> None:
    meeting = Meeting()

    def work(connection: Connection, first: int, second: int) -> None:
        step(connection, first)
        meeting.wait()
        step(connection, second)

    assert apart(postgresql_url, lambda c: work(c, 1, 2), lambda c: work(c, 2, 1)) == [None, None]
    assert (value(postgresql, 1), value(postgresql, 2)) == (2, 2)


def test_a_group_in_which_one_fails_is_done_one_by_one(store: Store) -> None:
    """Whatever else of the group is done, once each; what failed says so alone."""

    def fails(connection: Connection) -> None:
        step(connection, 1)
        raise ValueError

    works = [fails if number % 5 == 0 else lambda c: step(c, 1) for number in range(40)]
    outcomes = write(store, *works)
    assert [type(one) for one in outcomes].count(ValueError) == 8
    assert outcomes.count(None) == 32
    assert value(store, 1) == 32


def test_a_work_is_tried_three_times_at_most(postgresql: Store) -> None:
    tries = []

    def work(connection: Connection) -> None:
        tries.append(1)
        connection.execute(text("do $$ begin raise exception using errcode = 'serialization_failure'; end $$"))

    (outcome,) = write(postgresql, work)
    assert (type(outcome), len(tries)) == (OperationalError, 3)


def cut_all(store: Store) -> None:
    """Cut every other connection to this database, as a server does that ends."""
    apart_from_its = connect(store.engine.url.render_as_string(hide_password=False))
    with apart_from_its.connect() as connection:
        others = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        connection.execute(text(f"select pg_terminate_backend(pid) {others}"))
    apart_from_its.dispose()


@pytest.mark.parametrize("by", ["driver", "sqlalchemy"])
def test_a_connection_that_is_cut_is_an_error_and_the_next_work_is_done(postgresql: Store, by: str) -> None:
    def work(connection: Connection) -> None:
        step(connection, 1)
        cut_all(postgresql)
        if by == "driver":
            step(connection, 1)
        else:
            connection.execute(select(counters)).all()

    (outcome,) = write(postgresql, work)
    assert isinstance(outcome, OperationalError)
    assert write(postgresql, lambda c: step(c, 1)) == [None]
    assert value(postgresql, 1) == 1


def test_connections_cut_while_nobody_works_are_not_noticed(postgresql: Store) -> None:
    write(postgresql, *(lambda c: step(c, 1) for _ in range(20)))
    for _ in range(2):
        cut_all(postgresql)
        assert write(postgresql, *(lambda c: step(c, 1) for _ in range(8))) == [None] * 8
        cut_all(postgresql)
        assert value(postgresql, 1) >= 28
    assert value(postgresql, 1) == 36


def test_servers_that_open_a_new_database_together_all_get_it(tmp_path: Path) -> None:
    """One of them sets write-ahead logging; SQLite does not let the others wait for that by itself."""
    with ThreadPoolExecutor(6) as threads:
        for number in range(60):
            engines = [connect(f"sqlite:///{tmp_path / str(number)}.db") for _ in range(6)]
            modes = threads.map(lambda one: one.connect().exec_driver_sql("pragma journal_mode").scalar(), engines)
            assert set(modes) == {"wal"}
            for engine in engines:
                engine.dispose()

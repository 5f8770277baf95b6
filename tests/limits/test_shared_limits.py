"""Limits that hold over several workers: each a store of its own on one database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from alicem import keys, limits
from alicem.keys import KeyRing
from alicem.limits import Limit, counted
from alicem.store import Store

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return keys.create(tmp_path / "keys.bin", os.urandom(32), now=NOON, rng=os.urandom, host="localhost")


@pytest.fixture
def stores(database_url: str) -> Iterator[list[Store]]:
    found = [Store(database_url) for _ in range(2)]
    yield found
    for store in found:
        store.close()


def workers(stores: list[Store], ring: KeyRing, clock: Clock, most: int, seconds: int = 60) -> list[Limit]:
    return [Limit(store, ring, clock, "tries", most=most, seconds=seconds) for store in stores]


def ask(limits_: list[Limit], times: int, who: str = "192.0.2.1") -> int:
    """How many of so many, each worker in turn, were admitted."""

    async def run() -> int:
        return sum([await limits_[turn % len(limits_)].admits(who) for turn in range(times)])

    return asyncio.run(run())


def ask_at_once(limits_: list[Limit], times: int) -> int:
    async def run() -> int:
        return sum(await asyncio.gather(*(limits_[turn % len(limits_)].admits("192.0.2.1") for turn in range(times))))

    return asyncio.run(run())


def rows(store: Store) -> list[tuple[bytes, int, int]]:
    return [tuple(row) for row in asyncio.run(store.read(lambda c: c.execute(select(limits.limits)).all()))]


@pytest.mark.parametrize("most", [1, 7, 10, 15])
def test_a_small_limit_holds_exactly_over_two_workers(
    stores: list[Store], ring: KeyRing, clock: Clock, most: int
) -> None:
    assert ask(workers(stores, ring, clock, most), 4 * most + 4) == most


@pytest.mark.parametrize("most", [16, 60, 100])
def test_a_greater_one_holds_and_each_worker_may_add_a_sixteenth(
    stores: list[Store], ring: KeyRing, clock: Clock, most: int
) -> None:
    assert most - most // 16 <= ask(workers(stores, ring, clock, most), 4 * most) <= most + 2 * (most // 16)


@pytest.mark.parametrize("most", [3, 60, 100, 1000])
def test_one_worker_alone_holds_exactly(stores: list[Store], ring: KeyRing, clock: Clock, most: int) -> None:
    assert ask(workers(stores[:1], ring, clock, most), most + 20) == most


@pytest.mark.parametrize("most", [5, 60])
def test_who_asks_many_times_at_once_is_held_too(stores: list[Store], ring: KeyRing, clock: Clock, most: int) -> None:
    assert 1 <= ask_at_once(workers(stores, ring, clock, most), 3 * most) <= most + 2 * (most // 16)


def test_a_new_while_begins_anew_and_says_when(stores: list[Store], ring: KeyRing, clock: Clock) -> None:
    two = workers(stores, ring, clock, 2)
    clock.now += timedelta(seconds=18)
    assert ask(two, 6) == 2
    assert two[0].over("192.0.2.1") and two[0].retry_after() == {"Retry-After": "42"}
    clock.now += timedelta(seconds=42)
    assert not two[0].over("192.0.2.1")
    assert ask(two, 6) == 2


def test_people_and_things_are_counted_apart(stores: list[Store], ring: KeyRing, clock: Clock) -> None:
    two = workers(stores, ring, clock, 2)
    assert ask(two, 4) == 2 and ask(two, 4, "192.0.2.2") == 2
    other = [Limit(stores[0], ring, clock, "another thing", most=2, seconds=60)]
    assert ask(other, 4) == 2


def test_who_asks_as_people_do_leaves_no_row(stores: list[Store], ring: KeyRing, clock: Clock) -> None:
    two = workers(stores, ring, clock, 160)
    assert ask(two, 20) == 20 and rows(stores[0]) == []
    assert ask(two, 1) == 1 and len(rows(stores[1])) == 1


def test_a_row_says_nothing_of_whom_it_counts(stores: list[Store], ring: KeyRing, clock: Clock) -> None:
    two = workers(stores, ring, clock, 2)
    ask(two, 4)
    clock.now += timedelta(minutes=1)
    ask(two, 4)
    (one, _, ends), (other, _, _) = sorted(rows(stores[0]), key=lambda row: row[2])
    assert one != other and len(one) == 16 and b"192" not in one
    assert ends == int(NOON.timestamp()) + 60


def test_what_is_over_is_erased(stores: list[Store], ring: KeyRing, clock: Clock) -> None:
    ask(workers(stores, ring, clock, 2), 4)
    asyncio.run(stores[0].write(lambda c: limits.expire(c, NOON + timedelta(seconds=59))))
    assert len(rows(stores[0])) == 1
    asyncio.run(stores[0].write(lambda c: limits.expire(c, NOON + timedelta(seconds=60))))
    assert rows(stores[0]) == []


def test_a_flood_writes_little(stores: list[Store], ring: KeyRing, clock: Clock) -> None:
    """Once a worker was told that somebody is over, the database hears of them no more."""
    one = workers(stores[:1], ring, clock, 3)
    ask(one, 10)
    asyncio.run(stores[1].write(lambda c: limits.expire(c, NOON + timedelta(hours=1))))
    assert ask(one, 50) == 0 and rows(stores[0]) == []


def test_without_a_database_nobody_passes_uncounted(tmp_path: Path, ring: KeyRing, clock: Clock) -> None:
    store = Store(f"sqlite:///{tmp_path}/empty.db")  # it has no table
    limit = Limit(store, ring, clock, "tries", most=32, seconds=60)
    assert ask([limit], 2) == 2
    with pytest.raises(DBAPIError):
        ask([limit], 1)
    store.close()


def test_what_is_counted_in_a_transaction_is_undone_with_it(stores: list[Store], ring: KeyRing) -> None:
    def once(fails: bool) -> bool:
        def work(connection: object) -> bool:
            within = counted(connection, ring, "approvals", "7", most=2, seconds=3600, now=NOON)  # type: ignore[arg-type]
            if fails:
                raise LookupError
            return within

        return asyncio.run(stores[fails].write(work))

    with pytest.raises(LookupError):
        once(True)
    assert [once(False) for _ in range(3)] == [True, True, False]

"""Rows written at the same moment, some of them undone, while seals are made: every row is under a seal, once."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Connection

from alicem import journal, keys
from alicem.keys import KeyRing
from alicem.store import Store

NOW = datetime(2026, 11, 21, tzinfo=UTC)


class Undone(Exception):
    pass


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return keys.create(tmp_path / "k", b"m" * 32, now=NOW, rng=secrets.token_bytes, host="x")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url)
    yield store
    store.close()


def append(connection: Connection, number: int = 0) -> None:
    journal.append(connection, NOW, "signed_in", secrets.token_bytes, content={"n": number})
    if number % 5 == 4:
        raise Undone


def test_rows_and_seals_at_the_same_moment(store: Store, ring: KeyRing) -> None:
    key = ring.signing("journal", NOW)

    def work(connection: Connection, number: int) -> int | None:
        return append(connection, number) if number < 20 or number % 20 else journal.seal(connection, key, NOW)

    async def all_at_once() -> int:
        works = (store.write(lambda c, n=number: work(c, n)) for number in range(200))
        outcomes = await asyncio.gather(*works, return_exceptions=True)
        assert [one for one in outcomes if isinstance(one, Exception) and not isinstance(one, Undone)] == []
        sealed = sum(one for one in outcomes if isinstance(one, int))
        return sealed + await store.write(lambda c: journal.seal(c, key, NOW))

    kept = sum(1 for number in range(200) if number % 5 != 4 and (number < 20 or number % 20))
    assert asyncio.run(all_at_once()) == kept
    assert asyncio.run(store.read(lambda c: journal.verify(c, ring.signing_all("journal")))) == kept


def test_a_seal_waits_for_a_row_that_may_still_come(postgresql_url: str, ring: KeyRing) -> None:
    store = Store(postgresql_url)
    key = ring.signing("journal", NOW)

    def seal() -> int:
        with store.engine.begin() as connection:
            return journal.seal(connection, key, NOW)

    with ThreadPoolExecutor() as threads, store.engine.connect() as slow, store.engine.connect() as undone:
        append(slow)
        append(undone)
        asyncio.run(store.write(append))
        undone.rollback()
        sealing = threads.submit(seal)
        with pytest.raises(NotYet):
            sealing.result(timeout=0.3)
        slow.commit()
        assert sealing.result(timeout=10) == 2
    asyncio.run(store.write(append))
    assert seal() == 1
    assert asyncio.run(store.read(lambda c: journal.verify(c, ring.signing_all("journal")))) == 3
    store.close()


def test_two_servers_that_seal_beside_their_own_rows_do_not_wait_for_each_other(
    postgresql_url: str, ring: KeyRing
) -> None:
    """Each has written rows in the transaction in which it seals: whoever comes second leaves it, and nobody is undone as a deadlock."""
    store = Store(postgresql_url)
    key = ring.signing("journal", NOW)
    met = Barrier(2)

    def write_and_seal() -> int:
        with store.engine.begin() as connection:
            append(connection)
            met.wait(timeout=10)
            return journal.seal(connection, key, NOW)

    for _ in range(10):
        with ThreadPoolExecutor() as threads:
            sealed = [one.result(timeout=20) for one in [threads.submit(write_and_seal) for _ in range(2)]]
        assert sorted(sealed) == [0, 2]
    assert asyncio.run(store.read(lambda c: journal.verify(c, ring.signing_all("journal")))) == 20
    store.close()


def test_many_servers_seal_one_journal(postgresql_url: str, ring: KeyRing) -> None:
    """Stores of their own, as processes have: rows and seals at once, every row under one seal, no number twice, none left out."""
    key = ring.signing("journal", NOW)
    stores = [Store(postgresql_url) for _ in range(4)]

    async def serve(store: Store) -> int:
        sealed = 0
        for number in range(40):
            work = asyncio.gather(*(store.write(append) for _ in range(5)))
            if number % 4 == 0:
                sealed += await store.write(lambda c: journal.seal(c, key, NOW))
            await work
        return sealed

    async def all_at_once() -> int:
        return sum(await asyncio.gather(*map(serve, stores)))

    sealed = asyncio.run(all_at_once())
    sealed += asyncio.run(stores[0].write(lambda c: journal.seal(c, key, NOW)))
    assert sealed == 4 * 40 * 5
    assert asyncio.run(stores[0].read(lambda c: journal.verify(c, ring.signing_all("journal")))) == sealed
    for store in stores:
        store.close()

"""Rows written at the same moment, some of them undone, while seals are made: every row is under a seal, once."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from datetime import UTC, datetime
from pathlib import Path

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

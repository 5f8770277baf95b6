"""Status lists from outside: indices at random, a next list when one is half full, what strangers read, and how soon."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete

from alicem import jose, keys
from alicem.credential import records, status
from alicem.credential.published import StatusLists
from alicem.credential.status import SIZE, Status
from alicem.keys import KeyRing
from alicem.store import Store

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
ORIGIN = "https://alicem.example"
VECTORS = Path(__file__).parent / "vectors" / "token_status_list"


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    file = tmp_path_factory.mktemp("keys") / "keys.bin"
    return keys.create(file, b"m" * 32, now=NOW, rng=secrets.token_bytes, host="localhost")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    made = Store(database_url)
    yield made
    made.close()


def take(store: Store, first: int, step: int) -> None:
    """Every `step`-th index of list 0 from `first` on."""
    numbers = f"WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + {step} FROM n WHERE i + {step} < {SIZE})"  # noqa: S608 - numbers of ours
    with store.engine.begin() as connection:
        connection.exec_driver_sql(f"{numbers} INSERT INTO statuses (idx, value) SELECT i, 0 FROM n")  # noqa: S608


def read(lst: str, bits: int) -> list[int]:
    """§4.1, written from the specification alone."""
    data = zlib.decompress(jose.unb64(lst))
    each = 8 // bits
    return [data[index // each] >> bits * (index % each) & (1 << bits) - 1 for index in range(len(data) * each)]


def test_the_vectors_of_the_specification() -> None:
    """Appendix C.2 whole, and the example of §4.2: ours packs what theirs says, and theirs reads as ours."""
    for name in ("two_bits", "two_bits_short"):
        vector = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
        values = [(index, value) for index, value in vector["statuses"] if value]
        size = vector["size"]
        ours = read(status.packed(values, size), 2)
        assert ours == read(vector["lst"], 2)[:size]
        assert [(index, value) for index, value in enumerate(ours) if value] == values


@given(st.dictionaries(st.integers(0, 4095), st.integers(0, 2), max_size=200), st.integers(0, 1))
def test_what_is_packed_is_read(values: dict[int, int], free: int) -> None:
    found = read(status.packed(values.items(), 4096, free), 2)
    assert dict(enumerate(found)) == dict.fromkeys(range(4096), free) | values


def test_a_list_that_is_half_full_is_followed_by_the_next(store: Store) -> None:
    take(store, 0, 3)
    with store.engine.begin() as connection:
        early = [status.allocate(connection, secrets.token_bytes) for _ in range(60)]
        connection.execute(delete(records.statuses).where(records.statuses.c.idx % 3 == 1))
    assert {index // SIZE for index in early} == {0}
    take(store, 1, 3)
    with store.engine.begin() as connection:
        late = [status.allocate(connection, secrets.token_bytes) for _ in range(60)]
    assert {index // SIZE for index in late[30:]} == {1}
    assert status.reference(ORIGIN, late[-1])["status_list"]["uri"] == f"{ORIGIN}/status/1"
    assert status.index_of(status.reference(ORIGIN, late[-1])) == late[-1]


def test_what_nobody_was_given_is_as_good_as_revoked(store: Store) -> None:
    with store.engine.begin() as connection:
        given_out = status.allocate(connection, secrets.token_bytes)
        other = (given_out + 1) % SIZE
        assert (status.current(connection, given_out), status.current(connection, other)) == (
            Status.VALID,
            Status.REVOKED,
        )


def test_one_bit_is_out_within_the_second_whoever_changed_it(store: Store, ring: KeyRing) -> None:
    """Another worker writes; this one, which keeps the list, publishes it anew."""
    other = Store(store.engine.url.render_as_string(hide_password=False))

    async def run() -> float:
        lists = StatusLists(store, ring, ORIGIN, lambda: datetime.now(UTC))
        index = await other.write(lambda c: status.allocate(c, secrets.token_bytes))
        before = await lists.get(0)
        assert before is not None
        await other.write(lambda c: status.set_status(c, index, Status.SUSPENDED))
        begun = time.monotonic()
        while (now := await lists.get(0)) is before:
            await asyncio.sleep(0.01)
        took = time.monotonic() - begun
        assert now is not None and now.etag != before.etag
        assert read(payload(now.token, ring)["status_list"]["lst"], 2)[index] == 2
        return took

    took = asyncio.run(run())
    other.close()
    assert took < 1


def payload(token: str, ring: KeyRing) -> dict[str, dict[str, str]]:
    public = ring.signing_all("status")[0].private.public_key()
    return jose.verify(token, public, "statuslist+jwt")


def test_who_asks_at_the_same_moment_is_given_the_same(store: Store, ring: KeyRing) -> None:
    async def run() -> None:
        lists = StatusLists(store, ring, ORIGIN, lambda: NOW)
        await store.write(lambda c: status.allocate(c, secrets.token_bytes))
        given_out = await asyncio.gather(*(lists.get(0) for _ in range(20)))
        assert given_out[0] is not None and all(one is given_out[0] for one in given_out)

    asyncio.run(run())


def test_an_unchanged_list_is_made_once_a_term(store: Store, ring: KeyRing) -> None:
    async def run() -> None:
        at = [NOW]
        lists = StatusLists(store, ring, ORIGIN, lambda: at[0])
        index = await store.write(lambda c: status.allocate(c, secrets.token_bytes))
        first = await lists.get(0)
        at[0] += timedelta(seconds=200)
        await store.write(lambda c: status.set_status(c, index, Status.VALID))  # what it was
        assert await lists.get(0) is first
        at[0] += timedelta(seconds=101)
        second = await lists.get(0)
        assert first is not None and second is not None and second.etag != first.etag
        said = payload(second.token, ring)
        assert said["exp"] - said["iat"] >= 2 * said["ttl"]  # type: ignore[operator]
        assert await lists.get(1) is None

    asyncio.run(run())

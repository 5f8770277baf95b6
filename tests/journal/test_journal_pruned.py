"""Rows whose term is over go, their seals stay; nothing younger goes, no wrong clock empties the journal, and a thief's deletion is told apart."""

from __future__ import annotations

import asyncio
import io
import json
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from journals import NOW, new_key, stored, write

from alicem import journal
from alicem.journal import Checkpoint, Findings, JournalBroken, TooManyRows, public_keys, verify_parts
from alicem.journal.export import lines, read
from alicem.journal.prune import prune
from alicem.journal.verify import term
from alicem.store import Store

KEY = new_key()
YEARS = 5
OVER = NOW + term(YEARS)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """40 seals of five rows, one a minute; five more a year later."""
    store = Store(database_url)
    asyncio.run(store.write(lambda c: write(c, KEY, seals=40, loose=0)))
    asyncio.run(store.write(lambda c: write(c, KEY, seals=5, loose=0, at=NOW + timedelta(days=365))))
    yield store
    store.close()


def drop(store: Store, now: datetime, years: int = YEARS, share: float = 0.1, **more: Any) -> int:
    return asyncio.run(prune(store, years, now=now, rng=secrets.token_bytes, most_at_once=share, **more))


def do(store: Store, *statements: str) -> None:
    for statement in statements:
        asyncio.run(store.write(lambda c, s=statement: c.exec_driver_sql(s)))  # type: ignore[misc]


def seal(store: Store, now: datetime) -> None:
    asyncio.run(store.write(lambda c: journal.seal(c, KEY, now)))


def look(store: Store, years: int = YEARS, **more: Any) -> Findings:
    return asyncio.run(store.read(lambda c: verify_parts(journal.whole(c), public_keys([KEY]), years=years, **more)))


def rows(store: Store) -> list[int]:
    return [row.number for row in asyncio.run(store.read(lambda c: stored(c)[1]))]


def test_nothing_goes_before_its_term(store: Store) -> None:
    assert drop(store, OVER) == 0
    assert drop(store, OVER - timedelta(days=400)) == 0
    assert rows(store) == list(range(1, 226))


def test_whole_segments_go_and_their_seals_stay(store: Store) -> None:
    now = OVER + timedelta(minutes=3, seconds=1)
    kept = asyncio.run(store.read(lambda c: journal.checkpoint(c, KEY, now)))
    assert drop(store, now) == 20
    assert rows(store)[0] == 21
    found = look(store)
    assert (found.pruned, found.segments, found.sealed, found.unsealed) == (4, 45, 225, 1)
    seal(store, now)
    assert kept is not None
    checkpoints = list(journal.read_checkpoints([kept.encode()], public_keys([KEY])))
    assert look(store, checkpoints=checkpoints).pruned == 4
    last = asyncio.run(store.read(lambda c: stored(c)[1][-1]))
    assert (last.event, json.loads(last.content or b"")) == (b"pruned", {"first": 1, "last": 4, "years": 5})


def test_it_goes_on_from_day_to_day(store: Store) -> None:
    for minute, (first, dropped) in enumerate([(6, 5), (11, 5), (16, 5)]):
        now = OVER + timedelta(minutes=minute, seconds=1)
        assert drop(store, now) == dropped
        seal(store, now)
        assert rows(store)[0] == first
        assert look(store).pruned == minute + 1
    assert drop(store, now) == 0
    assert drop(store, now + timedelta(days=400), whatever_share=True) == 225 - 15
    assert look(store).pruned == 45


def test_a_clock_that_jumped_empties_no_journal(store: Store) -> None:
    jumped = NOW + timedelta(days=20 * 365)
    with pytest.raises(TooManyRows) as refused:
        drop(store, jumped)
    assert (refused.value.due, refused.value.rows) == (225, 225)
    assert str(refused.value) == "225 of 225 rows of the journal would be dropped at once"
    assert rows(store) == list(range(1, 226))
    assert drop(store, jumped, whatever_share=True) == 225
    assert look(store).pruned == 45


def test_a_run_that_was_broken_off_is_gone_on_with(store: Store) -> None:
    now = OVER + timedelta(minutes=9, seconds=1)

    def break_off(done: int, _total: int) -> None:
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drop(store, now, batch=10, progress=break_off)
    assert rows(store)[0] == 21
    assert look(store).pruned == 4
    assert drop(store, now) == 30
    assert look(store).pruned == 10


def test_it_tells_how_far_it_is(store: Store) -> None:
    told: list[tuple[int, int]] = []
    drop(
        store, OVER + timedelta(minutes=4, seconds=1), batch=10, progress=lambda done, total: told.append((done, total))
    )
    assert told[0] == (0, 25)
    assert told[-1] == (25, 25)
    assert len(told) == 4


def declare(store: Store, at: datetime, **content: Any) -> None:
    told = {"first": 1, "last": 4, "years": YEARS} | content
    asyncio.run(store.write(lambda c: journal.append(c, at, "pruned", secrets.token_bytes, content=told)))


GONE = "delete from journal where number <= 20"
FAR = OVER + timedelta(days=1)


def test_rows_that_went_without_a_word_are_missed(store: Store) -> None:
    do(store, GONE)
    with pytest.raises(
        JournalBroken, match="the rows of segments 1 to 4 are gone, and no row says that their term was over"
    ):
        look(store)


@pytest.mark.parametrize(
    ("at", "content", "years"),
    [
        (FAR, {"last": 3}, YEARS),
        (FAR, {"years": 0}, YEARS),
        (FAR, {"years": 4}, YEARS),
        (FAR, {"years": 6}, YEARS),
        (FAR, {"years": 10**18}, YEARS),
        (OVER + timedelta(minutes=2), {}, YEARS),
        (NOW + timedelta(days=700), {"years": 1}, YEARS),
    ],
)
def test_a_declaration_that_does_not_reach_excuses_nothing(
    store: Store, at: datetime, content: dict[str, Any], years: int
) -> None:
    do(store, GONE)
    declare(store, at, **content)
    seal(store, at)
    with pytest.raises(JournalBroken, match="no row says that their term was over"):
        look(store, years)


def test_a_declaration_dated_ahead_counts_from_its_seal(store: Store) -> None:
    do(store, GONE)
    declare(store, FAR)
    assert look(store).pruned == 4
    seal(store, NOW + timedelta(days=366))
    with pytest.raises(JournalBroken, match="no row says that their term was over"):
        look(store)


def test_a_shorter_term_is_accepted_where_it_is_told(store: Store) -> None:
    drop(store, NOW + term(3) + timedelta(seconds=1), years=3)
    with pytest.raises(JournalBroken, match="no row says"):
        look(store)
    assert look(store, years=3).pruned == 1


@pytest.mark.parametrize("gone", ["number <= 19", "number between 11 and 20", "number between 2 and 20"])
def test_a_declaration_covers_whole_segments_from_the_first_alone(store: Store, gone: str) -> None:
    do(store, f"delete from journal where {gone}")  # noqa: S608 - of the table above
    declare(store, FAR)
    seal(store, FAR)
    with pytest.raises(JournalBroken, match=r"is missing|rows are gone"):
        look(store)


def test_seals_of_what_went_are_checked_as_before(store: Store) -> None:
    drop(store, OVER + timedelta(minutes=3, seconds=1))
    do(store, "update journal_segments set at = at + 1 where number = 2")
    with pytest.raises(JournalBroken, match="segment 2: its seal says something else"):
        look(store)


def test_a_journal_without_its_seals_keeps_its_rows(store: Store) -> None:
    do(store, "delete from journal_segments where number between 2 and 44")
    assert drop(store, FAR + timedelta(days=800), whatever_share=True) == 0


def test_a_pruned_segment_is_held_against_checkpoints_too(store: Store) -> None:
    """What was pruned is met by checkpoints of it all the same."""
    drop(store, OVER + timedelta(minutes=3, seconds=1))
    with pytest.raises(JournalBroken, match="another segment 2"):
        look(store, checkpoints=[Checkpoint(2, 10, b"x" * 32, int(NOW.timestamp()))])


def test_an_exported_journal_without_its_oldest_rows_holds(store: Store) -> None:
    now = OVER + timedelta(minutes=3, seconds=1)
    drop(store, now)
    seal(store, now)
    file = asyncio.run(store.read(lambda c: "".join(lines(journal.whole(c))))).encode()
    found = verify_parts(read(io.BytesIO(file)), public_keys([KEY]), years=YEARS)
    assert found == look(store)
    assert found.pruned == 4

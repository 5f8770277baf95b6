"""Checkpoints kept elsewhere: what they find, what a restored backup declares, and what is no checkpoint."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from journals import NOW, new_key, stored, write, written
from sqlalchemy import Connection, delete

from alicem import journal
from alicem.journal import Checkpoint, Findings, JournalBroken, NotACheckpoint, public_keys, records, verify_parts
from alicem.journal.chain import sign
from alicem.journal.checkpoint import TYP

KEY, STRANGER = new_key(), new_key()
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with written(database_url, KEY) as connection:
        yield connection


def said(connection: Connection, at: datetime = NOW) -> Checkpoint:
    token = journal.checkpoint(connection, KEY, at)
    assert token is not None
    (one,) = journal.read_checkpoints([token.encode()], public_keys([KEY]))
    return one


def against(connection: Connection, *checkpoints: Checkpoint) -> Findings:
    return verify_parts(journal.whole(connection), public_keys([KEY]), checkpoints=checkpoints)


def after(connection: Connection, since: Checkpoint, *checkpoints: Checkpoint) -> Findings:
    parts = journal.whole(connection, since.segment)
    return verify_parts(parts, public_keys([KEY]), since=since, checkpoints=checkpoints)


def restore(connection: Connection, seals: int, at: datetime = LATER, **content: object) -> None:
    """The database goes back to where it had so many seals, and its journal says so."""
    last = seals * 5
    connection.execute(delete(records.segments).where(records.segments.c.number > seals))
    connection.execute(delete(records.journal).where(records.journal.c.number > last))
    seal = said(connection).seal.hex() if seals else ""
    told = {"backup_last": last, "backup_seal": seal, "backup_at": int(NOW.timestamp())} | content
    journal.append(connection, at, "restored", secrets.token_bytes, content=told)
    write(connection, KEY, seals=0, loose=4, at=at)
    journal.seal(connection, KEY, at)


def test_a_checkpoint_tells_the_last_seal(connection: Connection) -> None:
    one = said(connection)
    assert (one.segment, one.row, one.at) == (3, 15, int(NOW.timestamp()))
    assert len(one.seal) == 32


def test_a_journal_that_grew_meets_every_checkpoint(connection: Connection) -> None:
    kept = [said(connection)]
    for _ in range(3):
        write(connection, KEY, seals=0, loose=3)
        journal.seal(connection, KEY, NOW)
        kept.append(said(connection))
    assert against(connection, *kept, *kept).declared == ()


def test_a_checkpoint_is_met_by_its_row_and_seal(connection: Connection) -> None:
    kept = said(connection)
    for other in (
        replace(kept, row=14),
        replace(kept, seal=bytes(32)),
        replace(kept, segment=4),
        replace(kept, segment=2),
    ):
        with pytest.raises(JournalBroken, match=f"another segment {other.segment}, which ends with row {other.row}"):
            against(connection, kept, other)


def test_what_was_verified_up_to_a_checkpoint_need_not_be_read_again(connection: Connection) -> None:
    first = said(connection)
    assert journal.seal(connection, KEY, NOW) == 2
    write(connection, KEY, seals=2, loose=1)
    second = said(connection)
    found = after(connection, first, first, second)
    assert (found.sealed, found.segments, sum(found.sealed_by.values()), found.unsealed) == (27, 6, 4, 1)
    assert after(connection, second).sealed == 27
    connection.exec_driver_sql("update journal set at = at + 1 where number = 8")
    assert after(connection, first).sealed == 27
    with pytest.raises(JournalBroken, match="another segment 3"):
        after(connection, replace(first, seal=bytes(32)))


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["update journal set at = at + 1 where number = 13"], "segment 3: one of rows 11 to 15 was changed"),
        (["delete from journal where number between 11 and 15"], "the rows of segments 3 to 3 are gone"),
        (["update journal_segments set first = 12 where number = 3"], "segment 3: its seal says something else"),
        (["update journal_segments set previous = root where number = 3"], "segment 3: its seal says something else"),
        (["delete from journal_segments where number = 3"], "cut or rolled back"),
        (
            ["delete from journal_segments where number = 3", "delete from journal where number > 10"],
            "cut or rolled back",
        ),
    ],
)
def test_from_the_segment_of_the_checkpoint_on_everything_shows(
    connection: Connection, statements: list[str], message: str
) -> None:
    since = said(connection)
    for statement in statements:
        connection.exec_driver_sql(statement)
    with pytest.raises(JournalBroken, match=message):
        after(connection, since)


@pytest.mark.parametrize("rewritten", [False, True])
def test_what_went_back_without_a_word_shows(connection: Connection, rewritten: bool) -> None:
    kept = said(connection)
    connection.exec_driver_sql("delete from journal_segments where number = 3")
    connection.exec_driver_sql("delete from journal where number > 10")
    if rewritten:
        write(connection, KEY, seals=2, loose=0, at=LATER)
    with pytest.raises(JournalBroken, match="cut or rolled back") as broken:
        against(connection, kept)
    assert broken.value.segment == 3


def test_a_restored_backup_that_says_so_is_a_gap_and_no_break(connection: Connection) -> None:
    kept = said(connection)
    restore(connection, 2)
    (told,) = against(connection, kept).declared
    assert told == (
        "rows from 11 to at least 15 were lost: a backup of 2026-11-21 12:00:00 UTC was restored on 2026-11-21 13:00:00 UTC (row 11)"
    )
    assert against(connection, said(connection, LATER)).declared == ()


def test_a_restore_excuses_nothing_that_is_older_or_newer(connection: Connection) -> None:
    """The backup itself must be whole, and what was said since the restore must hold."""
    kept = said(connection)
    restore(connection, 2)
    after = said(connection, LATER + timedelta(seconds=1))
    restored = against(connection, kept, after)
    assert len(restored.declared) == 1
    older = Checkpoint(2, 10, b"x" * 32, kept.at)
    with pytest.raises(JournalBroken, match="another segment 2, which ends with row 10"):
        against(connection, kept, older)
    connection.exec_driver_sql("delete from journal_segments where number = 3")
    journal.append(connection, LATER, "signed_in", secrets.token_bytes)
    journal.seal(connection, KEY, LATER)
    with pytest.raises(JournalBroken, match="another segment 3"):
        against(connection, kept, after)


def test_a_backup_from_before_any_seal(connection: Connection) -> None:
    kept = said(connection)
    restore(connection, 0)
    assert against(connection, kept).declared[0].startswith("rows from 1 to at least 15 were lost")


def test_a_restore_must_tell_of_this_journal(connection: Connection) -> None:
    restore(connection, 2, backup_seal="00" * 32)
    with pytest.raises(JournalBroken, match="row 11 tells of a backup that is not the beginning of this journal"):
        against(connection)


@pytest.mark.parametrize(
    "content", [{"backup_last": -1}, {"backup_last": "10"}, {"backup_at": None}, {"backup_at": 2**64}]
)
def test_a_restore_that_says_nothing_whole_is_refused(connection: Connection, content: dict[str, object]) -> None:
    restore(connection, 2, **content)
    with pytest.raises(JournalBroken, match="row 11 does not say what it should"):
        against(connection)


def test_what_is_no_checkpoint_is_refused_by_its_line(connection: Connection) -> None:
    right = journal.checkpoint(connection, KEY, NOW)
    assert right is not None
    whole = {"segment": 3, "row": 15, "seal": "00" * 32, "at": 1}
    wrong = [
        journal.checkpoint(connection, STRANGER, NOW),
        stored(connection)[0][2].seal.decode(),
        right[:-2],
        right + "x" * 5000,
        "{}",
        "\xff",
        *(
            sign(KEY, TYP, json.dumps(tree))
            for tree in (
                [],
                {},
                whole | {"more": 1},
                whole | {"segment": "3"},
                whole | {"row": 0},
                whole | {"seal": "x"},
                whole | {"seal": 1},
            )
        ),
    ]
    for token in wrong:
        assert token is not None
        with pytest.raises(NotACheckpoint, match="line 3 is no checkpoint"):
            list(journal.read_checkpoints([right.encode(), b"\n", token.encode("latin-1")], public_keys([KEY])))

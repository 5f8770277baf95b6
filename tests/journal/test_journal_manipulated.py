"""Whoever may write in the database alters, cuts, reorders or rolls back the journal: what shows, where, and what no seal can tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journals import NOW, new_key, stored, written
from sqlalchemy import Connection

from alicem import journal
from alicem.journal import JournalBroken, public_keys, verify_parts
from alicem.journal.chain import SEAL, Row, Segment, parts, payload, root_of, sign
from alicem.store import Store, upgrade

KEY, STRANGER = new_key(), new_key()


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with written(database_url, KEY) as connection:
        yield connection


def sql(connection: Connection, *statements: str) -> None:
    for statement in statements:
        postgresql = connection.dialect.name == "postgresql"
        connection.exec_driver_sql(re.sub(r"x'(\w*)'", r"'\\x\1'", statement) if postgresql else statement)


COPY = "insert into journal select 100, at, event, account, salt, content, digest from journal where number = 8"
INSERTED = (
    "update journal set number = -number - 1 where number > 8",
    COPY,
    "update journal set number = 9 where number = 100",
    "update journal set number = -number where number < 0",
)
SWAP = (
    "update journal set number = 100 where number = 7",
    "update journal set number = 7 where number = 8",
    "update journal set number = 8 where number = 100",
)
MANIPULATIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "event changed": (
        ("update journal set event = 'account_closed' where number = 8",),
        "segment 2: one of rows 6 to 10",
    ),
    "time changed": (("update journal set at = at + 1 where number = 8",), "segment 2: one of rows 6 to 10"),
    "account changed": (("update journal set account = 3 where number = 6",), "row 6: its content or its account"),
    "account taken away": (
        ("update journal set account = null where number = 6",),
        "row 6: its content or its account",
    ),
    "account given": (("update journal set account = 3 where number = 8",), "row 8: its content or its account"),
    "content changed": (
        ("update journal set content = x'7b7d' where number = 8",),
        "row 8: its content or its account",
    ),
    "salt changed": (("update journal set salt = x'" + "00" * 16 + "' where number = 8",), "row 8: its content or its"),
    "salt short": (
        ("update journal set salt = x'00' where number = 8",),
        "row 8: its content was changed, or erased in",
    ),
    "digest changed": (("update journal set digest = x'" + "00" * 32 + "' where number = 8",), "row 8: its content or"),
    "digest of erased changed": (
        ("update journal set digest = x'" + "00" * 32 + "' where number = 7",),
        "segment 2: one of rows 6 to 10",
    ),
    "digest short": (("update journal set digest = x'00' where number = 7",), "row 7 is not a row of a journal"),
    "salt erased": (
        ("update journal set salt = null where number = 6",),
        "row 6: its content was changed, or erased in",
    ),
    "content erased": (("update journal set content = null where number = 6",), "row 6: its content was changed, or"),
    "account left": (
        ("update journal set salt = null, content = null where number = 6",),
        "row 6: its content was changed, or erased in part",
    ),
    "sign-in erased": (
        ("update journal set salt = null, content = null where number = 8",),
        "row 8: its content is gone, and it was about no account",
    ),
    "account put to an erased row": (("update journal set account = 1 where number = 7",), "row 7: its content was"),
    "row deleted": (("delete from journal where number = 8",), "row 8 is missing"),
    "last row of a segment deleted": (("delete from journal where number = 10",), "row 10 is missing"),
    "first rows deleted": (("delete from journal where number <= 3",), "row 1 is missing"),
    "rows of a segment deleted": (
        ("delete from journal where number between 6 and 10",),
        "segment 2: its rows are gone",
    ),
    "rows of the first deleted": (
        ("delete from journal where number <= 5",),
        "the rows of segments 1 to 1 are gone, and no row says that their term was over",
    ),
    "row inserted": (INSERTED, "segment 2: one of rows 6 to 10 was changed"),
    "row before all": ((COPY, "update journal set number = 0 where number = 100"), "row 0 is out of order"),
    "rows exchanged": (SWAP, "segment 2: one of rows 6 to 10 was changed"),
    "row moved away": (("update journal set number = 108 where number = 8",), "row 8 is missing"),
    "segment dropped": (("delete from journal_segments where number = 2",), "segment 2 is missing"),
    "first segment dropped": (("delete from journal_segments where number = 1",), "segment 1 is missing"),
    "segment dropped, numbers closed": (
        (
            "delete from journal_segments where number = 2",
            "delete from journal where number between 6 and 10",
            "update journal_segments set number = 2 where number = 3",
        ),
        "segment 2: its rows do not follow row 5",
    ),
    "segment and rows moved up": (
        (
            "delete from journal_segments where number = 2",
            "delete from journal where number between 6 and 10",
            "update journal_segments set number = 2, first = 6, last = 10 where number = 3",
            "update journal set number = number - 5 where number > 10",
        ),
        "segment 2 was sealed over another segment 1",
    ),
    "first changed": (("update journal_segments set first = 7 where number = 2",), "segment 2: its rows do not follow"),
    "last changed": (("update journal_segments set last = 9 where number = 2",), "segment 2: its seal says something"),
    "last far away": (("update journal_segments set last = 10000000 where number = 2",), "segment 2: its rows do not"),
    "time of a seal changed": (
        ("update journal_segments set at = at - 60 where number = 2",),
        "segment 2: its seal says",
    ),
    "root changed": (("update journal_segments set root = previous where number = 2",), "segment 2: its seal says"),
    "root short": (("update journal_segments set root = x'00' where number = 2",), "segment 2 is not a segment"),
    "previous changed": (
        ("update journal_segments set previous = root where number = 2",),
        "segment 2 was sealed over",
    ),
    "seal of another": (
        ("update journal_segments set seal = (select seal from journal_segments where number = 1) where number = 2",),
        "segment 2: its seal says something else",
    ),
    "seal broken": (
        ("update journal_segments set seal = 'x.y.z' where number = 3",),
        "segment 3: its seal is not by a",
    ),
    "seal empty": (("update journal_segments set seal = '' where number = 3",), "segment 3: its seal is not by a key"),
    "waiting row changed": (("update journal set content = x'7b7d' where number = 16",), "row 16: its content or its"),
}


@pytest.mark.parametrize("name", MANIPULATIONS)
def test_each_manipulation_shows_and_says_where(connection: Connection, name: str) -> None:
    statements, message = MANIPULATIONS[name]
    sql(connection, *statements)
    with pytest.raises(JournalBroken, match=re.escape(message)) as broken:
        journal.verify(connection, [KEY])
    where = broken.value.row if broken.value.row is not None else broken.value.segment
    assert where is None or str(where) in re.findall(r"\d+", str(broken.value))


OF_SQLITE = {
    "text that is none": (
        "update journal set event = cast(x'c328' as text) where number = 8",
        "segment 2: one of rows",
    ),
    "time that is text": ("update journal set at = 'noon' where number = 8", "row 8 is not a row of a journal"),
    "salt that is a number": ("update journal set salt = 1000000000000 where number = 8", "row 8: its content was"),
    "digest that is text": ("update journal set digest = '" + "0" * 32 + "' where number = 8", "row 8 is not a row"),
    "account that is text": ("update journal set account = 'x' where number = 6", "row 6: its content or its account"),
    "event that is a blob": ("update journal set event = x'ff00' where number = 8", "segment 2: one of rows"),
    "last that is text": ("update journal_segments set last = 'x' where number = 2", "segment 2 is not a segment"),
    "root that is a number": ("update journal_segments set root = 7 where number = 2", "segment 2 is not a segment"),
    "seal that is a blob": ("update journal_segments set seal = x'ff' where number = 2", "segment 2: its seal is not"),
}


@pytest.mark.parametrize("name", OF_SQLITE)
def test_what_sqlite_lets_anybody_put_there_breaks_no_verification(sqlite_url: str, name: str) -> None:
    statement, message = OF_SQLITE[name]
    with written(sqlite_url, KEY) as connection:
        sql(connection, statement)
        with pytest.raises(JournalBroken, match=re.escape(message)):
            journal.verify(connection, [KEY])


def test_seals_of_a_stranger_do_not_count(connection: Connection) -> None:
    sql(connection, "delete from journal_segments where number = 3")
    assert journal.seal(connection, STRANGER, NOW) == 7
    with pytest.raises(JournalBroken, match="segment 3: its seal is not by a key of the journal"):
        journal.verify(connection, [KEY])
    with pytest.raises(JournalBroken, match="segment 1: its seal is not"):
        journal.verify(connection, [])


def test_a_seal_made_again_with_the_key_does_not_fit_the_next(connection: Connection) -> None:
    """Whoever holds the key too must make every later seal again; of the last one checkpoints tell."""
    segments, rows = stored(connection)
    rows[7] = rows[7]._replace(at=0)
    covered = (*segments[1][:4], root_of(rows[5:10]), segments[1].previous)
    segments[1] = Segment(*covered, sign(KEY, SEAL, payload(*covered)).encode())
    with pytest.raises(JournalBroken, match="segment 3 was sealed over another segment 2"):
        verify_parts(parts(iter(segments), iter(rows)), public_keys([KEY]))
    assert verify_parts(parts(iter(segments[:2]), iter(rows[:10])), public_keys([KEY])).sealed == 10


def test_a_row_that_waits_is_not_covered_yet(connection: Connection) -> None:
    """The window of a second, as docs/protocols/journal.md says: event and time of a row, or a whole row, before its seal."""
    sql(connection, "update journal set at = 0, event = 'account_renewed' where number = 16")
    sql(connection, "delete from journal where number = 17")
    assert journal.verify(connection, [KEY]) == 15


def test_an_end_that_was_cut_off_shows_by_a_checkpoint_alone(connection: Connection) -> None:
    kept = journal.checkpoint(connection, KEY, NOW)
    assert kept is not None
    sql(connection, "delete from journal_segments where number = 3", "delete from journal where number > 10")
    assert journal.verify(connection, [KEY]) == 10
    checkpoints = list(journal.read_checkpoints([kept.encode()], public_keys([KEY])))
    with pytest.raises(
        JournalBroken, match=r"cut or rolled back: .* another segment 3, which ends with row 15; .* seal is 10"
    ):
        verify_parts(journal.whole(connection), public_keys([KEY]), checkpoints=checkpoints)


def test_a_seal_after_rows_without_one_is_out_of_order(connection: Connection) -> None:
    """As a file could give it: a false row 16 before the seal over the true one."""
    assert journal.seal(connection, KEY, NOW) == 2
    *before, (segment, its_rows) = journal.whole(connection)
    found = [*before, (None, its_rows[:1]), (segment, its_rows)]
    with pytest.raises(JournalBroken, match="segment 4 is out of order"):
        verify_parts(found, public_keys([KEY]))


def test_a_first_segment_begins_with_the_first_row_and_follows_none(connection: Connection) -> None:
    """Whatever the key signed: no journal begins later than with its beginning."""
    segments, rows = stored(connection)
    for covered, message in (
        ((1, 6, 10, 0, root_of(rows[5:10]), bytes(32)), "segment 1: its rows do not follow row 0"),
        (
            (1, 1, 5, 0, root_of(rows[:5]), segments[0].root),
            "segment 1 was sealed over another segment 0, or over none",
        ),
    ):
        first = Segment(*covered, sign(KEY, SEAL, payload(*covered)).encode())
        with pytest.raises(JournalBroken, match=message):
            verify_parts(parts(iter([first]), iter(rows)), public_keys([KEY]))


def test_no_segment_gathers_more_rows_than_a_seal_may_cover() -> None:
    """Whoever verifies holds ten thousand rows and one, whatever a segment says of itself."""
    segment = Segment(1, 1, 2**62, 0, bytes(32), bytes(32), b"")
    rows = (Row(number, 0, b"signed_in", None, b"", b"", b"") for number in range(1, 25_000))
    assert [len(some) for _, some in parts(iter([segment]), rows)] == [10_001, 10_000, 4_998]


# Random manipulations of what a journal is made of, the way a database or a file would give it


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Segment], list[Row]]:
    url = f"sqlite:///{tmp_path_factory.mktemp('small') / 'alicem.db'}"
    store = Store(url)
    upgrade(store.engine)
    store.close()
    with written(url, KEY) as connection:
        return stored(connection)


def holds(segments: list[Segment], rows: list[Row]) -> bool:
    try:
        verify_parts(parts(iter(segments), iter(rows)), public_keys([KEY]))
    except JournalBroken:
        return False
    return True


def another(value: Any, data: st.DataObject) -> Any:
    """One bit, one byte more or less, another kind of value, or none."""
    other = st.sampled_from([None, 0, -1, 2**63 - 1, 1.5, "x", b"", b"x"])
    if isinstance(value, bytes) and value:
        place = data.draw(st.integers(0, len(value) - 1))
        flipped = bytes([value[place] ^ 1 << data.draw(st.integers(0, 7))])
        near = st.sampled_from([value[:place] + flipped + value[place + 1 :], value[:-1], value + b"\x00", value[1:]])
        other = near | other  # type: ignore[assignment]
    elif isinstance(value, int):
        other = st.sampled_from([value + 1, value - 1, -value, str(value), value << 64]) | other  # type: ignore[assignment]
    return data.draw(other.filter(lambda new: new != value or type(new) is not type(value)))


@given(st.data())
def test_any_change_of_any_value_shows(small: tuple[list[Segment], list[Row]], data: st.DataObject) -> None:
    segments, rows = list(small[0]), list(small[1])
    among: list[Any] = data.draw(st.sampled_from([segments, rows]))
    place = data.draw(st.integers(0, len(among) - 1))
    field = data.draw(st.sampled_from(among[place]._fields))
    among[place] = among[place]._replace(**{field: another(getattr(among[place], field), data)})
    if field == "number" and type(among[place].number) is not int:
        return  # both databases and the file refuse it
    among.sort(key=lambda one: one.number)
    uncovered = ("number", "at", "event") if small[1][place].salt else ("number", "at", "event", "digest")
    if among is rows and place >= 15 and field in uncovered:
        return  # before the seal
    assert not holds(segments, rows)


STRUCTURAL: tuple[Callable[[list[Any], int, int], None], ...] = (
    lambda among, one, _: among.pop(one),
    lambda among, one, other: among.insert(other, among[one]),
    lambda among, one, other: among.__setitem__(slice(None), _exchanged(among, one, other)),
    lambda among, one, other: among.__setitem__(one, among[other]._replace(number=among[one].number)),
)


def _exchanged(among: list[Any], one: int, other: int) -> list[Any]:
    copy = list(among)
    copy[one] = among[other]._replace(number=among[one].number)
    copy[other] = among[one]._replace(number=among[other].number)
    return copy


@given(st.data())
def test_any_gap_copy_or_exchange_shows(small: tuple[list[Segment], list[Row]], data: st.DataObject) -> None:
    segments, rows = list(small[0]), list(small[1][:15])
    among: list[Any] = data.draw(st.sampled_from([segments, rows]))
    one = data.draw(st.integers(0, len(among) - 1))
    other = data.draw(st.integers(0, len(among) - 1).filter(lambda place: place != one))
    before = list(among)
    data.draw(st.sampled_from(STRUCTURAL))(among, one, other)
    cut_at_the_end = among == before[:-1] and among is segments
    if among != before and not cut_at_the_end:
        assert not holds(segments, rows)

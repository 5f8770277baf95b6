"""Hot statements say what SQLAlchemy says, inside the transaction at hand, and tell no value when they fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Connection, MetaData, String, Table, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.types import LargeBinary

from alicem.store import Int64, Prepared, Store, insert_new

things = Table(
    "things",
    MetaData(),
    Column("number", Int64, primary_key=True),
    Column("word", String(20), unique=True),
    Column("data", LargeBinary),
)
ONE = things.c.number == bindparam("key")
ADD = Prepared(insert(things), "number", "word", "data")
ADD_NEW = Prepared(insert_new(things), "number", "word", "data")
FIND = Prepared(select(things.c.word, things.c.data).where(ONE, things.c.number > -10).with_for_update().limit(1))
TAKE = Prepared(delete(things).where(ONE).returning(things.c.data, things.c.word))
FORGET = Prepared(update(things).where(ONE).values(data=None), "word")


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    store = Store(database_url)
    things.metadata.create_all(store.engine)
    with store.engine.begin() as connection:
        yield connection
    store.close()


def test_values_come_back_as_they_went(connection: Connection) -> None:
    assert ADD.run(connection, number=2**40, word="é%s :x ?", data=b"\x00\xff") == 1
    found = FIND.first(connection, key=2**40)
    assert (found.word, found.data) == ("é%s :x ?", b"\x00\xff")
    assert FIND.first(connection, key=7) is None
    assert connection.execute(select(things)).all() == [(2**40, "é%s :x ?", b"\x00\xff")]


def test_what_is_taken_is_gone(connection: Connection) -> None:
    ADD.run(connection, number=1, word="a", data=None)
    taken = TAKE.all(connection, key=1)
    assert [(row.word, row.data) for row in taken] == [("a", None)]
    assert TAKE.all(connection, key=1) == []


def test_values_of_the_statement_and_of_the_call(connection: Connection) -> None:
    ADD.run(connection, number=1, word="a", data=b"x")
    assert FORGET.run(connection, key=1, word="b") == 1
    assert FORGET.run(connection, key=2, word="b") == 0
    found = FIND.first(connection, key=1)
    assert (found.word, found.data) == ("b", None)


def test_a_row_that_is_there_stays_as_it_is(connection: Connection) -> None:
    assert ADD_NEW.run(connection, number=1, word="a", data=b"first") == 1
    assert ADD_NEW.run(connection, number=1, word="b", data=b"second") == 0
    assert ADD_NEW.run(connection, number=2, word="a", data=b"second") == 0
    assert connection.execute(insert_new(things).values(number=1)).rowcount == 0
    assert connection.execute(select(things.c.data)).scalars().all() == [b"first"]


def test_it_belongs_to_the_savepoint_at_hand(connection: Connection) -> None:
    ADD.run(connection, number=1, word="a", data=None)
    with connection.begin_nested() as savepoint:
        ADD.run(connection, number=2, word="b", data=None)
        savepoint.rollback()
    assert (FIND.first(connection, key=2), FIND.first(connection, key=1).word) == (None, "a")


def test_a_refused_row_is_an_integrity_error_without_its_values(connection: Connection) -> None:
    ADD.run(connection, number=1, word="zerlina", data=None)
    for statement in (
        lambda: ADD.run(connection, number=2, word="zerlina", data=b"masetto"),
        lambda: connection.execute(insert(things).values(number=2, word="zerlina", data=b"masetto")),
    ):
        with pytest.raises(IntegrityError) as caught, connection.begin_nested():
            statement()
        texts = [str(error) + repr(error) for error in (caught.value, caught.value.orig)]
        assert not [text for text in texts if "zerlina" in text or "masetto" in text]
    assert FIND.first(connection, key=1).word == "zerlina"


def test_nothing_is_written_outside_a_transaction(database_url: str) -> None:
    store = Store(database_url)
    things.metadata.create_all(store.engine)
    with store.engine.connect() as connection:
        ADD.run(connection, number=1, word="a", data=None)
    with store.engine.connect() as connection:
        assert FIND.first(connection, key=1) is None
    store.close()


def test_a_list_of_values_cannot_be_prepared(connection: Connection) -> None:
    with pytest.raises(ValueError, match="depends on its values"):
        Prepared(select(things).where(things.c.number.in_([1, 2]))).all(connection)


def test_a_missing_value_is_refused(connection: Connection) -> None:
    with pytest.raises(Exception, match="word"):
        ADD.run(connection, number=1, data=None)

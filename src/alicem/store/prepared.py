"""Hot statements: composed by SQLAlchemy once, then given to the driver itself.

SQLAlchemy takes some ten times the driver's own time to compose, bind and fetch a small statement. Here its text is made once
for each kind of database; a call then costs a dictionary and the driver. It runs on the connection of the transaction at hand.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Insert
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import Table
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.elements import ClauseElement

from alicem.store.engine import shorten


class _Text(NamedTuple):
    sql: str
    order: tuple[str, ...] | None
    """Names of the positional parameters; none where the driver takes them by name."""
    literals: Mapping[str, Any]


class Prepared:
    """One statement, with its parameters by name: `bindparam` of the statement and `columns`, which an INSERT or UPDATE sets.

    Values and results are what both drivers know by themselves: `int`, `str`, `bytes`, `None`. A statement whose text depends on
    its values (`IN` over a list) cannot be prepared: `ValueError` at its first call. Errors of the driver come as SQLAlchemy's
    (`IntegrityError`, `OperationalError`), without values.
    """

    def __init__(self, statement: Executable, *columns: str) -> None:
        self._statement = statement
        self._columns = columns
        self._texts: dict[str, _Text] = {}
        self._named: Callable[[Any], Any] | None = None

    def run(self, connection: Connection, **values: Any) -> int:
        """How many rows it wrote."""
        return int(self._execute(connection, values).rowcount)

    def first(self, connection: Connection, **values: Any) -> Any | None:
        """The first row, its members named as its columns."""
        rows = self.all(connection, **values)
        return rows[0] if rows else None

    def all(self, connection: Connection, **values: Any) -> list[Any]:
        cursor = self._execute(connection, values)
        found = cursor.fetchall()
        if self._named is None:
            self._named = _naming(cursor)
        return [self._named(row) for row in found]

    def _execute(self, connection: Connection, values: dict[str, Any]) -> DBAPICursor:
        if not connection.in_transaction():
            connection.begin()  # as SQLAlchemy does by itself: nothing is written outside a transaction
        dialect = connection.dialect
        text = self._texts.get(dialect.name) or self._compile(connection)
        if text.literals:
            values = {**text.literals, **values}
        driver: Any = connection.connection.driver_connection
        try:
            if text.order is None:
                return driver.execute(text.sql, values)  # type: ignore[no-any-return]
            return driver.execute(text.sql, [values[name] for name in text.order])  # type: ignore[no-any-return]
        except dialect.loaded_dbapi.Error as error:
            raise _failed(connection, driver, text.sql, error) from error

    def _compile(self, connection: Connection) -> _Text:
        assert isinstance(self._statement, ClauseElement)  # noqa: S101 - every statement is; mypy is not told
        compiled: Any = self._statement.compile(dialect=connection.dialect, column_keys=list(self._columns) or None)
        if compiled.post_compile_params or compiled.literal_execute_params:
            raise ValueError("the text of this statement depends on its values")
        literals = {name: value for name, value in compiled.params.items() if not compiled.binds[name].required}
        order = tuple(compiled.positiontup) if compiled.positional else None
        text = self._texts[connection.dialect.name] = _Text(compiled.string, order, literals)
        return text


def insert_new(table: Table) -> Insert:
    """An INSERT that leaves a row of the same key as it is; the count of rows tells.

    Both databases say `ON CONFLICT DO NOTHING`; SQLAlchemy has it in PostgreSQL's module, and compiles it for SQLite from there.
    """
    return insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def _naming(cursor: DBAPICursor) -> Callable[[Any], Any]:
    row = namedtuple("Row", [column[0] for column in cursor.description], rename=True)  # type: ignore[misc]
    make: Callable[[Any], Any] = row._make
    return make


def _failed(connection: Connection, driver: Any, sql: str, error: Exception) -> BaseException:
    shorten(error)
    lost = connection.dialect.is_disconnect(error, driver, None)  # type: ignore[arg-type]
    if lost:
        connection.invalidate()
        connection.engine.dispose()  # its neighbours in the pool are as dead
    return DBAPIError.instance(
        sql,
        None,
        error,
        connection.dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=connection.dialect,
    )

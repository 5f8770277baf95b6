"""A database as a sequence of lines that either kind of database takes back, with what else belongs to it (the key file).

```
{"backup": 1, "schema": "0005", "at": 1795000000, "keys": "base64 of the key file"}
{"table": "accounts", "columns": ["number", "state", …]}
[1234, "active", …]                      bytes as {"b": base64}
{"end": {"accounts": 1, …}}
```
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import sql
from sqlalchemy import Connection, MetaData, Table, func, inspect, select, text
from sqlalchemy.exc import ArgumentError, InternalError, OperationalError, StatementError

from alicem.store.migrate import migrate
from alicem.store.sealed_file import NotABackup

_BATCH = 1000  # rows held at once
_VERSIONS = "alembic_version"
_NOT_OURS = (ValueError, KeyError, TypeError, OverflowError, OSError)
"""What values of another form, or beyond what a column or a clock holds, raise."""
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
Progress = Callable[[int], None]
"""Told how many rows are done."""


class NotEmpty(Exception):
    """The database holds something that would be lost."""


@dataclass(frozen=True)
class Header:
    """`schema`: version of the database; `at`: Unix time; `keys`: the key file, as it was encrypted."""

    schema: str
    at: int
    keys: bytes


def dump(connection: Connection, header: Header, without: Collection[str], progress: Progress) -> Iterator[bytes]:
    """Every row of every table but `without`, on one moment of the database where the transaction has one."""
    keys = base64.b64encode(header.keys).decode()
    yield _line({"backup": 1, "schema": header.schema, "at": header.at, "keys": keys})
    counts, done = {}, 0
    for table in _tables(connection):
        counts[table.name] = 0
        yield _line({"table": table.name, "columns": [column.name for column in table.columns]})
        if table.name in without:
            continue
        query = select(table).order_by(*table.primary_key)
        for row in connection.execute(query, execution_options={"yield_per": _BATCH}):
            yield _line([{"b": base64.b64encode(one).decode()} if isinstance(one, bytes) else one for one in row])
            counts[table.name] += 1
        done += counts[table.name]
        progress(done)
    yield _line({"end": counts})


def read_header(lines: Iterator[bytes]) -> Header:
    """The first line. Raises `NotABackup`."""
    try:
        tree = json.loads(next(lines))
        if tree["backup"] != 1:
            raise NotABackup(f"this is a backup of version {tree['backup']!r:.20}")
        at = datetime.fromtimestamp(tree["at"], UTC)
        return Header(str(tree["schema"]), int(at.timestamp()), base64.b64decode(tree["keys"], validate=True))
    except (StopIteration, RecursionError, *_NOT_OURS) as error:
        raise NotABackup("the backup has no header") from error


def load(connection: Connection, schema: str, lines: Iterator[bytes], progress: Progress) -> dict[str, int]:
    """Make the tables of that version and fill them from what follows the header, in the caller's transaction; rows by table.

    Whatever was in the database before is dropped. Raises `NotABackup`, `UnknownSchema`.
    """
    _clear(connection)
    migrate(connection, schema)
    tables = {table.name: table for table in _tables(connection)}
    for table in reversed(tables.values()):
        connection.execute(table.delete())  # what the migrations put there
    counts = dict.fromkeys(tables, 0)
    try:
        for name, rows in _batches(lines):
            _insert(connection, tables[name], rows)
            counts[name] += len(rows)
            progress(sum(counts.values()))
    except (OperationalError, InternalError):  # the database's own trouble
        raise
    except (RecursionError, ArgumentError, StatementError, *_NOT_OURS) as error:
        raise NotABackup("the backup holds something else than rows of its tables") from error
    _continue_numbers(connection, tables)
    return counts


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """PostgreSQL's own way for many rows is several times as fast as an INSERT."""
    if connection.dialect.name != "postgresql":
        connection.execute(table.insert(), rows)
        return
    driver: Any = connection.connection.driver_connection
    errors = connection.dialect.loaded_dbapi
    columns = sql.SQL(", ").join(map(sql.Identifier, rows[0]))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns)
    try:
        with driver.cursor().copy(statement) as copy:
            for row in rows:
                copy.write_row(tuple(row.values()))
    except (errors.DataError, errors.IntegrityError) as error:
        raise NotABackup(f"the backup holds a row that {table.name} does not take") from error


def has_rows(connection: Connection, *tables: str) -> bool:
    """Whether one of these tables is there and holds anything."""
    there = set(inspect(connection).get_table_names())
    queries = (select(text("1")).select_from(text(name)).limit(1) for name in tables if name in there)
    return any(connection.execute(query).first() is not None for query in queries)


def _clear(connection: Connection) -> None:
    found = MetaData()
    found.reflect(connection)
    found.drop_all(connection)


def _tables(connection: Connection) -> list[Table]:
    """As they are, whatever version made them; those that others refer to first."""
    found = MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != _VERSIONS]


def _batches(lines: Iterator[bytes]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Rows with the name of their table, at most `_BATCH` at once."""
    table, counts = "", dict[str, int]()
    columns: list[str] = []
    rows: list[dict[str, Any]] = []
    for tree in map(json.loads, lines):
        if isinstance(tree, list):
            rows.append(dict(zip(columns, map(_value, tree), strict=True)))
        if rows and (len(rows) == _BATCH or isinstance(tree, dict)):
            yield table, rows
            counts[table] += len(rows)
            rows = []
        if isinstance(tree, dict) and "end" in tree:
            if tree["end"] != counts or next(lines, None) is not None:
                raise NotABackup("the backup does not end as it says")
            return
        if isinstance(tree, dict):
            table, columns = tree["table"], tree["columns"]
            counts[table] = 0
    raise NotABackup("the backup was cut")


def _continue_numbers(connection: Connection, tables: dict[str, Table]) -> None:
    """PostgreSQL counts rows beside them."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables.values():
        for column in table.primary_key:
            sequence = connection.execute(select(func.pg_get_serial_sequence(table.name, column.name))).scalar()
            if sequence is not None:
                last = select(func.coalesce(func.max(column), 0) + 1).scalar_subquery()
                connection.execute(select(func.setval(sequence, last, False)))


def _value(given: Any) -> Any:
    return base64.b64decode(given["b"], validate=True) if isinstance(given, dict) else given


def _line(tree: Any) -> bytes:
    return _encode(tree).encode() + b"\n"

"""How a database is opened: what SQLite and PostgreSQL must be told so that a commit is durable and an error names nobody."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from typing import Any

from sqlalchemy import BigInteger, Connection, Engine, Integer, MetaData, create_engine, event
from sqlalchemy.engine import ExceptionContext, make_url

metadata = MetaData()
"""Tables of the provider's own database. The broker and the registry have their own."""

Int64 = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits in both databases, for Unix times and for rows that are counted for ever: SQLite's INTEGER has them, PostgreSQL's has 32."""

READERS = 4
WRITERS, LOOKERS = 1, 1  # more threads of Python take turns more than they gain: docs/decisions/0007

_SQLITE_WAITS = 5.0  # seconds for whoever writes
_SQLITE_SESSION = (
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=ON",
    f"busy_timeout={_SQLITE_WAITS * 1000:.0f}",
    "cache_size=-32768",  # KiB: the upper pages of every index stay at hand, of ten million accounts too
)
_POSTGRESQL_SESSION = (
    b"set lock_timeout = '5s'",
    b"select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'",
)


def connect(url: str, *, looks: bool = False) -> Engine:
    """An engine for `sqlite:////path` or `postgresql+psycopg://role@host/name`. `looks`: on PostgreSQL, one that reads single statements."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        _keep_to_ourselves(address.database)
        engine = create_engine(url, hide_parameters=True)
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        isolation, connections = ("AUTOCOMMIT", LOOKERS) if looks else ("READ COMMITTED", READERS + WRITERS)
        engine = create_engine(url, hide_parameters=True, isolation_level=isolation, pool_size=connections)
        event.listen(engine, "connect", _only_reads if looks else _configure_postgresql)
    event.listen(engine, "handle_error", _without_values)
    return engine


def shorten(error: BaseException | None) -> None:
    """Leave of a driver's error what went wrong: PostgreSQL adds the values of the row it refuses."""
    diagnosis = getattr(error, "diag", None)
    if error is not None and diagnosis is not None and diagnosis.message_primary:
        error.args = (diagnosis.message_primary,)


def _keep_to_ourselves(file: str | None) -> None:
    """A new database is its owner's alone; the files beside it take their mode from it. One that cannot be made is the driver's to tell."""
    if file and file != ":memory:" and not os.path.lexists(file):
        with contextlib.suppress(OSError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _configure_sqlite(dbapi_connection: Any, _record: Any) -> None:
    dbapi_connection.isolation_level = None  # the driver must not begin transactions by itself: savepoints would break
    cursor = dbapi_connection.cursor()
    _log_ahead(cursor)
    for pragma in _SQLITE_SESSION:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _log_ahead(cursor: Any) -> None:
    """Write-ahead logging. Of several who open a new database one changes it; SQLite tells the others "locked" at once, whatever their time-out."""
    ends = time.monotonic() + _SQLITE_WAITS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
        time.sleep(0.01)


def _configure_postgresql(dbapi_connection: Any, _record: Any) -> None:
    # An operator may ask for more than `on` (remote_apply), never for less: what was acknowledged would be lost with the power.
    for statement in _POSTGRESQL_SESSION:
        dbapi_connection.execute(statement)
    dbapi_connection.commit()


def _only_reads(dbapi_connection: Any, _record: Any) -> None:
    dbapi_connection.execute(b"set default_transaction_read_only = on")
    dbapi_connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("alicem_writes", False):
        # A writer takes the lock at once: upgrading from a snapshot fails when another process wrote in between (SQLITE_BUSY_SNAPSHOT).
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        driver: Any = connection.connection.driver_connection
        driver.execute("BEGIN")  # takes no lock and cannot fail; by SQLAlchemy it would take as long as a look-up


def _without_values(context: ExceptionContext) -> None:
    shorten(context.original_exception)
    if context.sqlalchemy_exception is not None and context.original_exception.args:
        context.sqlalchemy_exception.args = context.original_exception.args

"""Tables of the journal. A row is written in the transaction of the operation it tells of.

The chain covers `digest`, which binds salt, account and content: erasing these three later leaves every seal verifiable and the digest meaningless.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    LargeBinary,
    Select,
    String,
    Table,
    cast,
    delete,
    func,
    insert,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy.types import NullType

from alicem.journal.chain import OF_ACCOUNTS, SALT, Part, Row, Segment, digest, parts
from alicem.store import Int64, Prepared, metadata

journal = Table(
    "journal",
    metadata,
    Column("number", Int64, primary_key=True),
    Column("at", Int64, nullable=False, comment="Unix time"),
    Column("event", String(40), nullable=False),
    Column("account", BigInteger, comment="account number; absent for sign-ins and refusals"),
    Column("salt", LargeBinary, comment="16 random bytes; gone once erased"),
    Column("content", LargeBinary, comment="JSON; gone once erased"),
    Column("digest", LargeBinary, nullable=False),
)

_NAMED = journal.c.account.is_not(None)  # most rows are sign-ins, which name no account
Index("journal_of_account", journal.c.account, sqlite_where=_NAMED, postgresql_where=_NAMED)

segments = Table(
    "journal_segments",
    metadata,
    Column("number", Int64, primary_key=True),
    Column("first", Int64, nullable=False),
    Column("last", Int64, nullable=False),
    Column("at", Int64, nullable=False),
    Column("root", LargeBinary, nullable=False, comment="Merkle root of the rows' leaves (RFC 6962 §2.1)"),
    Column("previous", LargeBinary, nullable=False, comment="SHA-256 of the previous seal"),
    Column("seal", String, nullable=False, comment="JWS of number, rows, root, previous and time"),
)

_AT_ONCE = 2_000  # rows held while a journal is read
_SEALING = 0x6A6F75726E616C  # "journal": the name of a lock in a database that may hold others'
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_APPEND = Prepared(insert(journal).inline(), "at", "event", "account", "salt", "content", "digest")


def append(
    connection: Connection,
    now: datetime,
    event: str,
    rng: Callable[[int], bytes],
    *,
    account: int | None = None,
    content: Mapping[str, Any] | None = None,
) -> None:
    """Write one row. `content` holds reasons, levels and counts: never a name, a number of a document, a service or an address.

    `account` goes with the events of `OF_ACCOUNTS` alone: `ValueError` with any other.
    """
    if account is not None and event not in OF_ACCOUNTS:
        raise ValueError(f"a row of {event} names no account")
    salt, body = rng(SALT), _encode(content or {}).encode()
    _APPEND.run(
        connection,
        at=int(now.timestamp()),
        event=event,
        account=account,
        salt=salt,
        content=body,
        digest=digest(salt, account, body),
    )


def alone(connection: Connection) -> bool:
    """Whether nobody else seals until this transaction ends. SQLite has one writer; on PostgreSQL the others do not wait: they would hold
    up the rows that they wrote in the same transaction, and the first with them."""
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.execute(select(func.pg_try_advisory_xact_lock(_SEALING))).scalar_one())


def settle(connection: Connection) -> None:
    """Until this transaction ends, rows that no seal covers follow each other without a gap and none can appear among them.

    On SQLite they always do: one writer, and the highest number plus one. PostgreSQL draws a number before its transaction ends: the
    lock waits for those under way, and what failed left a gap, which is closed. Whoever began after another's commit stays after it.
    """
    if connection.dialect.name != "postgresql":
        return
    connection.execute(text("LOCK TABLE journal IN SHARE ROW EXCLUSIVE MODE"))
    after = last_sealed(connection)
    found = select(func.count(), func.coalesce(func.max(journal.c.number), after)).where(journal.c.number > after)
    count, last = connection.execute(found).one()
    if count == last - after:
        return
    rows = select(journal.c.number, (after + func.row_number().over(order_by=journal.c.number)).label("place"))
    placed = rows.where(journal.c.number > after).subquery()
    wrong = (journal.c.number == placed.c.number) & (placed.c.number != placed.c.place)
    if connection.execute(update(journal).where(wrong).values(number=-placed.c.place)).rowcount:
        # By way of negative numbers: uniqueness is checked row by row.
        connection.execute(update(journal).where(journal.c.number < 0).values(number=-journal.c.number))
        last = connection.execute(select(func.max(journal.c.number))).scalar_one()
        connection.execute(text(f"ALTER SEQUENCE journal_number_seq RESTART WITH {last + 1:d}"))


def erase_content(connection: Connection, account: int) -> None:
    """Drop whom the rows of an erased account name and what they say; their digests, and so every seal, stay."""
    connection.execute(
        journal.update().where(journal.c.account == account).values(salt=None, content=None, account=None)
    )


@dataclass(frozen=True)
class Window:
    """What no seal covers yet: so many rows after row `sealed`, the oldest so many seconds old."""

    sealed: int
    rows: int
    seconds: int


def window(connection: Connection, now: datetime) -> Window:
    sealed = last_sealed(connection)
    waiting = select(func.count(), func.min(journal.c.at)).where(journal.c.number > sealed)
    rows, oldest = connection.execute(waiting).one()
    return Window(sealed, rows, max(int(now.timestamp()) - oldest, 0) if rows else 0)


def whole(connection: Connection, since: int = 1) -> Iterator[Part]:
    """Every segment from number `since` on with its rows, then the rows without. Read as they are taken, on one moment of the database
    where the transaction has one."""
    before = connection.execute(select(segments.c.first).where(segments.c.number == since)).scalar()
    return parts(_segments(connection, since), _rows(connection, None if since == 1 or before is None else before - 1))


def unsealed(connection: Connection, after: int, most: int) -> list[Row]:
    return list(_rows(connection, after, most))


def _rows(connection: Connection, after: int | None = None, most: int | None = None) -> Iterator[Row]:
    c = journal.c
    columns = (c.number, c.at, _as_bytes(connection, c.event), c.account, c.salt, c.content, c.digest)
    query = _as_stored(*columns).order_by(c.number).limit(most)
    return _read(connection, Row, query if after is None else query.where(c.number > after))


def _segments(connection: Connection, since: int) -> Iterator[Segment]:
    c = segments.c
    columns = (c.number, c.first, c.last, c.at, c.root, c.previous, _as_bytes(connection, c.seal))
    query = _as_stored(*columns).order_by(c.number)
    return _read(connection, Segment, query if since == 1 else query.where(c.number >= since))


def _read(connection: Connection, kind: Any, query: Select[Any]) -> Iterator[Any]:
    return map(kind._make, connection.execute(query, execution_options={"yield_per": _AT_ONCE}))


def _as_stored(*columns: ColumnElement[Any]) -> Any:
    """Values as the driver gives them: nothing may convert what is verified, since whoever altered it may have put anything there."""
    return select(*(type_coerce(column, NullType()) for column in columns))


def _as_bytes(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Text as its bytes: what was altered may be no text."""
    return cast(column, LargeBinary) if connection.dialect.name == "sqlite" else func.convert_to(column, "UTF8")


def last_segment(connection: Connection) -> Any | None:
    return connection.execute(select(segments).order_by(segments.c.number.desc()).limit(1)).first()


def add_segment(connection: Connection, segment: Segment) -> None:
    connection.execute(insert(segments).values(segment._asdict() | {"seal": segment.seal.decode()}))


def last_sealed(connection: Connection) -> int:
    """The number of the last row under a seal, 0 for none."""
    segment = last_segment(connection)
    return 0 if segment is None else int(segment.last)


def last_row(connection: Connection) -> int:
    """The number of the last row, 0 for none."""
    return connection.execute(select(func.max(journal.c.number))).scalar() or 0


def oldest_row(connection: Connection) -> int | None:
    return connection.execute(select(func.min(journal.c.number))).scalar()


def held(connection: Connection) -> int:
    """How many rows there are, by their numbers: they follow each other."""
    oldest = oldest_row(connection)
    return 0 if oldest is None else last_row(connection) - oldest + 1


def segment_of(connection: Connection, row: int) -> int | None:
    """The number of the segment that covers a row; None for a row without, or a broken journal. Sought by halves: no index is kept for it."""
    newest = last_segment(connection)
    if newest is None or newest.last < row:
        return None
    low, high = 1, int(newest.number)
    while low < high:
        middle = (low + high) // 2
        last = connection.execute(select(segments.c.last).where(segments.c.number == middle)).scalar()
        if last is None:
            return None
        low, high = (low, middle) if last >= row else (middle + 1, high)
    return low


def segments_from(connection: Connection, number: int) -> Iterator[Any]:
    """`number`, `last` and `at` of segments, in order."""
    query = select(segments.c.number, segments.c.last, segments.c.at).where(segments.c.number >= number)
    yield from connection.execute(query.order_by(segments.c.number), execution_options={"yield_per": _AT_ONCE})


def drop(connection: Connection, last: int) -> int:
    """Drop the rows up to `last`, the end of a segment; how many."""
    return connection.execute(delete(journal).where(journal.c.number <= last)).rowcount

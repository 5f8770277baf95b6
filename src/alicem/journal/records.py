"""Tables of the journal. A row is written in the transaction of the operation it tells of.

The chain covers `digest` = SHA-256(salt ‖ content): erasing salt and content later leaves every seal verifiable and the digest meaningless.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    LargeBinary,
    String,
    Table,
    func,
    insert,
    select,
    text,
    update,
)

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
    """Write one row. `content` holds reasons, levels and counts: never a name, a number of a document, a service or an address."""
    salt = rng(16)
    body = json.dumps(content or {}, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(salt + body).digest()
    at = int(now.timestamp())
    _APPEND.run(connection, at=at, event=event, account=account, salt=salt, content=body, digest=digest)


def settle(connection: Connection) -> None:
    """Until this transaction ends, rows that no seal covers follow each other without a gap and none can appear among them.

    On SQLite they always do: one writer, and the highest number plus one. PostgreSQL draws a number before its transaction ends: the
    lock waits for those under way, and what failed left a gap, which is closed. Whoever began after another's commit stays after it.
    """
    if connection.dialect.name != "postgresql":
        return
    connection.execute(text("LOCK TABLE journal IN SHARE ROW EXCLUSIVE MODE"))
    after = last_sealed(connection)
    rows = select(journal.c.number, (after + func.row_number().over(order_by=journal.c.number)).label("place"))
    placed = rows.where(journal.c.number > after).subquery()
    wrong = (journal.c.number == placed.c.number) & (placed.c.number != placed.c.place)
    if connection.execute(update(journal).where(wrong).values(number=-placed.c.place)).rowcount:
        # By way of negative numbers: uniqueness is checked row by row.
        connection.execute(update(journal).where(journal.c.number < 0).values(number=-journal.c.number))
        last = connection.execute(select(func.max(journal.c.number))).scalar_one()
        connection.execute(text(f"ALTER SEQUENCE journal_number_seq RESTART WITH {last + 1:d}"))


def erase_content(connection: Connection, account: int) -> None:
    """Drop what the rows of an erased account say; their digests, and so every seal, stay."""
    connection.execute(
        journal.update().where(journal.c.account == account).values(salt=None, content=None, account=None)
    )


def leaf(row: Any) -> bytes:
    """What the Merkle tree covers of a row. The account is not part of it: erasure takes it away."""
    return b"\x00".join((str(row.number).encode(), str(row.at).encode(), row.event.encode(), row.digest))


def unsealed(connection: Connection, after: int, most: int) -> list[Any]:
    query = select(journal).where(journal.c.number > after).order_by(journal.c.number).limit(most)
    return list(connection.execute(query))


def rows_of(connection: Connection, first: int, last: int) -> list[Any]:
    query = select(journal).where(journal.c.number.between(first, last)).order_by(journal.c.number)
    return list(connection.execute(query))


def last_segment(connection: Connection) -> Any | None:
    return connection.execute(select(segments).order_by(segments.c.number.desc()).limit(1)).first()


def all_segments(connection: Connection) -> list[Any]:
    return list(connection.execute(select(segments).order_by(segments.c.number)))


def add_segment(connection: Connection, **values: Any) -> None:
    connection.execute(insert(segments).values(**values))


def last_sealed(connection: Connection) -> int:
    """The number of the last row under a seal, 0 for none."""
    segment = last_segment(connection)
    return 0 if segment is None else int(segment.last)

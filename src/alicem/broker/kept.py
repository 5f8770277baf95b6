"""Tables of what outlives a sign-in: the citizen's history and blocks, browsers that are known, letters that have not left.

A person is `person`: a keyed hash of the civil registry's identity, whose key is not here. No value of any claim is here in the clear.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from alicem.broker.records import metadata
from alicem.store import Int64

SIX_MONTHS = 183 * 86_400
"""Seconds of history, and of a browser that is not seen again."""

history = Table(
    "history",
    metadata,
    Column("code", String(12), primary_key=True, comment="random: what a report of fraud names"),
    Column("person", String(64), nullable=False, index=True, comment="keyed hash of the identity"),
    Column("at", Int64, nullable=False, index=True, comment="Unix time"),
    Column("service", String(80), nullable=False, comment="client_id; empty for the history itself"),
    Column("provider", String(40), nullable=False),
    Column("level", String(8), nullable=False),
    Column("data", String(200), nullable=False, comment="names of the claims sent, none of their values"),
    Column("anew", Boolean, nullable=False, comment="false where the browser was still recognised"),
    Column("reported", Int64, comment="Unix time of: this was not me"),
)

blocks = Table(
    "blocks",
    metadata,
    Column("person", String(64), primary_key=True, comment="keyed hash of the identity"),
    Column("provider", String(40), primary_key=True),
    Column("since", Int64, nullable=False, comment="Unix time"),
)

browsers = Table(
    "browsers",
    metadata,
    Column("digest", String(64), primary_key=True, comment="SHA-256 of a cookie and a person"),
    Column("expires", Int64, nullable=False, index=True),
)

letters = Table(
    "letters",
    metadata,
    Column("id", String(43), primary_key=True),
    Column("due", Int64, nullable=False, index=True, comment="Unix time of the next try"),
    Column("expires", Int64, nullable=False, index=True),
    Column("tries", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False, comment="address and text, under a key that is not here"),
)


@dataclass(frozen=True)
class SignedIn:
    """A row of the history."""

    code: str
    person: str
    at: int
    service: str
    provider: str
    level: str
    data: tuple[str, ...]
    anew: bool
    reported: int | None = None


def add(connection: Connection, row: SignedIn) -> None:
    connection.execute(insert(history).values(row.__dict__ | {"data": " ".join(row.data)}))


def of(connection: Connection, person: str, since: int) -> list[SignedIn]:
    """A person's history, newest first; at most a thousand rows."""
    mine = select(history).where(history.c.person == person, history.c.at > since)
    return [_row(one) for one in connection.execute(mine.order_by(history.c.at.desc()).limit(1000))]


def seen(connection: Connection, person: str, since: int) -> tuple[frozenset[str], frozenset[str]]:
    """Providers and services in a person's history."""
    mine = (history.c.person == person, history.c.at > since)
    return (
        frozenset(connection.execute(select(history.c.provider).where(*mine).distinct()).scalars()),
        frozenset(connection.execute(select(history.c.service).where(*mine).distinct()).scalars()),
    )


def reported(connection: Connection) -> list[SignedIn]:
    """What people say was not them, newest report first."""
    return [
        _row(one)
        for one in connection.execute(
            select(history).where(history.c.reported.is_not(None)).order_by(history.c.reported.desc()).limit(1000)
        )
    ]


def report(connection: Connection, person: str, code: str, now: int) -> SignedIn | None:
    """A person says that a row of theirs was not them: once. None where it is not theirs, or was reported."""
    mine = (history.c.code == code, history.c.person == person, history.c.reported.is_(None))
    row = connection.execute(update(history).where(*mine).values(reported=now).returning(*history.c)).first()
    return None if row is None else _row(row)


def blocked(connection: Connection, person: str) -> frozenset[str]:
    """The providers a person blocked."""
    return frozenset(connection.execute(select(blocks.c.provider).where(blocks.c.person == person)).scalars())


def block(connection: Connection, person: str, provider: str, now: int) -> None:
    unblock(connection, person, provider)
    connection.execute(insert(blocks).values(person=person, provider=provider, since=now))


def unblock(connection: Connection, person: str, provider: str) -> None:
    connection.execute(delete(blocks).where(blocks.c.person == person, blocks.c.provider == provider))


def know(connection: Connection, digest: str, now: int) -> bool:
    """Know a browser of a person for six months more; whether it was known."""
    gone = connection.execute(delete(browsers).where(browsers.c.digest == digest).returning(browsers.c.expires))
    before = gone.scalar_one_or_none()
    connection.execute(insert(browsers).values(digest=digest, expires=now + SIX_MONTHS))
    return before is not None and before > now


def queue(connection: Connection, id: str, now: int, expires: int, sealed: bytes) -> None:
    connection.execute(insert(letters).values(id=id, due=now, expires=expires, tries=0, sealed=sealed))


def due(connection: Connection, now: int, most: int, again_at: int) -> list[tuple[str, int, bytes]]:
    """Letters to try now, each for one who asks: number, tries before, content. They come again at `again_at` unless told otherwise."""
    found = (
        select(letters.c.id).where(letters.c.due <= now, letters.c.expires > now).order_by(letters.c.due).limit(most)
    )
    taken = update(letters).where(letters.c.id.in_(found), letters.c.due <= now)
    rows = connection.execute(taken.values(due=again_at).returning(letters.c.id, letters.c.tries, letters.c.sealed))
    return [(row.id, row.tries, row.sealed) for row in rows]


def failed(connection: Connection, id: str, tries: int, again_at: int | None) -> None:
    """Try a letter again then, or never."""
    if again_at is None:
        sent(connection, id)
    else:
        connection.execute(update(letters).where(letters.c.id == id).values(tries=tries, due=again_at))


def sent(connection: Connection, id: str) -> None:
    connection.execute(delete(letters).where(letters.c.id == id))


def expire(connection: Connection, now: int) -> None:
    """Erase what is six months old, browsers nobody came with, letters that nobody took."""
    connection.execute(delete(history).where(history.c.at <= now - SIX_MONTHS))
    for table in (browsers, letters):
        connection.execute(delete(table).where(table.c.expires <= now))


def _row(row: object) -> SignedIn:
    told = dict(row._mapping)  # type: ignore[attr-defined]
    return SignedIn(**told | {"data": tuple(told["data"].split())})

"""Tables of accounts and phones, and the SQL over them. Functions take a connection; the caller owns the transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from alicem.accounts.states import STATUS, Event, State, after
from alicem.credential import set_status
from alicem.evidence import Level
from alicem.journal.records import erase_content
from alicem.store import metadata

accounts = Table(
    "accounts",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False, comment="random; known to server and phones"),
    Column("state", String(10), nullable=False),
    Column("level", SmallInteger, nullable=False, comment="1 low, 2 substantial, 3 high"),
    Column("used_month", String(7), nullable=False, comment="YYYY-MM of the last use"),
    Column("checked_month", String(7), nullable=False, comment="YYYY-MM of the identity check"),
    Column(
        "fingerprint", String(100), nullable=False, unique=True, comment="keyed hash of the document, with its key id"
    ),
    Column("suspension", LargeBinary, nullable=False, unique=True, comment="SHA-256 of the suspension code"),
    Column("status_index", Integer, nullable=False),
)

phones = Table(
    "phones",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account", ForeignKey("accounts.number", ondelete="CASCADE"), nullable=False, index=True),
    Column("thumbprint", String(43), nullable=False, unique=True, comment="RFC 7638 of the device public key"),
    Column("device_key", String(200), nullable=False, comment="device public key, JWK"),
    Column("key_kind", String(20), nullable=False),
    Column("pin_key", LargeBinary, nullable=False, comment="PIN public key, encrypted at rest"),
    Column("share", LargeBinary, nullable=False, comment="the server's half of the vault key, encrypted at rest"),
    Column("sequence", BigInteger, nullable=False, comment="highest instruction number seen"),
    Column("used", SmallInteger, nullable=False, comment="wrong codes since the last right one, 0 to 16"),
    Column("paused_until", Integer, nullable=False, comment="Unix time"),
    Column("last_instruction", LargeBinary, comment="SHA-256 of the instruction under `sequence`"),
    Column("last_outcome", String(20), comment="counted, done, code_wrong"),
)

challenges = Table(
    "challenges",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of the challenge"),
    Column("expires", Integer, nullable=False),
)

approvals = Table(
    "approvals",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of request object and number"),
    Column("phone", ForeignKey("phones.id", ondelete="CASCADE"), nullable=False),
    Column("expires", Integer, nullable=False),
)

face_tries = Table(
    "face_tries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("fingerprint", String(100), nullable=False, index=True, comment="keyed hash of the document"),
    Column("at", Integer, nullable=False, comment="Unix time"),
    Column("counted", SmallInteger, nullable=False, comment="1 for a refusal that counts, 0 for a try that broke off"),
)


@dataclass(frozen=True)
class ApprovingPhone:
    """The phone whose owner approved a request: its account, the account's state, the level they reach together."""

    account: int
    state: str
    level: Level
    thumbprint: str
    key_kind: str


def phone_by_thumbprint(connection: Connection, thumbprint: str) -> Any | None:
    """The phone's row with its account's `state`, `level`, `status_index`."""
    joined = phones.join(accounts)
    query = (
        select(phones, accounts.c.state, accounts.c.level, accounts.c.status_index)
        .select_from(joined)
        .where(phones.c.thumbprint == thumbprint)
    )
    return connection.execute(query).first()


def update_phone(connection: Connection, phone: int, **values: Any) -> None:
    connection.execute(update(phones).where(phones.c.id == phone).values(**values))


def move(connection: Connection, number: int, event: Event) -> State:
    """Apply an event to an account, its credential's status with it. Raises `NotAllowed`."""
    row = connection.execute(select(accounts.c.state, accounts.c.status_index).where(accounts.c.number == number)).one()
    state = after(State(row.state), event)
    set_status(connection, row.status_index, STATUS[state])
    if state in (State.CLOSED, State.EXPIRED):
        erase(connection, number)
    else:
        connection.execute(update(accounts).where(accounts.c.number == number).values(state=state))
    return state


def erase(connection: Connection, number: int) -> None:
    """Everything of an account, phones and approvals with it; the journal keeps digests alone."""
    connection.execute(delete(accounts).where(accounts.c.number == number))
    erase_content(connection, number)


def touch(connection: Connection, number: int, now: datetime) -> None:
    connection.execute(update(accounts).where(accounts.c.number == number).values(used_month=f"{now:%Y-%m}"))


def by_suspension(connection: Connection, digest: bytes) -> int | None:
    query = select(accounts.c.number).where(accounts.c.suspension == digest)
    return connection.execute(query).scalar()


def by_fingerprints(connection: Connection, fingerprints: tuple[str, ...]) -> int | None:
    """The account of a document under any live fingerprint key."""
    query = select(accounts.c.number).where(accounts.c.fingerprint.in_(fingerprints))
    return connection.execute(query).scalar()


def add_challenge(connection: Connection, digest: bytes, expires: int) -> None:
    connection.execute(insert(challenges).values(digest=digest, expires=expires))


def take_challenge(connection: Connection, digest: bytes, now: int) -> bool:
    taken = connection.execute(
        delete(challenges).where(challenges.c.digest == digest).returning(challenges.c.expires)
    ).scalar()
    return taken is not None and taken >= now


def add_approval(connection: Connection, digest: bytes, phone: int, expires: int) -> None:
    connection.execute(upsert(approvals).values(digest=digest, phone=phone, expires=expires).on_conflict_do_nothing())


def take_approval(connection: Connection, digest: bytes, now: datetime) -> ApprovingPhone | None:
    """The phone that approved this request, once. `digest`: SHA-256 of request object, `.` and the number typed."""
    taken = connection.execute(
        delete(approvals).where(approvals.c.digest == digest).returning(approvals.c.phone, approvals.c.expires)
    ).first()
    if taken is None or taken.expires < now.timestamp():
        return None
    query = (
        select(phones.c.account, phones.c.thumbprint, phones.c.key_kind, accounts.c.state, accounts.c.level)
        .select_from(phones.join(accounts))
        .where(phones.c.id == taken.phone)
    )
    row = connection.execute(query).one()
    return ApprovingPhone(row.account, row.state, Level(row.level), row.thumbprint, row.key_kind)


def begin_face_try(connection: Connection, fingerprint: str, now: datetime) -> int:
    """Write a try down before its first action is told: whoever breaks off has still had it. Its number."""
    values = insert(face_tries).values(fingerprint=fingerprint, at=int(now.timestamp()), counted=0)
    number: int = connection.execute(values.returning(face_tries.c.id)).scalar_one()
    return number


def end_face_try(connection: Connection, number: int, *, accepted: bool, counted: bool) -> None:
    """An accepted try leaves no trace; a refused one is kept, counted or not."""
    if accepted:
        connection.execute(delete(face_tries).where(face_tries.c.id == number))
    elif counted:
        connection.execute(update(face_tries).where(face_tries.c.id == number).values(counted=1))


def face_tries_since(connection: Connection, fingerprints: tuple[str, ...], since: datetime) -> tuple[int, int]:
    """How many tries of a document were begun, and how many of them counted."""
    query = select(face_tries.c.counted).where(
        face_tries.c.fingerprint.in_(fingerprints), face_tries.c.at >= since.timestamp()
    )
    counted = list(connection.execute(query).scalars())
    return len(counted), sum(counted)


def expire(connection: Connection, now: datetime, face_try_days: int) -> None:
    """Drop what time has ended: challenges, approvals, face tries."""
    at = int(now.timestamp())
    connection.execute(delete(challenges).where(challenges.c.expires < at))
    connection.execute(delete(approvals).where(approvals.c.expires < at))
    connection.execute(delete(face_tries).where(face_tries.c.at < at - face_try_days * 86400))

"""Tables of accounts and phones, and the SQL over them. Functions take a connection; the caller owns the transaction."""

from __future__ import annotations

from collections.abc import Sequence
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
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from alicem.evidence import Level
from alicem.journal.records import erase_content
from alicem.store import metadata

accounts = Table(
    "accounts",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False, comment="random; known to server and phones"),
    Column("state", String(10), nullable=False),
    Column("used_month", String(7), nullable=False, comment="YYYY-MM of the last use"),
    Column("checked_month", String(7), nullable=False, comment="YYYY-MM of the identity check"),
    Column(
        "fingerprint", String(100), nullable=False, unique=True, comment="keyed hash of the document, with its key id"
    ),
    Column("suspension", LargeBinary, nullable=False, unique=True, comment="SHA-256 of the suspension code"),
)

phones = Table(
    "phones",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account", ForeignKey("accounts.number", ondelete="CASCADE"), nullable=False, index=True),
    Column("thumbprint", String(43), nullable=False, unique=True, comment="RFC 7638 of the device public key"),
    Column("device_key", String(200), nullable=False, comment="device public key, JWK"),
    Column("key_kind", String(20), nullable=False, comment="keystore, passkey, passkey_synced, webcrypto or software"),
    Column("passkey", String(200), comment="public key of the passkey, JWK; other kinds have none"),
    Column("stage", String(10), nullable=False, comment="issued, joining, active or void"),
    Column("level", SmallInteger, nullable=False, comment="1 low, 2 substantial, 3 high"),
    Column("status_index", Integer, nullable=False, comment="where the status list tells of its credential"),
    Column("pin_key", LargeBinary, nullable=False, comment="PIN public key, encrypted at rest"),
    Column("next_pin_key", LargeBinary, comment="while the code is being changed: the new one, encrypted at rest"),
    Column("share", LargeBinary, nullable=False, comment="the server's half of the vault key, encrypted at rest"),
    Column("sequence", BigInteger, nullable=False, comment="highest instruction number seen"),
    Column("used", SmallInteger, nullable=False, comment="wrong codes since the last right one, 0 to 16"),
    Column("paused_until", Integer, nullable=False, comment="Unix time"),
    Column("last_instruction", LargeBinary, comment="SHA-256 of the instruction under `sequence`"),
    Column("last_outcome", String(20), comment="counted, done, code_wrong, or why a right code did nothing"),
)

challenges = Table(
    "challenges",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of a challenge that was spent"),
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
    """The phone whose owner approved a request: its account, the account's state, the level this phone reaches."""

    account: int
    state: str
    level: Level
    thumbprint: str
    key_kind: str


def add_account(connection: Connection, **values: Any) -> None:
    connection.execute(insert(accounts).values(**values))


def recheck(connection: Connection, number: int, **values: Any) -> None:
    """What a new check of the same person leaves at their account."""
    connection.execute(update(accounts).where(accounts.c.number == number).values(**values))


def add_phone(connection: Connection, **values: Any) -> None:
    """A phone that has used no number and no try yet."""
    connection.execute(insert(phones).values(sequence=0, used=0, paused_until=0, **values))


def phone_by_thumbprint(connection: Connection, thumbprint: str, *, hold: bool = False) -> Any | None:
    """The phone's row with its account's `state`. `hold`: nobody else changes phone or account until this transaction ends."""
    query = select(phones, accounts.c.state).select_from(phones.join(accounts)).where(phones.c.thumbprint == thumbprint)
    return connection.execute(query.with_for_update() if hold else query).first()


def update_phone(connection: Connection, phone: int, **values: Any) -> None:
    connection.execute(update(phones).where(phones.c.id == phone).values(**values))


def count_try(connection: Connection, phone: int, **values: Any) -> None:
    """A try begins: sequence, tries, pause and the instruction's digest, before its code is looked at."""
    update_phone(connection, phone, last_outcome="counted", **values)


def end_try(connection: Connection, phone: int, outcome: str, *, keep_next: bool) -> None:
    """The code was right: tries begin anew, and a change of code that was not finished is dropped."""
    kept = {} if keep_next else {"next_pin_key": None}
    update_phone(connection, phone, used=0, paused_until=0, last_outcome=outcome, **kept)


def state_of(connection: Connection, number: int) -> str:
    """The account's state; nobody else changes it until this transaction ends."""
    query = select(accounts.c.state).where(accounts.c.number == number).with_for_update()
    return str(connection.execute(query).scalar_one())


def lives(connection: Connection, number: int) -> bool:
    return connection.execute(select(accounts.c.number).where(accounts.c.number == number)).first() is not None


def set_state(connection: Connection, number: int, state: str) -> None:
    """For `life` alone, which writes the journal too."""
    connection.execute(update(accounts).where(accounts.c.number == number).values(state=state))


def status_indices(connection: Connection, number: int) -> list[int]:
    return list(connection.execute(select(phones.c.status_index).where(phones.c.account == number)).scalars())


def active_phones(connection: Connection, number: int) -> int:
    query = select(func.count()).where(phones.c.account == number, phones.c.stage == "active")
    return int(connection.execute(query).scalar_one())


def void_phones(connection: Connection, number: int) -> None:
    """Phones that were issued and not used yet lose their worth."""
    waiting = phones.c.stage.in_(("issued", "joining"))
    connection.execute(update(phones).where(phones.c.account == number, waiting).values(stage="void"))


def remove_phones(connection: Connection, number: int, keep: int) -> list[int]:
    """Remove all phones of an account but one; the status indices of those that went."""
    gone = delete(phones).where(phones.c.account == number, phones.c.id != keep).returning(phones.c.status_index)
    return list(connection.execute(gone).scalars())


def remove_waiting_phones(connection: Connection, number: int) -> list[int]:
    """Remove the phones of an account that never gave a right code; the status indices of those that went."""
    waiting = phones.c.stage != "active"
    gone = delete(phones).where(phones.c.account == number, waiting).returning(phones.c.status_index)
    return list(connection.execute(gone).scalars())


def erase(connection: Connection, number: int) -> None:
    """Everything of an account, phones and approvals with it; the journal keeps digests alone. For `life` alone."""
    connection.execute(delete(accounts).where(accounts.c.number == number))
    erase_content(connection, number)


def touch(connection: Connection, number: int, now: datetime) -> None:
    """Note the month of use, where it is another than noted."""
    month = f"{now:%Y-%m}"
    stale = (accounts.c.number == number) & (accounts.c.used_month != month)
    connection.execute(update(accounts).where(stale).values(used_month=month))


def by_suspension(connection: Connection, digest: bytes) -> int | None:
    query = select(accounts.c.number).where(accounts.c.suspension == digest)
    return connection.execute(query).scalar()


def set_suspension(connection: Connection, number: int, digest: bytes) -> bool:
    """Whether the code could be taken: another account's cannot."""
    other = by_suspension(connection, digest)
    if other not in (None, number):
        return False
    connection.execute(update(accounts).where(accounts.c.number == number).values(suspension=digest))
    return True


def by_fingerprints(connection: Connection, names: Sequence[str]) -> int | None:
    """The account of a document, `names` being its keyed fingerprints under every live key."""
    query = select(accounts.c.number).where(accounts.c.fingerprint.in_(names)).with_for_update()
    return connection.execute(query).scalar()


def set_fingerprint(connection: Connection, number: int, name: str) -> None:
    """Give an account a document, or the same one under a newer key."""
    moved = (accounts.c.number == number) & (accounts.c.fingerprint != name)
    connection.execute(update(accounts).where(moved).values(fingerprint=name))


def spend_challenge(connection: Connection, digest: bytes, expires: int) -> bool:
    """Whether this challenge was unspent and now is spent."""
    spent = upsert(challenges).values(digest=digest, expires=expires).on_conflict_do_nothing()
    return connection.execute(spent.returning(challenges.c.digest)).first() is not None


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
        select(phones.c.account, phones.c.thumbprint, phones.c.key_kind, phones.c.level, accounts.c.state)
        .select_from(phones.join(accounts))
        .where(phones.c.id == taken.phone)
    )
    row = connection.execute(query.with_for_update()).one()
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

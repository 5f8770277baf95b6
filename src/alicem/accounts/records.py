"""The SQL over accounts and phones. Functions take a connection; the caller owns the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from alicem.accounts.tables import accounts, approvals, challenges, face_tries, phones
from alicem.evidence import Level
from alicem.journal.records import erase_content
from alicem.store import Prepared, insert_new


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


_PHONE = (
    select(phones, accounts.c.state, accounts.c.used_month)
    .select_from(
        accounts.join(phones)
    )  # in this order rows are held: the account first, as whoever changes an account does
    .where(phones.c.thumbprint == bindparam("thumbprint"))
)
_FIND, _HOLD = Prepared(_PHONE), Prepared(_PHONE.with_for_update())
_KEYS = Prepared(
    select(phones.c.device_key, phones.c.key_kind, phones.c.passkey).where(
        phones.c.thumbprint == bindparam("thumbprint")
    )
)


def keys_of(connection: Connection, thumbprint: str) -> Any | None:
    """`device_key`, `key_kind` and `passkey` of a phone: what proves that an instruction is its own. As quick for nobody's as for a phone's."""
    return _KEYS.first(connection, thumbprint=thumbprint)


def phone_by_thumbprint(connection: Connection, thumbprint: str, *, hold: bool = False) -> Any | None:
    """The phone's row with its account's `state` and `used_month`. `hold`: nobody else changes phone or account until this transaction ends."""
    return (_HOLD if hold else _FIND).first(connection, thumbprint=thumbprint)


def update_phone(connection: Connection, phone: int, **values: Any) -> None:
    connection.execute(update(phones).where(phones.c.id == phone).values(**values))


_THIS_PHONE = update(phones).where(phones.c.id == bindparam("phone"))
_COUNT = Prepared(_THIS_PHONE, "sequence", "used", "paused_until", "last_instruction", "last_outcome")
_END = Prepared(_THIS_PHONE, "used", "paused_until", "last_outcome")
_WRONG = Prepared(_THIS_PHONE, "last_outcome")
_DROP_NEXT = Prepared(_THIS_PHONE.where(phones.c.next_pin_key.is_not(None)), "next_pin_key")


def count_try(
    connection: Connection, phone: int, *, sequence: int, used: int, paused_until: int, last_instruction: bytes
) -> None:
    """A try begins: sequence, tries, pause and the instruction's digest, before its code is looked at."""
    values = {"sequence": sequence, "used": used, "paused_until": paused_until, "last_instruction": last_instruction}
    _COUNT.run(connection, phone=phone, last_outcome="counted", **values)


def end_try(connection: Connection, phone: int, outcome: str) -> None:
    """The code was right: tries begin anew."""
    _END.run(connection, phone=phone, used=0, paused_until=0, last_outcome=outcome)


def wrong_code(connection: Connection, phone: int) -> None:
    """The code was wrong: the try stays counted."""
    _WRONG.run(connection, phone=phone, last_outcome="code_wrong")


def drop_next_code(connection: Connection, phone: int) -> None:
    """A change of code that was not finished is dropped."""
    _DROP_NEXT.run(connection, phone=phone, next_pin_key=None)


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


_ACTIVE = Prepared(
    select(func.count().label("phones")).where(phones.c.account == bindparam("account"), phones.c.stage == "active")
)


def active_phones(connection: Connection, number: int) -> int:
    """How many phones of the account are in use."""
    row = _ACTIVE.first(connection, account=number)
    return 0 if row is None else int(row.phones)


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


_TOUCH = Prepared(
    update(accounts).where(accounts.c.number == bindparam("account"), accounts.c.used_month < bindparam("noted")),
    "used_month",
)


def touch(connection: Connection, number: int, now: datetime) -> None:
    """Note the month of use, where it is a later one: a clock set back for an hour shortens nobody's time."""
    month = f"{now:%Y-%m}"
    _TOUCH.run(connection, account=number, noted=month, used_month=month)


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


_SPEND = Prepared(insert_new(challenges), "digest", "expires")
_APPROVE = Prepared(insert_new(approvals), "digest", "phone", "expires")


def spend_challenge(connection: Connection, digest: bytes, expires: int) -> bool:
    """Whether this challenge was unspent and now is spent."""
    return _SPEND.run(connection, digest=digest, expires=expires) == 1


def add_approval(connection: Connection, digest: bytes, phone: int, expires: int) -> None:
    _APPROVE.run(connection, digest=digest, phone=phone, expires=expires)


def take_approval(connection: Connection, digest: bytes, now: datetime) -> ApprovingPhone | None:
    """The phone that approved this request, once. `digest`: SHA-256 of request object, `.` and the number typed."""
    taken = connection.execute(
        delete(approvals).where(approvals.c.digest == digest).returning(approvals.c.phone, approvals.c.expires)
    ).first()
    if taken is None or taken.expires < now.timestamp():
        return None
    return _approving(connection, taken.phone)


def keep_approval(connection: Connection, digest: bytes, now: datetime, until: int) -> ApprovingPhone | None:
    """The phone that approved this request; its approval may still be taken until then, in Unix time."""
    living = (approvals.c.digest == digest) & (approvals.c.expires >= now.timestamp())
    kept = connection.execute(update(approvals).where(living).values(expires=until).returning(approvals.c.phone))
    phone = kept.scalar()
    return None if phone is None else _approving(connection, phone)


def _approving(connection: Connection, phone: int) -> ApprovingPhone:
    query = (
        select(phones.c.account, phones.c.thumbprint, phones.c.key_kind, phones.c.level, accounts.c.state)
        .select_from(accounts.join(phones))
        .where(phones.c.id == phone)
    )
    row = connection.execute(query.with_for_update()).one()
    return ApprovingPhone(row.account, row.state, Level(row.level), row.thumbprint, row.key_kind)


def expire(connection: Connection, now: datetime, face_try_days: int) -> None:
    """Drop what time has ended: challenges, approvals, face tries."""
    at = int(now.timestamp())
    connection.execute(delete(challenges).where(challenges.c.expires < at))
    connection.execute(delete(approvals).where(approvals.c.expires < at))
    connection.execute(delete(face_tries).where(face_tries.c.at < at - face_try_days * 86400))


def count_by_state(connection: Connection) -> dict[str, int]:
    """How many accounts there are in each state. Looks at every account."""
    query = select(accounts.c.state, func.count()).group_by(accounts.c.state).order_by(accounts.c.state)
    return {row[0]: row[1] for row in connection.execute(query)}

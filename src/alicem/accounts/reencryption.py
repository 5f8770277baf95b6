"""Which rows need a key of the ring, and moving ciphertexts to the at-rest key in use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, LargeBinary, Table, func, literal, or_, select, update

from alicem.accounts import at_rest
from alicem.accounts.tables import accounts, face_tries, phones
from alicem.keys import KeyRing
from alicem.store import Store

BATCH = 200  # phones a transaction: some 30 ms
_COLUMNS = ("pin_key", "next_pin_key", "share")


def rows_under(connection: Connection, kid: str) -> int:
    """Ciphertexts and document fingerprints that name this key."""
    under = _count(connection, phones, or_(*(_starts(phones.c[name], kid) for name in _COLUMNS)))
    return under + sum(
        _count(connection, table, table.c.fingerprint.startswith(f"{kid}:", autoescape=True))
        for table in (accounts, face_tries)
    )


async def reencrypt(store: Store, ring: KeyRing, *, now: datetime, rng: Callable[[int], bytes]) -> int:
    """Encrypt anew what is not under the at-rest key in use; how many phones that were. Safe beside running servers."""
    used = ring.secret("at_rest", now).kid
    moved, after = 0, 0
    while batch := await store.read(lambda c, last=after: _elsewhere(c, used, last)):  # type: ignore[misc]
        await store.write(lambda c, these=batch: _move(c, ring, these, now, rng))  # type: ignore[misc]
        moved, after = moved + len(batch), batch[-1]
    return moved


def _elsewhere(connection: Connection, used: str, after: int) -> list[int]:
    other = or_(*(phones.c[name].is_not(None) & ~_starts(phones.c[name], used) for name in _COLUMNS))
    query = select(phones.c.id).where(phones.c.id > after, other).order_by(phones.c.id).limit(BATCH)
    return list(connection.execute(query).scalars())


def _move(connection: Connection, ring: KeyRing, batch: list[int], now: datetime, rng: Callable[[int], bytes]) -> None:
    rows = connection.execute(select(phones).where(phones.c.id.in_(batch)).with_for_update()).all()
    for row in rows:
        held = {name: getattr(row, name) for name in _COLUMNS if getattr(row, name) is not None}
        plain = {name: at_rest.unprotect(ring, row.thumbprint, name, value) for name, value in held.items()}
        values = {name: at_rest.protect(ring, rng, row.thumbprint, name, value, now) for name, value in plain.items()}
        connection.execute(update(phones).where(phones.c.id == row.id).values(**values))


def _starts(column: Any, kid: str) -> ColumnElement[bool]:
    opening = kid.encode() + b"\x00"
    begins: ColumnElement[bool] = func.substr(column, 1, len(opening)) == literal(opening, LargeBinary)
    return begins


def _count(connection: Connection, table: Table, condition: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).select_from(table).where(condition)).scalar_one())

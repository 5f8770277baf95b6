"""What is kept of an account, whole, for its owner (GDPR, article 15; docs/data-subject-requests.md): the rows themselves, column by column.

The columns are told in docs/data.md. Left out is what would let codes be tried without the server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, func, select

from alicem import jose
from alicem.accounts.tables import accounts, approvals, face_tries, phones
from alicem.credential.records import statuses
from alicem.journal.records import journal

MOST = 250
"""Rows told of each table, the newest; all are counted. An account has a handful."""
WITHHELD: Mapping[str, Mapping[str, str]] = {
    "phones": {
        "pin_key": "with it codes could be tried without the server",
        "next_pin_key": "with it codes could be tried without the server",
        "share": "the phone is given it to open its vault, and keeps it nowhere",
    }
}
"""Columns that are not told, each with the reason."""
NOT_HELD = (
    "names",
    "dates and places of birth",
    "nationality and sex",
    "numbers and pictures of documents",
    "portrait, frames and scores of the face",
    "addresses, e-mail and telephone",
    "security code and suspension code",
    "sign-ins and services",
)


_NUMBERS = frozenset((accounts.c.number, phones.c.account, journal.c.account))


def own_record(connection: Connection, account: int, phone: int, now: datetime) -> dict[str, Any] | None:
    """Every row that bears the account or what leads to it, by table; None where there is no such account. `phone`: the id of the one that asks."""
    conditions = _conditions(account)
    told = {table.name: _rows(connection, table, condition) for table, condition in conditions.items()}
    if not told["accounts"]:
        return None
    return {
        "at": int(now.timestamp()),
        "phone": phone,
        "rows": {table.name: _count(connection, table, condition) for table, condition in conditions.items()},
        "tables": told,
        "withheld": WITHHELD,
        "not_held": NOT_HELD,
    }


def _conditions(account: int) -> dict[Table, ColumnElement[bool]]:
    """Which rows of each table are about an account. A table that is not here has nothing that leads to one."""
    its_phones = phones.c.account == account
    fingerprint = select(accounts.c.fingerprint).where(accounts.c.number == account)
    return {
        accounts: accounts.c.number == account,
        phones: its_phones,
        statuses: statuses.c.idx.in_(select(phones.c.status_index).where(its_phones)),
        approvals: approvals.c.phone.in_(select(phones.c.id).where(its_phones)),
        face_tries: face_tries.c.fingerprint.in_(fingerprint),
        journal: journal.c.account == account,
    }


def _rows(connection: Connection, table: Table, condition: ColumnElement[bool]) -> list[dict[str, Any]]:
    columns = [column for column in table.columns if column.name not in WITHHELD.get(table.name, {})]
    newest = select(*columns).where(condition).order_by(*(key.desc() for key in table.primary_key)).limit(MOST)
    return [
        {column.name: _told(column, value) for column, value in zip(columns, row, strict=True)}
        for row in connection.execute(newest)
    ]


def _count(connection: Connection, table: Table, condition: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).select_from(table).where(condition)).scalar_one())


def _told(column: Column[Any], value: Any) -> Any:
    """Bytes as base64url, an account number as digits (JSON of a browser has 53 bits), the journal's content as the JSON it is."""
    if column is journal.c.content and value is not None:
        return json.loads(value)
    if column in _NUMBERS:
        return str(value)
    return jose.b64(value) if isinstance(value, bytes) else value

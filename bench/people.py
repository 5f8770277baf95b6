"""A database as it is after ten thousand or ten million enrolments: filled by the database itself, every index of the schema in place.

No keys are drawn for phones that are never heard of: their rows hold random bytes of the right length. The phones that shall instruct are
chosen all over the table and given keys.
"""

from __future__ import annotations

import json
import random
import secrets
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, Engine, bindparam, func, select, update

from alicem import jose
from alicem.accounts import at_rest
from alicem.accounts.tables import phones
from alicem.keys import KeyRing
from bench.phones import Phone

_VALUES = 1 << 255  # below the order of P-256: each but 0 is a private value
_WORDS = {
    "sqlite": {
        "numbers": "(with recursive n(i) as (select 1 union all select i + 1 from n where i < %d) select i from n)",
        "number": "random() & 9007199254740991",
        "digits": "hex(randomblob(32))",
        "bytes": "randomblob(%d)",
    },
    "postgresql": {
        "numbers": "generate_series(1, %d)",
        "number": "('x' || left(md5(random()::text), 16))::bit(64)::bigint & 9007199254740991",
        "digits": "(md5(random()::text) || md5(random()::text))",
        "bytes": "decode(left(repeat(md5(random()::text) || md5(random()::text), 6), 2 * %d), 'hex')",
    },
}
_HASTE = {
    "sqlite": ("pragma journal_mode = off", "pragma synchronous = off", "pragma cache_size = -4000000"),
    "postgresql": ("set synchronous_commit = off",),
}
_ACCOUNTS = """
insert into accounts (number, state, used_month, checked_month, fingerprint, suspension)
select {number}, 'active', '2026-01', '2026-01', 'fingerprint-20260101-abcdef:' || substr({digits}, 1, 43), {bytes32}
from {numbers}"""
_PHONES = """
insert into phones (account, thumbprint, device_key, key_kind, stage, level, status_index, pin_key, share,
                    sequence, used, paused_until, last_instruction, last_outcome)
select number, substr({digits}, 1, 43), {digits} || {digits}, 'software', 'active', 2, 0, {bytes177}, {bytes84},
       9, 0, 0, {bytes32}, 'done'
from accounts"""
_AFTER = {"sqlite": ("analyze",), "postgresql": ("vacuum analyze",)}


def fill(engine: Engine, accounts: int) -> None:
    """Accounts with a phone each, in a migrated database nobody else has open."""
    kind = engine.dialect.name
    words = dict(_WORDS[kind])
    words["numbers"] %= accounts
    words |= {f"bytes{size}": words["bytes"] % size for size in (32, 84, 177)}
    connection = engine.raw_connection()
    driver: Any = connection.driver_connection
    if kind == "postgresql":
        driver.autocommit = True
    for statement in (*_HASTE[kind], _ACCOUNTS, _PHONES, *_AFTER[kind]):
        driver.execute(statement.format(**words))
    connection.invalidate()  # it was unsafe
    connection.close()
    engine.dispose()


def choose(connection: Connection, ring: KeyRing, count: int) -> list[Phone]:
    """Phones all over the table, their rows given keys."""
    most = connection.execute(select(func.max(phones.c.id))).scalar_one()
    chosen = [Phone(*(secrets.randbelow(_VALUES - 1) + 1 for _ in range(3))) for _ in range(count)]
    places = random.sample(range(1, most + 1), count)
    rows = [{"row": row, **_columns(phone, ring)} for row, phone in zip(places, chosen, strict=True)]
    columns = {name: bindparam(name) for name in rows[0] if name != "row"}
    connection.execute(update(phones).where(phones.c.id == bindparam("row")).values(columns), rows)
    return chosen


def _columns(phone: Phone, ring: KeyRing) -> dict[str, Any]:
    device, pin = (ec.derive_private_key(one, ec.SECP256R1()).public_key() for one in (phone.device, phone.pin))
    name, rng = jose.thumbprint(device), secrets.token_bytes
    now = datetime.now(UTC)
    return {
        "thumbprint": name,
        "device_key": json.dumps(jose.public_jwk(device)),
        "pin_key": at_rest.protect(ring, rng, name, "pin_key", json.dumps(jose.public_jwk(pin)).encode(), now),
        "share": at_rest.protect(ring, rng, name, "share", secrets.token_bytes(32), now),
    }

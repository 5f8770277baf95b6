"""Small journals: three seals over five rows each, two rows waiting, one account erased."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from alicem import journal
from alicem.journal.chain import Row, Segment
from alicem.journal.records import erase_content
from alicem.keys import SigningKey
from alicem.store import Store

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ERASED = 2
EVENTS: tuple[tuple[str, int | None, dict[str, Any]], ...] = (
    ("account_enrolled", 1, {"path": "chip", "level": "high"}),
    ("account_enrolled", ERASED, {"path": "chip", "level": "high"}),
    ("signed_in", None, {"level": "eidas3"}),
    ("code_changed", ERASED, {}),
    ("sign_in_refused", None, {"reason": "cancelled"}),
)

SETTINGS = """
[service]
profile = "development"
origin = "http://localhost:8000"
[database]
url = "{url}"
[keys]
file = "keys.bin"
[trust]
folder = "trust"
[registry]
url = "http://127.0.0.1:9"
token_file = "none"
[mail]
host = "127.0.0.1"
port = 9
sender = "alicem@example.org"
"""
"""`alicem.toml` of a provider that asks nobody."""


def new_key(kid: str = "journal-20261121-000001", at: datetime = NOW) -> SigningKey:
    private = ec.generate_private_key(ec.SECP256R1())
    return SigningKey(kid=kid, purpose="journal", private=private, created=at, used_from=at, use_by=None)


def write(connection: Connection, key: SigningKey, seals: int = 3, loose: int = 2, at: datetime = NOW) -> None:
    """Seals of five rows each, one a minute, then rows that wait."""
    for number in range(seals * 5 + loose):
        event, account, content = EVENTS[number % 5]
        then = at + timedelta(minutes=number // 5)
        journal.append(connection, then, event, secrets.token_bytes, account=account, content=content)
        if number % 5 == 4 and number < seals * 5:
            assert journal.seal(connection, key, then) == 5


@contextmanager
def written(url: str, key: SigningKey) -> Iterator[Connection]:
    store = Store(url)
    with store.engine.execution_options(alicem_writes=True).begin() as connection:
        write(connection, key)
        erase_content(connection, ERASED)
        yield connection
    store.close()


def stored(connection: Connection) -> tuple[list[Segment], list[Row]]:
    """What a journal is made of."""
    segments, rows = [], []
    for segment, its_rows in journal.whole(connection):
        segments += [segment] if segment is not None else []
        rows += its_rows
    return segments, rows

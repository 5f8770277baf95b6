"""Token Status List (IETF, two bits a credential): indices drawn at random, lists of 2^20, signed and cached.

Foreign verifiers read the list; the provider itself asks its database.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import datetime
from enum import IntEnum
from typing import Any

from sqlalchemy import Connection

from alicem import jose
from alicem.credential import records
from alicem.keys import SigningKey

SIZE = 1 << 20
TTL = 300  # seconds a verifier may keep a list


class Status(IntEnum):
    """Token Status List §7.1."""

    VALID = 0
    REVOKED = 1
    SUSPENDED = 2


class StatusListFull(Exception):
    """No free index was found in the list."""


def allocate(connection: Connection, rng: Callable[[int], bytes]) -> int:
    """A free index of list 0, drawn at random so that neighbours tell nothing about time."""
    for _ in range(64):
        index = int.from_bytes(rng(4), "big") % SIZE
        if records.claim_index(connection, index):
            return index
    raise StatusListFull("no free index in 64 draws")


def set_status(connection: Connection, index: int, status: Status) -> None:
    records.set_value(connection, index, int(status))


def reference(origin: str, index: int) -> dict[str, Any]:
    """The `status` claim of a credential."""
    return {"status_list": {"idx": index % SIZE, "uri": f"{origin}/status/{index // SIZE}"}}


def status_list(connection: Connection, number: int, key: SigningKey, origin: str, now: datetime) -> str:
    """List `number` as a signed token (`statuslist+jwt`)."""
    bits = bytearray(SIZE // 4)
    first = number * SIZE
    for index, value in records.values_between(connection, first, first + SIZE - 1):
        bits[(index - first) // 4] |= value << 2 * ((index - first) % 4)
    at = int(now.timestamp())
    payload = {
        "sub": f"{origin}/status/{number}",
        "iat": at,
        "exp": at + 2 * TTL,
        "ttl": TTL,
        "status_list": {"bits": 2, "lst": jose.b64(zlib.compress(bytes(bits), 9))},
    }
    return jose.sign(key.private, "statuslist+jwt", payload, kid=key.kid, x5c=key.x5c_header)

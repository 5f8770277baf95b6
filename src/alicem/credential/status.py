"""Token Status List (IETF draft-ietf-oauth-status-list, two bits a credential): indices drawn at random, lists of 2^20.

Foreign verifiers read the signed list; the provider itself asks its database (`current`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import IntEnum
from typing import Any

from sqlalchemy import Connection

from alicem import jose
from alicem.credential import records
from alicem.keys import SigningKey

SIZE = 1 << 20
TTL = 300  # seconds a verifier may keep a list
TYP = "statuslist+jwt"
_SAMPLE = 4096
MOST_LISTS = 1 << 11  # the column of indices has 32 bits
_LEVEL = 6  # of zlib: beyond it takes twice as long for a hundredth less


class Status(IntEnum):
    """Token Status List §7.1."""

    VALID = 0
    REVOKED = 1
    SUSPENDED = 2


class StatusListFull(Exception):
    """No free index was found."""


def allocate(connection: Connection, rng: Callable[[int], bytes]) -> int:
    """A free index of the newest list, drawn at random so that neighbours tell nothing about time. A list that is half full is followed by the next."""
    number = _newest(connection)
    for _ in range(64):
        index = number * SIZE + int.from_bytes(rng(4), "big") % SIZE
        if records.claim_index(connection, index):
            return index
        if _half_full(connection, index):
            number = _opened(connection, number + 1)
    raise StatusListFull("no free index in 64 draws")


def _newest(connection: Connection) -> int:
    number = records.newest_list(connection)
    return _opened(connection, 0) if number is None else number


def _opened(connection: Connection, number: int) -> int:
    if number >= MOST_LISTS:
        raise StatusListFull(f"{MOST_LISTS} lists are full")
    records.open_list(connection, number)
    return number


def _half_full(connection: Connection, index: int) -> bool:
    """As far as the neighbours of an index that was taken tell: to a hundredth, without a counter that all who issue would wait for."""
    first = index - index % _SAMPLE
    return 2 * records.taken_between(connection, first, first + _SAMPLE - 1) >= _SAMPLE


def set_status(connection: Connection, index: int, status: Status) -> None:
    """Where it was another, every worker publishes the list anew."""
    if records.set_value(connection, index, int(status)):
        records.list_changed(connection, index // SIZE)


def current(connection: Connection, index: int) -> Status:
    """What the database says now. An index nobody was given is as good as revoked."""
    value = records.value_of(connection, index)
    return Status.REVOKED if value is None else Status(value)


def reference(origin: str, index: int) -> dict[str, Any]:
    """The `status` claim of a credential."""
    return {"status_list": {"idx": index % SIZE, "uri": address(origin, index // SIZE)}}


def index_of(status: Mapping[str, Any]) -> int:
    """The index a `status` claim of ours refers to. Raises `KeyError`, `TypeError`, `ValueError`, `AttributeError`."""
    listed = status["status_list"]
    index = int(listed["uri"].rpartition("/")[2]) * SIZE + listed["idx"]
    if not 0 <= listed["idx"] < SIZE:
        raise ValueError("no index of a list")
    return int(index)


def address(origin: str, number: int) -> str:
    return f"{origin}/status/{number}"


def status_list(connection: Connection, number: int, key: SigningKey, origin: str, now: datetime) -> str:
    """List `number` as a signed token (§5.1)."""
    first, free = number * SIZE, records.free_of(connection, number)
    values = records.values_between(connection, first, first + SIZE - 1, free)
    lst = packed(((index - first, value) for index, value in values), free=free)
    at = int(now.timestamp())
    payload = {
        "sub": address(origin, number),
        "iat": at,
        "exp": at + 2 * TTL,
        "ttl": TTL,
        "status_list": {"bits": 2, "lst": lst, "aggregation_uri": f"{origin}/status"},
    }
    return jose.sign(key.private, TYP, payload, kid=key.kid, x5c=key.x5c_header)


def packed(values: Iterable[tuple[int, int]], size: int = SIZE, free: int = Status.VALID) -> str:
    """`lst` of a list in which all but `values` (index, status; each index once) are `free` (§4.1)."""
    bits = bytearray([free * 0b01010101]) * (size // 4)
    for index, value in values:
        bits[index >> 2] ^= (value ^ free) << 2 * (index & 3)
    return jose.b64(zlib.compress(bits, _LEVEL))

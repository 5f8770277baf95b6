"""The suspension code: 20 Crockford characters (100 bits), shown once, kept as a hash, sufficient alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from alicem.accounts import life, records
from alicem.accounts.states import Event

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 20
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", " ": None, "-": None})


def draw(rng: Callable[[int], bytes]) -> str:
    """A new code, without separators."""
    return "".join(ALPHABET[byte & 31] for byte in rng(LENGTH))


def shown(code: str) -> str:
    """In groups of four, as people copy it."""
    return " ".join(code[i : i + 4] for i in range(0, LENGTH, 4))


def digest(typed: str) -> bytes:
    """The hash under which a code is found, whatever case, spaces or look-alike letters were typed."""
    return hashlib.sha256(b"alicem suspension v1" + typed[:100].upper().translate(_READ_AS).encode()).digest()


def suspend(connection: Connection, typed: str, now: datetime, rng: Callable[[int], bytes]) -> bool:
    """Suspend the account of this code, effective on the next request. False where no account has it."""
    number = records.by_suspension(connection, digest(typed))
    if number is None:
        return False
    life.apply(connection, number, Event.SUSPEND, by="suspension_code", now=now, rng=rng)
    return True

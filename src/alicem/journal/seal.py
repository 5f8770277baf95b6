"""Seal the rows that no seal covers yet: one segment over their Merkle root and the seal before it."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import Connection

from alicem.journal import records
from alicem.journal.chain import BEFORE_ALL, MOST, SEAL, Segment, payload, root_of, sign
from alicem.keys import SigningKey


def seal(connection: Connection, key: SigningKey, now: datetime) -> int:
    """How many rows that were, `MOST` at most; none while somebody else seals."""
    if not records.alone(connection):
        return 0
    records.settle(connection)
    last = records.last_segment(connection)
    rows = records.unsealed(connection, last.last if last else 0, MOST)
    if not rows:
        return 0
    previous = hashlib.sha256(last.seal.encode()).digest() if last else BEFORE_ALL
    number = last.number + 1 if last else 1
    covered = (number, rows[0].number, rows[-1].number, int(now.timestamp()), root_of(rows), previous)
    records.add_segment(connection, Segment(*covered, sign(key, SEAL, payload(*covered)).encode()))
    return len(rows)

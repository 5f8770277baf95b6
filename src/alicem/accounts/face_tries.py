"""How often a document's face was tried: the one thing kept of a refusal, for a week, under the document's keyed fingerprint."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from alicem.accounts.tables import face_tries


def begin(connection: Connection, fingerprint: str, now: datetime) -> int:
    """Write a try down before its first action is told: whoever breaks off has still had it. Its number."""
    values = insert(face_tries).values(fingerprint=fingerprint, at=int(now.timestamp()), counted=0)
    number: int = connection.execute(values.returning(face_tries.c.id)).scalar_one()
    return number


def end(connection: Connection, number: int, *, accepted: bool, counted: bool) -> None:
    """An accepted try leaves no trace; a refused one is kept, counted or not."""
    if accepted:
        connection.execute(delete(face_tries).where(face_tries.c.id == number))
    elif counted:
        connection.execute(update(face_tries).where(face_tries.c.id == number).values(counted=1))


def since(connection: Connection, fingerprints: Sequence[str], after: datetime) -> tuple[int, int]:
    """How many tries of a document were begun, and how many of them counted."""
    query = select(face_tries.c.counted).where(
        face_tries.c.fingerprint.in_(fingerprints), face_tries.c.at >= after.timestamp()
    )
    counted = list(connection.execute(query).scalars())
    return len(counted), sum(counted)

"""The status of each credential: two bits under a random index, without a link to an account here."""

from __future__ import annotations

from sqlalchemy import Column, Connection, Integer, SmallInteger, Table, select, update

from alicem.store import Prepared, insert_new, metadata

statuses = Table(
    "statuses",
    metadata,
    Column("idx", Integer, primary_key=True, autoincrement=False, comment="drawn at random below 2^20 a list"),
    Column("value", SmallInteger, nullable=False, comment="0 valid, 1 revoked, 2 suspended"),
)

_CLAIM = Prepared(insert_new(statuses), "idx", "value")


def claim_index(connection: Connection, index: int) -> bool:
    """Whether the index was free and is now taken."""
    return _CLAIM.run(connection, idx=index, value=0) == 1


def set_value(connection: Connection, index: int, value: int) -> None:
    connection.execute(update(statuses).where(statuses.c.idx == index).values(value=value))


def values_between(connection: Connection, first: int, last: int) -> list[tuple[int, int]]:
    """Index and value of everything that is not valid."""
    query = select(statuses.c.idx, statuses.c.value).where(statuses.c.idx.between(first, last), statuses.c.value != 0)
    return [(row.idx, row.value) for row in connection.execute(query)]

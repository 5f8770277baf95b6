"""The status of each credential: two bits under a random index, without a link to an account here."""

from __future__ import annotations

from sqlalchemy import Column, Connection, Integer, SmallInteger, Table, bindparam, func, select, update

from alicem.store import Int64, Prepared, insert_new, metadata

statuses = Table(
    "statuses",
    metadata,
    Column("idx", Integer, primary_key=True, autoincrement=False, comment="drawn at random, 2^20 a list"),
    Column("value", SmallInteger, nullable=False, comment="0 valid, 1 revoked, 2 suspended"),
)
status_lists = Table(
    "status_lists",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False, comment="rises by one; the newest is drawn from"),
    Column("version", Int64, nullable=False, comment="rises with each change of a status in the list"),
    Column(
        "free",
        SmallInteger,
        nullable=False,
        server_default="0",
        comment="what an index nobody was given says: 0, or 1 once a restore forgot to whom",
    ),
)

_CLAIM = Prepared(insert_new(statuses), "idx", "value")
_SET = Prepared(
    update(statuses).where(statuses.c.idx == bindparam("at"), statuses.c.value != bindparam("other")), "value"
)
_VALUE = Prepared(select(statuses.c.value).where(statuses.c.idx == bindparam("idx")))
_COUNT = Prepared(
    select(func.count().label("taken"))
    .select_from(statuses)
    .where(statuses.c.idx.between(bindparam("first"), bindparam("last")))
)
_NEWEST = Prepared(select(func.max(status_lists.c.number).label("number")))
_OPEN = Prepared(insert_new(status_lists), "number", "version")
_CHANGED = Prepared(
    update(status_lists)
    .where(status_lists.c.number == bindparam("list"))
    .values(version=status_lists.c.version + bindparam("one"))
)
_VERSION = Prepared(select(status_lists.c.version).where(status_lists.c.number == bindparam("number")))


def claim_index(connection: Connection, index: int) -> bool:
    """Whether the index was free and is now taken."""
    return _CLAIM.run(connection, idx=index, value=0) == 1


def set_value(connection: Connection, index: int, value: int) -> bool:
    """Whether it had another value."""
    return _SET.run(connection, at=index, other=value, value=value) > 0


def value_of(connection: Connection, index: int) -> int | None:
    row = _VALUE.first(connection, idx=index)
    return None if row is None else int(row.value)


def taken_between(connection: Connection, first: int, last: int) -> int:
    row = _COUNT.first(connection, first=first, last=last)
    return 0 if row is None else int(row.taken)


def values_between(connection: Connection, first: int, last: int, free: int) -> list[tuple[int, int]]:
    """Index and value of everything that says something else than `free`."""
    own = statuses.c.value != free
    query = select(statuses.c.idx, statuses.c.value).where(statuses.c.idx.between(first, last), own)
    return [(row.idx, row.value) for row in connection.execute(query)]


def free_of(connection: Connection, number: int) -> int:
    """What an index of this list says that nobody was given."""
    return int(connection.execute(select(status_lists.c.free).where(status_lists.c.number == number)).scalar() or 0)


def revoke_free(connection: Connection, number: int) -> None:
    """Whoever has an index of this list and is not known here is revoked."""
    changed = {"free": 1, "version": status_lists.c.version + 1}
    connection.execute(update(status_lists).where(status_lists.c.number == number).values(changed))


def newest_list(connection: Connection) -> int | None:
    row = _NEWEST.first(connection)
    return None if row is None or row.number is None else int(row.number)


def open_list(connection: Connection, number: int) -> None:
    """Whoever comes second finds it open."""
    _OPEN.run(connection, number=number, version=0)


def list_changed(connection: Connection, number: int) -> None:
    _CHANGED.run(connection, list=number, one=1)


def version_of(connection: Connection, number: int) -> int | None:
    """None where there is no such list."""
    row = _VERSION.first(connection, number=number)
    return None if row is None else int(row.version)

"""From every earlier version, with rows in it, to the newest: what people have stays, and the schema is the one declared."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, text

import alicem.app  # noqa: F401 - declares every table of the provider
from alicem.store import Store, metadata, upgrade
from alicem.store.migrate import PROVIDER_VERSIONS, UnknownSchema, migrate, version_of

VERSIONS = sorted(file.name[:4] for file in PROVIDER_VERSIONS.glob("0*.py"))
THUMBPRINT = "t" * 43


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty database without a schema."""
    url = f"sqlite:///{tmp_path}/old.db"
    if request.param == "postgresql":
        cluster = request.getfixturevalue("cluster")
        url = cluster.url(cluster.create())
    store = Store(url)
    yield store
    store.close()


def made(store: Store, version: str) -> None:
    """A database of that version with a row in every table."""
    with store.engine.execution_options(alicem_writes=True).begin() as connection:
        migrate(connection, version)
        found = MetaData()
        found.reflect(connection)
        for table in found.sorted_tables:
            if table.name not in ("alembic_version", "status_lists"):
                connection.execute(table.insert().values({c.name: _VALUES.get(c.name, _of(c)) for c in table.columns}))


_VALUES: dict[str, Any] = {
    "thumbprint": THUMBPRINT, "state": "active", "number": 7, "account": 7, "id": 3, "phone": 3, "level": 2,
    "status_index": 9, "used_month": "2026-11", "checked_month": "2026-11", "sequence": 40, "used": 5, "first": 7, "last": 7,
    "idx": 9, "value": 2,
}  # fmt: skip


def _of(column: Any) -> Any:
    return {int: 1, str: f"{column.name}", bytes: column.name.encode()}[column.type.python_type]


def differences(connection: Connection) -> list[Any]:
    found = compare_metadata(MigrationContext.configure(connection), metadata)
    return [one for one in found if not (isinstance(one, list) and one[0][0] == "modify_comment")]


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(text(query))]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_earlier_version_comes_up_with_its_rows(store: Store, version: str) -> None:
    made(store, version)
    for _ in range(2):  # a second time changes nothing
        upgrade(store.engine)
    with store.engine.connect() as connection:
        assert differences(connection) == []
        assert version_of(connection) == VERSIONS[-1]
        assert rows(connection, "select number, state, used_month, fingerprint from accounts") == [
            (7, "active", "2026-11", "fingerprint")
        ]
        phones = (
            "select id, account, thumbprint, stage, level, status_index, sequence, used, pin_key, share from phones"
        )
        (phone,) = rows(connection, phones)
        stage = "active" if version < "0003" else "stage"
        assert phone[:8] == (3, 7, THUMBPRINT, stage, 2, 9, 40, 5)
        assert (bytes(phone[8]), bytes(phone[9])) == (b"pin_key", b"share")
        assert rows(connection, "select idx, value from statuses") == [(9, 2)]
        assert rows(connection, "select number, event, account from journal") == [(7, "event", 7)]
        assert rows(connection, "select first, last from journal_segments") == [(7, 7)]
        assert rows(connection, "select count(*) from status_lists") == [(1,)]


def test_an_account_that_was_never_used_has_a_phone_that_waits(store: Store) -> None:
    made(store, "0002")
    with store.engine.execution_options(alicem_writes=True).begin() as connection:
        connection.execute(text("update accounts set state = 'enrolled'"))
    upgrade(store.engine)
    with store.engine.connect() as connection:
        assert rows(connection, "select stage from phones") == [("issued",)]


@pytest.mark.parametrize("version", [None, VERSIONS[0]])
def test_servers_that_start_together_migrate_once(store: Store, version: str | None) -> None:
    if version is not None:
        made(store, version)
    url = store.engine.url.render_as_string(hide_password=False)
    stores = [Store(url) for _ in range(4)]
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda one: upgrade(one.engine), stores))
    for one in stores:
        one.close()
    with store.engine.connect() as connection:
        assert (differences(connection), version_of(connection)) == ([], VERSIONS[-1])


def test_a_newer_schema_is_named_and_left_alone(store: Store) -> None:
    upgrade(store.engine)
    with store.engine.execution_options(alicem_writes=True).begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(UnknownSchema, match="9999"):
        upgrade(store.engine)
    with store.engine.connect() as connection:
        assert version_of(connection) == "9999"


BROKEN = """
from alembic import op
revision, down_revision = "9000", "LAST"
def upgrade():
    op.execute("create table half (n integer)")
    op.execute("select nothing from nowhere")
"""


def test_a_migration_that_fails_leaves_the_version_of_before(store: Store, tmp_path: Path) -> None:
    upgrade(store.engine)
    for file in PROVIDER_VERSIONS.glob("0*.py"):
        (tmp_path / file.name).write_text(file.read_text())
    (tmp_path / "9000_broken.py").write_text(BROKEN.replace("LAST", VERSIONS[-1]))
    with pytest.raises(Exception, match="nowhere"):
        upgrade(store.engine, tmp_path)
    with store.engine.connect() as connection:
        assert (differences(connection), version_of(connection)) == ([], VERSIONS[-1])


def test_versions_follow_each_other_without_a_gap() -> None:
    assert [f"{number:04}" for number in range(1, len(VERSIONS) + 1)] == VERSIONS

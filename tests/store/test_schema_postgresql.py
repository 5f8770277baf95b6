"""The migrations of every database make on PostgreSQL what the code declares, with room for times after 2038."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import BigInteger, MetaData, inspect

import alicem.app  # noqa: F401 - declares every table of the provider
import postgres
from alicem.broker import app as broker
from alicem.broker import records as broker_records
from alicem.registry import app as registry
from alicem.registry import records as registry_records
from alicem.store import Store, metadata, upgrade
from alicem.store.migrate import PROVIDER_VERSIONS

DATABASES = {
    "provider": (metadata, PROVIDER_VERSIONS),
    "registry": (registry_records.metadata, registry.VERSIONS),
    "broker": (broker_records.metadata, broker.VERSIONS),
}
TIMES = {"at", "expires", "expires_at", "paused_until", "carried_at", "due"}


@pytest.mark.parametrize(("declared", "versions"), DATABASES.values(), ids=list(DATABASES))
def test_migrations_make_what_is_declared(cluster: postgres.Cluster, declared: MetaData, versions: Path) -> None:
    name = cluster.create()
    store = Store(cluster.url(name))
    for _ in range(2):  # a second time changes nothing
        upgrade(store.engine, versions)
    with store.engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), declared)
    differences = [one for one in found if not (isinstance(one, list) and one[0][0] == "modify_comment")]
    narrow = [
        (table, column["name"])
        for table in declared.tables
        for column in inspect(store.engine).get_columns(table)
        if column["name"] in TIMES and not isinstance(column["type"], BigInteger)
    ]
    store.close()
    cluster.drop(name)
    assert (differences, narrow) == ([], [])


def test_processes_that_start_together_migrate_once(cluster: postgres.Cluster) -> None:
    name = cluster.create()
    stores = [Store(cluster.url(name)) for _ in range(4)]
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda store: upgrade(store.engine), stores))
    for store in stores:
        store.close()
    cluster.drop(name)

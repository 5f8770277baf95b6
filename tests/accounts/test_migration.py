"""An account of an earlier version is whole in this one."""

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

import postgres
from alicem.store import Store, upgrade
from alicem.store.migrate import HERE, PROVIDER_VERSIONS

ACCOUNT = """insert into accounts (number, state, level, used_month, checked_month, fingerprint, suspension, status_index)
    values (:number, :state, 2, '2026-11', '2026-11', :name, :stop, :index)"""
PHONE = """insert into phones (account, thumbprint, device_key, key_kind, pin_key, share, sequence, used, paused_until)
    values (:number, :name, '{}', 'webcrypto', :stop, :stop, 4, 1, 0)"""


def up_to(store: Store, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(HERE / "migrations"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(PROVIDER_VERSIONS))
    with store.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty database without any schema."""
    if request.param == "sqlite":
        return Store(f"sqlite:///{tmp_path}/old.db")
    cluster: postgres.Cluster = request.getfixturevalue("cluster")
    return Store(cluster.url(cluster.create()))


def test_phones_take_over_what_their_account_had(store: Store) -> None:
    up_to(store, "0002")
    with store.engine.begin() as connection:
        for number, state in ((1, "active"), (2, "enrolled"), (3, "suspended")):
            values = {
                "number": number,
                "state": state,
                "name": f"n{number}",
                "stop": bytes([number]),
                "index": 40 + number,
            }
            connection.execute(text(ACCOUNT), values)
            connection.execute(text(PHONE), values)
        connection.execute(text("insert into challenges (digest, expires) values (:digest, 1)"), {"digest": b"c"})
    upgrade(store.engine)
    with store.engine.connect() as connection:
        query = "select account, stage, level, status_index, passkey, next_pin_key, sequence, used from phones order by account"
        rows = [tuple(row) for row in connection.execute(text(query))]
        left = connection.execute(text("select count(*) from challenges")).scalar()
    store.close()
    assert rows == [
        (1, "active", 2, 41, None, None, 4, 1),
        (2, "issued", 2, 42, None, None, 4, 1),
        (3, "active", 2, 43, None, None, 4, 1),
    ]
    assert left == 0  # an unspent challenge of the version before is nobody's

"""Bring a database to the newest schema, with Alembic.

The provider, the broker and the registry each have a folder of versions; they share this environment.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, func, select

HERE = Path(__file__).parent
PROVIDER_VERSIONS = HERE / "migrations" / "versions"
_MIGRATING = 0x616C6963656D  # "alicem": the name of a lock in a database that may hold others'


def upgrade(engine: Engine, versions: Path = PROVIDER_VERSIONS) -> None:
    """Apply every version of `versions` that this database does not have yet, in one transaction; one process at a time."""
    config = Config()
    config.set_main_option("script_location", str(HERE / "migrations"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(versions))
    with engine.execution_options(alicem_writes=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

"""Bring a database to the newest schema, with Alembic.

The provider, the broker and the registry each have a folder of versions; they share this environment. There is no way down: what a
version took away cannot be made again. The way back is the backup of before.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, func, select

HERE = Path(__file__).parent
PROVIDER_VERSIONS = HERE / "migrations" / "versions"
_MIGRATING = 0x616C6963656D  # "alicem": the name of a lock in a database that may hold others'


class UnknownSchema(Exception):
    """The database, or a backup, is of a version this program does not know: it was written by a newer one."""

    def __init__(self, version: str) -> None:
        super().__init__(f"schema {version} is not known to this program: a newer one wrote it")
        self.version = version


def upgrade(engine: Engine, versions: Path = PROVIDER_VERSIONS) -> None:
    """Apply every version of `versions` that this database does not have yet, in one transaction; one process at a time.

    Raises `UnknownSchema`.
    """
    with engine.execution_options(alicem_writes=True).begin() as connection:
        migrate(connection, versions=versions)


def migrate(connection: Connection, to: str = "head", versions: Path = PROVIDER_VERSIONS) -> None:
    """As `upgrade`, up to version `to`, in the transaction of the caller. Raises `UnknownSchema`."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
    config = _config(versions)
    for version in (version_of(connection), None if to == "head" else to):
        if version is not None and version not in _known(config):
            raise UnknownSchema(version)
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def version_of(connection: Connection) -> str | None:
    """The version of the schema of this database, None where it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def _known(config: Config) -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}


def _config(versions: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE / "migrations"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(versions))
    return config

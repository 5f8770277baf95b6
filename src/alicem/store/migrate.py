"""Bring a database to the newest schema, with Alembic.

The provider, the broker and the registry each have a folder of versions; they share this environment.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

HERE = Path(__file__).parent
PROVIDER_VERSIONS = HERE / "migrations" / "versions"


def upgrade(engine: Engine, versions: Path = PROVIDER_VERSIONS) -> None:
    """Apply every version of `versions` that this database does not have yet, in one transaction."""
    config = Config()
    config.set_main_option("script_location", str(HERE / "migrations"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(versions))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

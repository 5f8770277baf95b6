"""The bottom: one database, its transactions and its migrations. Imports no room."""

from alicem.store.engine import Store, metadata
from alicem.store.migrate import upgrade

__all__ = ["Store", "metadata", "upgrade"]

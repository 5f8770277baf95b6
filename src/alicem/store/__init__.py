"""The bottom: one database, its transactions and its migrations. Imports no room."""

from alicem.store.engine import Int64, metadata
from alicem.store.migrate import upgrade
from alicem.store.prepared import Prepared, insert_new
from alicem.store.transactions import Store

__all__ = ["Int64", "Prepared", "Store", "insert_new", "metadata", "upgrade"]

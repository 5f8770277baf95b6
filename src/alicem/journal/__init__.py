"""The sealed record of operations: what happened, when, never to whom by name."""

from alicem.journal.records import append, last_sealed
from alicem.journal.seal import JournalBroken, seal, verify

__all__ = ["JournalBroken", "append", "last_sealed", "seal", "verify"]

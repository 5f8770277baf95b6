"""The sealed record of operations: what happened, when, never to whom by name."""

from alicem.journal.records import append
from alicem.journal.seal import JournalBroken, seal, verify

__all__ = ["JournalBroken", "append", "seal", "verify"]

"""The sealed record of operations: what happened, when, never to whom by name (docs/protocols/journal.md)."""

from alicem.journal.chain import JournalBroken, public_keys
from alicem.journal.checkpoint import Checkpoint, NotACheckpoint, checkpoint, read_checkpoints
from alicem.journal.prune import TooManyRows, prune
from alicem.journal.records import Window, append, last_row, last_sealed, whole, window
from alicem.journal.seal import seal
from alicem.journal.verify import Findings, verify, verify_parts

__all__ = [
    "Checkpoint",
    "Findings",
    "JournalBroken",
    "NotACheckpoint",
    "TooManyRows",
    "Window",
    "append",
    "checkpoint",
    "last_row",
    "last_sealed",
    "prune",
    "public_keys",
    "read_checkpoints",
    "seal",
    "verify",
    "verify_parts",
    "whole",
    "window",
]

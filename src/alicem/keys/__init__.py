"""The provider's keys: made, kept encrypted under a master key, found by purpose and time, turned and ended."""

from alicem.keys.certifying import installed, request
from alicem.keys.ending import retired, state
from alicem.keys.file import RingFile, change, open_ring, rewrap
from alicem.keys.fingerprint import document_fingerprints
from alicem.keys.ring import KeyEnded, KeyRefused, KeyRing, Keys, KeysError, SecretKey, SigningKey
from alicem.keys.turning import create, due, joined, rotated, troubles

__all__ = [
    "KeyEnded",
    "KeyRefused",
    "KeyRing",
    "Keys",
    "KeysError",
    "RingFile",
    "SecretKey",
    "SigningKey",
    "change",
    "create",
    "document_fingerprints",
    "due",
    "installed",
    "joined",
    "open_ring",
    "request",
    "retired",
    "rewrap",
    "rotated",
    "state",
    "troubles",
]

"""The provider's keys: made, kept encrypted under a master key, found by purpose and time, turned and ended."""

from alicem.keys.file import RingFile, open_ring
from alicem.keys.fingerprint import document_fingerprints
from alicem.keys.ring import KeyEnded, KeyRing, Keys, KeysError, SecretKey, SigningKey
from alicem.keys.turning import create

__all__ = [
    "KeyEnded",
    "KeyRing",
    "Keys",
    "KeysError",
    "RingFile",
    "SecretKey",
    "SigningKey",
    "create",
    "document_fingerprints",
    "open_ring",
]

"""The provider's keys: made, kept encrypted under a master key, found by purpose."""

from alicem.keys.fingerprint import document_fingerprints
from alicem.keys.ring import KeyRing, KeysError, SecretKey, SigningKey, create, open_ring

__all__ = ["KeyRing", "KeysError", "SecretKey", "SigningKey", "create", "document_fingerprints", "open_ring"]

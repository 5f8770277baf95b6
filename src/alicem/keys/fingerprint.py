"""The keyed fingerprint of a travel document: what stands for its number wherever the number may not be."""

from __future__ import annotations

from datetime import datetime

from alicem.keys.ring import KeyRing


def document_fingerprints(ring: KeyRing, issuer: str, kind: str, number: str, now: datetime) -> tuple[str, ...]:
    """HMAC-SHA-256 of issuer, kind and number as on the document, under every live key, the one in use first, as `key id:hex`."""
    text = "\n".join((issuer, kind, number)).encode()
    used = ring.secret("fingerprint", now)
    others = (key for key in ring.secret_all("fingerprint") if key.kid != used.kid)
    return tuple(f"{key.kid}:{key.mac(text).hex()}" for key in (used, *others))

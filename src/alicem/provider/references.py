"""What the QR code carries: `transaction.slot.tag`, good until the end of the slot after its own (docs/protocols/approval.md)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import datetime

from alicem.jose import b64

SLOT = 30  # seconds
SIGNIN = re.compile(r"[A-Za-z0-9_-]{22}")


def make(secret: bytes, signin: str, now: datetime) -> str:
    slot = int(now.timestamp()) // SLOT
    return f"{signin}.{slot}.{_tag(secret, signin, str(slot))}"


def named(secrets: Iterable[bytes], reference: str) -> str | None:
    """The sign-in this reference names, whether or not it still lives: for a phone that has fetched its request."""
    parts = reference.split(".")
    if len(parts) != 3 or not SIGNIN.fullmatch(parts[0]) or not re.fullmatch(r"[0-9]{1,12}", parts[1]):
        return None
    signin, slot, tag = parts
    return signin if _known(secrets, signin, slot, tag) else None


def resolve(secrets: Iterable[bytes], reference: str, now: datetime) -> str | None:
    """The sign-in this reference names, while it lives."""
    signin = named(secrets, reference)
    if signin is None:
        return None
    age = int(now.timestamp()) // SLOT - int(reference.split(".")[1])
    return signin if age in (0, 1) else None


def state_of(secret: bytes, signin: str) -> str:
    """`state` of the request object: only who fetched it can answer or refuse."""
    return f"{signin}.{_tag(secret, signin, 'state')}"


def signin_of(secrets: Iterable[bytes], state: str) -> str | None:
    """The sign-in a `state` belongs to."""
    signin, _, tag = state.partition(".")
    if not SIGNIN.fullmatch(signin):
        return None
    return signin if _known(secrets, signin, "state", tag) else None


def _known(secrets: Iterable[bytes], signin: str, what: str, tag: str) -> bool:
    given = tag.encode()
    return any(hmac.compare_digest(_tag(secret, signin, what).encode(), given) for secret in secrets)


def _tag(secret: bytes, signin: str, what: str) -> str:
    return b64(hmac.digest(secret, f"{signin}{what}".encode(), hashlib.sha256))[:16]

"""Keys begin, take over and end: every change of a ring is a function from a ring to a ring."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from alicem.keys.authority import make_authority, make_issuing
from alicem.keys.file import Random, locked, write
from alicem.keys.purposes import CERTIFIED, OVERLAP, PURPOSES, SECRETS, SIGNING
from alicem.keys.ring import Key, Keys, KeysError, SecretKey, SigningKey

NO_KEYS = Keys((), ())


def first_ring(now: datetime, rng: Random, host: str, *, specimen: bool = True) -> Keys:
    """One key of each purpose, used from now. `specimen`: with an authority of its own, in the ring; without, what needs a
    certificate waits for the operator's."""
    ring = NO_KEYS
    for purpose in (*SIGNING, *SECRETS):
        if purpose != "authority" or specimen:
            ring = _with_new(ring, purpose, now, now, rng, host)
    return ring


def create(file: Path, master: bytes, *, now: datetime, rng: Random, host: str, specimen: bool = True) -> Keys:
    """Make a first ring and write it. Refuses to overwrite a key file."""
    ring = first_ring(now, rng, host, specimen=specimen)
    with locked(file):
        if file.exists():
            raise KeysError(f"{file} exists; keys are rotated, never overwritten")
        write(file, master, ring, rng)
    return ring


def rotated(
    ring: Keys, purposes: Iterable[str], now: datetime, rng: Random, host: str, *, at_once: bool = False
) -> Keys:
    """The ring with a new key of each purpose, published at once and used after `OVERLAP`, or when the present one ends if that is sooner.

    Raises `KeysError` for a purpose that never turns.
    """
    for purpose in purposes:
        if PURPOSES[purpose].life is None:
            raise KeysError("the subject key never turns: every service would take every person for somebody else")
        if purpose == "authority":
            raise KeysError("the authority never turns: phones pinned it when they were enrolled")
        begins = now if at_once else _takes_over(ring, purpose, now)
        ring = _with_new(ring, purpose, begins, now, rng, host)
    return ring


def _takes_over(ring: Keys, purpose: str, now: datetime) -> datetime:
    """After the overlap, but not later than the end of the key in use."""
    keys = (*ring.published(purpose), *ring.secret_all(purpose))
    ends = [key.use_by for key in keys if key.used_from is not None and key.use_by is not None]
    return max(now, min(now + OVERLAP, max(ends, default=now)))


def _with_new(ring: Keys, purpose: str, begins: datetime, now: datetime, rng: Random, host: str) -> Keys:
    life = PURPOSES[purpose].life
    named: Any = {
        "kid": f"{purpose}-{now:%Y%m%d}-{rng(3).hex()}",
        "purpose": purpose,
        "created": now,
        "used_from": begins,
        "use_by": None if life is None else begins + life,
    }
    if purpose in SECRETS:
        return replace(ring, secret_keys=(SecretKey(value=rng(32), **named), *ring.secret_keys))
    key = SigningKey(private=ec.generate_private_key(ec.SECP256R1()), **named)
    return replace(ring, signing_keys=(_certified(ring, key, now, host), *ring.signing_keys))


def _certified(ring: Keys, key: SigningKey, now: datetime, host: str) -> SigningKey:
    """With a certificate where it needs one and the authority's key is in the ring; else it waits for one."""
    if key.purpose == "authority":
        return replace(key, x5c=(make_authority(_in_memory(key), now, _end(key), host),))
    if key.purpose not in CERTIFIED:
        return key
    authorities = [one for one in ring.published("authority") if not one.over(now)]
    if not authorities:
        return replace(key, used_from=None)
    authority = authorities[0]
    ends = min(_end(key), _end(authority))
    leaf = make_issuing(key.private.public_key(), authority.x5c[0], _in_memory(authority), now, ends, key.purpose, host)
    return replace(key, x5c=(leaf, *authority.x5c))


def _end(key: Key) -> datetime:
    """Of a certificate: as long as what the key made is looked at."""
    if key.use_by is None:
        raise KeysError(f"{key.kid} has no end, and a certificate needs one")
    return key.use_by + (PURPOSES[key.purpose].looked_at or timedelta())


def _in_memory(key: SigningKey) -> ec.EllipticCurvePrivateKey:
    if not isinstance(key.private, ec.EllipticCurvePrivateKey):
        raise KeysError(f"{key.kid} is not at hand to sign certificates")
    return key.private

"""Keys begin, take over and end: every change of a ring is a function from a ring to a ring."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec

from alicem.keys.certifying import certified
from alicem.keys.file import Random, locked, write
from alicem.keys.purposes import OVERLAP, PURPOSES, SECRETS, SIGNING
from alicem.keys.ring import Key, KeyRefused, KeyRing, Keys, SecretKey, SigningKey

if TYPE_CHECKING:  # what it imports is there only where it was asked for
    from alicem.keys.token import Token

NO_KEYS = Keys((), ())
NOTICE = timedelta(days=30)
"""How long before its end a key is told of and turned by `alicem keys rotate --due`."""
NEVER = {
    "subject": "the subject key never turns: every service would take every person for somebody else",
    "authority": "the authority never turns: phones pinned it when they were enrolled",
}


def first_ring(now: datetime, rng: Random, host: str, *, specimen: bool = True, token: Token | None = None) -> Keys:
    """One key of each purpose, used from now. `specimen`: with an authority of its own, in the ring; without, what needs a
    certificate waits for the operator's. `token`: where what it can do is made, and stays."""
    ring = NO_KEYS
    for purpose in (*SIGNING, *SECRETS):
        if purpose != "authority" or specimen:
            ring = _with_new(ring, purpose, now, now, rng, host, token)
    return ring


def create(
    file: Path,
    master: bytes,
    *,
    now: datetime,
    rng: Random,
    host: str,
    specimen: bool = True,
    token: Token | None = None,
) -> Keys:
    """Make a first ring and write it. Refuses to overwrite a key file."""
    with locked(file):
        if file.exists():
            raise KeyRefused(f"{file} exists; keys are rotated, never overwritten")
        ring = first_ring(now, rng, host, specimen=specimen, token=token)
        write(file, master, ring, rng)
    return ring


def rotated(
    ring: Keys,
    purposes: Iterable[str],
    now: datetime,
    rng: Random,
    host: str,
    *,
    at_once: bool = False,
    token: Token | None = None,
) -> Keys:
    """The ring with a new key of each purpose, published at once and used after `OVERLAP`, or when the present one ends if that is sooner.

    Raises `KeyRefused` for a purpose that never turns, or whose next key waits already.
    """
    for purpose in purposes:
        if purpose not in PURPOSES or purpose in NEVER:
            raise KeyRefused(NEVER.get(purpose, f"there is no purpose {purpose}: {', '.join(PURPOSES)}"))
        if not at_once and _next(ring, purpose, now):
            raise KeyRefused(f"the next {purpose} key waits already: see `alicem keys list`")
        begins = now if at_once else _takes_over(ring, purpose, now)
        ring = _with_new(ring, purpose, begins, now, rng, host, token)
    return ring


def joined(present: Keys, earlier: Keys) -> Keys:
    """The ring after a backup came back: what became of a key since then holds; a secret that rows of the backup may be under returns.

    Raises `KeyRefused` where the two are not of one installation.
    """
    if {key.kid for key in present.living("subject")} != {key.kid for key in earlier.living("subject")}:
        raise KeyRefused("the key file here is of another installation than the backup: its subject key is another")
    known = {key.kid for key in present.every if key.retired is None or key.purpose not in ("at_rest", "fingerprint")}
    secrets = {key.kid for key in earlier.secret_keys} - known
    return Keys(
        (*present.signing_keys, *(key for key in earlier.signing_keys if key.kid not in known)),
        (
            *(key for key in present.secret_keys if key.kid not in secrets),
            *(key for key in earlier.secret_keys if key.kid in secrets),
        ),
    )


def due(ring: KeyRing, now: datetime, notice: timedelta = NOTICE) -> tuple[str, ...]:
    """Purposes without a key, or whose last key ends within `notice`, and no other waits."""
    turning = (purpose for purpose in PURPOSES if purpose not in NEVER and not _next(ring, purpose, now))
    return tuple(purpose for purpose in turning if all(_ends_by(key, now + notice) for key in ring.living(purpose)))


def troubles(ring: KeyRing, now: datetime) -> tuple[str, ...]:
    """What an operator is told of the ring, in plain words; empty where all is well."""
    soon = (f"the {purpose} key {_how_long(ring, purpose, now)}" for purpose in due(ring, now))
    every = (key for purpose in SIGNING for key in ring.published(purpose))
    waiting = (f"{key.kid} waits for its certificate" for key in every if key.used_from is None)
    return (*soon, *waiting)


def _how_long(ring: KeyRing, purpose: str, now: datetime) -> str:
    ends = max((key.use_by for key in ring.living(purpose) if key.use_by is not None), default=None)
    if ends is None:
        return f"is missing: run `alicem keys rotate {purpose}`"
    ended = "ended" if ends <= now else "ends"
    return f"{ended} on {ends:%Y-%m-%d}: run `alicem keys rotate {purpose}`"


def _ends_by(key: Key, at: datetime) -> bool:
    return key.use_by is not None and key.use_by <= at


def _next(ring: KeyRing, purpose: str, now: datetime) -> bool:
    return any(key.used_from is None or key.used_from > now for key in ring.living(purpose))


def _takes_over(ring: Keys, purpose: str, now: datetime) -> datetime:
    """After the overlap, but not later than the end of the key in use."""
    ends = [key.use_by for key in ring.living(purpose) if key.used_from is not None and key.use_by is not None]
    return max(now, min(now + OVERLAP, max(ends, default=now)))


def _with_new(
    ring: Keys, purpose: str, begins: datetime, now: datetime, rng: Random, host: str, token: Token | None
) -> Keys:
    life = PURPOSES[purpose].life
    named: Any = {
        "kid": f"{purpose}-{now:%Y%m%d}-{rng(3).hex()}",
        "purpose": purpose,
        "created": now,
        "used_from": begins,
        "use_by": None if life is None else begins + life,
    }
    if purpose == "fingerprint" and token is not None:
        secret = SecretKey(value=b"", outside=token.make_mac(named["kid"]), **named)
        return replace(ring, secret_keys=(secret, *ring.secret_keys))
    if purpose in SECRETS:
        return replace(ring, secret_keys=(SecretKey(value=rng(32), **named), *ring.secret_keys))
    outside = token if purpose != "authority" else None  # which certifies in memory, where it is here at all
    private = ec.generate_private_key(ec.SECP256R1()) if outside is None else outside.make_signer(named["kid"])
    key = SigningKey(private=private, **named)
    return replace(ring, signing_keys=(certified(ring, key, now, host), *ring.signing_keys))

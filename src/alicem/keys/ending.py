"""A key is retired once nothing needs it any more; a compromised one at once, with what it signed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from alicem.keys.purposes import PURPOSES
from alicem.keys.ring import KeyRefused, Keys, PublicPart, SecretKey, SigningKey, in_use
from alicem.keys.turning import NEVER


def retired(ring: Keys, kid: str, now: datetime, rows: int, *, compromised: bool = False) -> Keys:
    """The ring in which this key makes nothing any more: its private part or secret is gone.

    `rows`: of the database that need it. `compromised`: what it signed is believed no more from now on, whatever still relies on it.
    Raises `KeyRefused` with what still needs it.
    """
    key = _find(ring, kid)
    reason = _needed(ring, key, now, rows, compromised)
    if reason:
        raise KeyRefused(f"{kid} is still needed: {reason}")
    if isinstance(key, SecretKey):
        emptied = replace(key, retired=now, value=b"", outside=None)
        return replace(ring, secret_keys=tuple(emptied if one is key else one for one in ring.secret_keys))
    public = PublicPart(key.private.public_key())
    ended = replace(key, retired=now, private=public, compromised=compromised)
    return replace(ring, signing_keys=tuple(ended if one is key else one for one in ring.signing_keys))


def _find(ring: Keys, kid: str) -> SigningKey | SecretKey:
    for key in ring.every:
        if key.kid == kid and key.retired is None:
            return key
    raise KeyRefused(f"no living key {kid}: see `alicem keys list`")


def _needed(ring: Keys, key: SigningKey | SecretKey, now: datetime, rows: int, compromised: bool) -> str:
    """Why it cannot go; empty when it can."""
    if key.purpose in NEVER:
        return NEVER[key.purpose]
    if key.kid == in_use(ring.living(key.purpose), key.purpose, now).kid:
        return f"it is in use; run `alicem keys rotate {key.purpose}`, with --at-once if it is compromised"
    if rows:
        return f"{rows} rows of the database are under it; `alicem keys reencrypt` moves ciphertexts, documents move when their chip is read"
    until = looked_at_until(ring, key)
    if until is not None and until > now and not compromised:
        return f"what it made counts until {until:%Y-%m-%d %H:%M} UTC; --compromised ends that now"
    return ""


def looked_at_until(ring: Keys, key: SigningKey | SecretKey) -> datetime | None:
    """Until when something it made may come: from its end, or from when the next took over. None where it made nothing, or rows tell."""
    looked_at = PURPOSES[key.purpose].looked_at
    if looked_at is None or key.used_from is None:
        return None
    others = (one for one in ring.living(key.purpose) if one.kid != key.kid)
    later = [one.used_from for one in others if one.used_from and one.used_from >= key.used_from]
    return min((at for at in (*later, key.use_by) if at is not None), default=key.used_from) + looked_at


def state(ring: Keys, key: SigningKey | SecretKey, now: datetime) -> str:
    """`in_use`, `to_come`, `waits_for_certificate`, `believed` (an earlier one that still counts), `retired` or `compromised`; `ended` past its day."""
    if key.retired is not None:
        return "compromised" if isinstance(key, SigningKey) and key.compromised else "retired"
    if key.used_from is None:
        return "waits_for_certificate"
    if key.kid == in_use(ring.living(key.purpose), key.purpose, now).kid:
        return "ended" if key.over(now) else "in_use"
    return "to_come" if key.used_from > now else "believed"

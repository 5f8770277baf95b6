"""Challenges of the server: recognised by a tag, so that asking for one writes nothing; spent ones are remembered until they would have expired."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence

from alicem import jose
from alicem.jose import BadToken

SECONDS = 60
_RANDOM, _TIME, _TAG = 16, 8, 16


def draw(secret: bytes, now: int, rng: Callable[[int], bytes]) -> str:
    """random ‖ Unix time of its end ‖ tag, base64url."""
    body = rng(_RANDOM) + (now + SECONDS).to_bytes(_TIME, "big")
    return jose.b64(body + _tag(secret, body))


def end_of(challenge: str, secrets: Sequence[bytes]) -> int:
    """When a challenge of ours ends (Unix time); 0 for one that is not ours. Always the same work."""
    try:
        given = jose.unb64(challenge)
    except BadToken:
        given = b""
    body, tag = given[: _RANDOM + _TIME], given[_RANDOM + _TIME :]
    ours = [hmac.compare_digest(tag, _tag(secret, body)) for secret in secrets]
    return int.from_bytes(body[_RANDOM:], "big") if any(ours) else 0


def _tag(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, b"alicem challenge v1" + body, "sha256")[:_TAG]

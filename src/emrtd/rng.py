"""Randomness is an argument everywhere: `secrets.token_bytes` in service, a seeded one in tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

Rng = Callable[[int], bytes]


def seeded(seed: bytes) -> Rng:
    """A reproducible stream for specimens and tests (SHA-256 in counter mode). Never for a real terminal."""
    counter = 0

    def take(count: int) -> bytes:
        nonlocal counter
        stream = b""
        while len(stream) < count:
            stream += hashlib.sha256(seed + counter.to_bytes(8, "big")).digest()
            counter += 1
        return stream[:count]

    return take

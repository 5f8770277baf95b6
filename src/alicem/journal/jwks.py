"""The public keys of the journal as a JWK set (RFC 7517 §5): with it, anybody verifies an exported journal."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from alicem import jose
from alicem.jose import BadToken
from alicem.journal.chain import PublicKeys
from alicem.keys import SigningKey


class NotKeys(Exception):
    """Not a JWK set of the journal's keys."""


@dataclass(frozen=True)
class Known:
    """Keys whose seals count. `compromised`: identifiers of those that were in other hands too: only checkpoints tell whose a seal is."""

    keys: PublicKeys
    compromised: frozenset[str] = field(default=frozenset())


def known(keys: Iterable[SigningKey]) -> Known:
    keys = tuple(keys)
    return Known(
        {key.kid: key.private.public_key() for key in keys}, frozenset(key.kid for key in keys if key.compromised)
    )


def jwks(known: Known) -> dict[str, Any]:
    """`compromised` is a member of ours; others ignore it (RFC 7517 §4)."""
    return {
        "keys": [
            {**jose.public_jwk(key), "use": "sig", "alg": "ES256", "kid": kid}
            | ({"compromised": True} if kid in known.compromised else {})
            for kid, key in known.keys.items()
        ]
    }


def read_jwks(data: bytes) -> Known:
    """Raises `NotKeys`."""
    try:
        rows = json.loads(data)["keys"]
        keys = {row["kid"]: jose.public_key(row) for row in rows}
        compromised = frozenset(row["kid"] for row in rows if row.get("compromised"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, BadToken) as error:
        raise NotKeys("not a JWK set of public P-256 keys with identifiers") from error
    return Known(keys, compromised)

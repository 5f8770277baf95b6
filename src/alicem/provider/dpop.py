"""Access tokens bound to a key that the client proves with each request (RFC 9449): who steals one cannot use it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alicem import jose
from alicem.jose import BadToken
from alicem.provider.checks import Check, ProtocolError, run
from alicem.provider.client_assertions import AHEAD, bad_jti, number

TYP = "dpop+jwt"
LIFE = 60
"""Seconds that a proof is taken: as long is its `jti` remembered."""


@dataclass(frozen=True)
class Request:
    """What a proof is for. `address`: of the endpoint. `access_token`: where it is shown beside one. `now`: Unix time."""

    method: str
    address: str
    now: float
    access_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Proof:
    """A proof that was verified. `thumbprint`: of the key (RFC 7638). `jti`: for once, until `expires_at`."""

    thumbprint: str
    jti: str
    expires_at: int


@dataclass(frozen=True)
class _Claimed:
    claims: Mapping[str, Any]
    request: Request


def _another_address(claimed: _Claimed) -> bool:
    htu = claimed.claims.get("htu")
    return not isinstance(htu, str) or htu.partition("#")[0].partition("?")[0] != claimed.request.address


def _not_of_now(claimed: _Claimed) -> bool:
    iat = number(claimed.claims.get("iat"))
    return iat is None or not claimed.request.now - LIFE < iat <= claimed.request.now + AHEAD


def _another_token(claimed: _Claimed) -> bool:
    token = claimed.request.access_token
    if token is None:
        return False
    return bool(claimed.claims.get("ath") != jose.b64(hashlib.sha256(token.encode()).digest()))


_ERROR = "invalid_dpop_proof"
CHECKS: tuple[Check[_Claimed], ...] = (
    Check("RFC 9449 §4.3", _ERROR, "htm is another method", lambda c: c.claims.get("htm") != c.request.method),
    Check("RFC 9449 §4.3", _ERROR, "htu is another address", _another_address),
    Check("RFC 9449 §4.3", _ERROR, f"iat is not within {LIFE} s before and {AHEAD} s after now", _not_of_now),
    Check("RFC 9449 §4.3", _ERROR, "ath is not of this access token", _another_token),
    Check("RFC 9449 §4.2", _ERROR, "jti is not a text of 1 to 256 printable characters", lambda c: bad_jti(c.claims)),
)


def proven(headers: Sequence[str], request: Request) -> Proof | None:
    """The proof in the request's `DPoP` headers; None where there is none. Raises `ProtocolError`."""
    if not headers:
        return None
    if len(headers) > 1:
        raise ProtocolError(_ERROR, "more than one proof", "RFC 9449 §4.3")
    try:
        unverified = jose.unpack(headers[0], TYP)
        key = jose.public_key(unverified.header.get("jwk"))  # RFC 9449 §4.2: the header's key is what is proven
        jose.check(unverified, key)
        claims = unverified.json()
    except BadToken as error:
        raise ProtocolError(_ERROR, "not a proof signed with ES256 by the key in it", "RFC 9449 §4.3") from error
    run(CHECKS, _Claimed(claims, request))
    return Proof(jose.thumbprint(key), claims["jti"], int(claims["iat"]) + LIFE + 1)

"""Which service speaks at the token endpoint: by the one method its file names (RFC 6749 §2.3, RFC 7523 §3)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from alicem.broker import records
from alicem.broker.messages import BadMessage, kid_of, payload, verified
from alicem.broker.parts import Parts
from alicem.broker.service_keys import NoKey
from alicem.broker.services import Service

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_ASSERTION = 3600
"""Seconds an assertion may live: its `jti` is remembered for as long."""
_NOBODY = "0" * 64


WHY: Mapping[str, str] = {
    "invalid_request": "a urlencoded form, no field twice, and one way to authenticate",
    "invalid_client": "client_id is unknown, the secret or assertion is another, or it is sent in another way than auth says",
    "invalid_grant": "the code is unknown, used, older than 30 seconds, or of another client_id, redirect_uri or code_verifier",
    "unsupported_grant_type": "grant_type is authorization_code, nothing else",
    "temporarily_unavailable": "too many failed tries, or the keys at jwks_uri cannot be had",
    "invalid_token": "the access token is unknown, used or older than 60 seconds",
}
"""For the service's developer: where to look, and no more than the error says to whoever guesses."""


class TokenError(Exception):
    """RFC 6749 §5.2."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.status = error, status

    def told(self) -> dict[str, str]:
        return {"error": self.error, "error_description": WHY[self.error]}


async def authenticated(parts: Parts, form: Mapping[str, str], authorization: str | None) -> Service:
    """Raises `TokenError`. An unknown service takes as long as a wrong secret."""
    if "client_assertion" in form or "client_assertion_type" in form:
        if authorization is not None or "client_secret" in form:
            raise TokenError("invalid_request")  # RFC 6749 §2.3: one method
        return await _by_assertion(parts, form)
    if authorization is not None:
        if "client_secret" in form:
            raise TokenError("invalid_request")
        client_id, secret = _basic(authorization)
        if form.get("client_id", client_id) != client_id:
            raise TokenError("invalid_request")
        return _by_secret(parts, client_id, secret, "client_secret_basic")
    return _by_secret(parts, form.get("client_id", ""), form.get("client_secret", ""), "client_secret_post")


def _by_secret(parts: Parts, client_id: str, secret: str, method: str) -> Service:
    service = parts.services.get(client_id)
    right = hmac.compare_digest(secret.encode(), ((service.secret if service else "") or _NOBODY).encode())
    if service is None or not right or not service.secret or service.file.auth != method:
        raise TokenError("invalid_client", 401)
    return service


def _basic(authorization: str) -> tuple[str, str]:
    """RFC 6749 §2.3.1: identifier and secret are form-url-encoded before they are joined."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
        client_id, colon, secret = text.partition(":")
        if scheme.lower() != "basic" or not colon:
            raise TokenError("invalid_client", 401)
        return unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError) as error:
        raise TokenError("invalid_client", 401) from error


async def _by_assertion(parts: Parts, form: Mapping[str, str]) -> Service:
    assertion = form.get("client_assertion", "")
    try:
        client_id = payload(assertion).get("sub")
        service = parts.services.get(client_id) if isinstance(client_id, str) else None
        if service is None or service.file.auth != "private_key_jwt":
            raise TokenError("invalid_client", 401)
        alg = service.file.assertion_alg
        claims = verified(assertion, alg, dict(await parts.service_keys.of(service, "sig", alg, kid_of(assertion))))
    except (BadMessage, NoKey) as error:
        raise TokenError("invalid_client", 401) from error
    now = parts.now()
    if not all(holds(claims, form, service, parts.issuer, now) for _, holds in ASSERTION_CHECKS):
        raise TokenError("invalid_client", 401)
    digest = hashlib.sha256(f"{service.key} {claims['jti']}".encode()).hexdigest()
    if not await parts.store.write(lambda connection: records.spend_assertion(connection, digest, claims["exp"])):
        raise TokenError("invalid_client", 401)
    return service


_Check = Callable[[Mapping[str, Any], Mapping[str, str], Service, str, int], bool]


def _instant(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _audience(claims: Mapping[str, Any], issuer: str) -> bool:
    """The issuer or the token endpoint, alone (RFC 7523 §3; of several audiences one could use it at the other)."""
    ours = (issuer, f"{issuer}/token")
    return claims.get("aud") in (*ours, *([one] for one in ours))


# RFC 7523 §3, OpenID Connect Core §9
ASSERTION_CHECKS: tuple[tuple[str, _Check], ...] = (
    ("type", lambda _, f, __, ___, ____: f.get("client_assertion_type") == JWT_BEARER),
    ("client_id", lambda _, f, s, __, ___: f.get("client_id", s.key) == s.key),
    ("iss", lambda c, _, s, __, ___: c.get("iss") == s.key),
    ("sub", lambda c, _, s, __, ___: c.get("sub") == s.key),
    ("aud", lambda c, _, __, issuer, ___: _audience(c, issuer)),
    ("exp", lambda c, _, __, ___, now: _instant(c.get("exp")) and now < c["exp"] <= now + LONGEST_ASSERTION),
    ("iat", lambda c, _, __, ___, now: "iat" not in c or (_instant(c["iat"]) and c["iat"] <= now)),
    ("nbf", lambda c, _, __, ___, now: "nbf" not in c or (_instant(c["nbf"]) and c["nbf"] <= now)),
    ("jti", lambda c, _, __, ___, ____: isinstance(c.get("jti"), str) and 1 <= len(c["jti"]) <= 255),
)

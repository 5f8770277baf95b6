"""Which client speaks: by its secret, in the form or in the header, or by its key, never by two of them (RFC 6749 §2.3)."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from urllib.parse import unquote_plus

from alicem.provider import client_assertions
from alicem.provider.checks import ProtocolError
from alicem.provider.clients import Client
from alicem.provider.parameters import Given
from alicem.provider.profiles import BASIC, POST
from alicem.provider.room import Provider

_NOBODY = "0" * 64
"""Compared for unknown clients, so that they cost the same time."""


async def authenticate(provider: Provider, given: Given, authorization: str | None) -> Client:
    """Raises `ProtocolError`: `invalid_request` for two methods or repeated parameters, else `invalid_client`; and `KeysUnavailable`."""
    if given.repeated:
        raise ProtocolError("invalid_request", "a parameter is repeated", "RFC 6749 §3.2")
    if "client_assertion" in given or "client_assertion_type" in given:
        if authorization is not None or "client_secret" in given:
            raise ProtocolError("invalid_request", "two ways of authentication at once", "RFC 6749 §2.3")
        return await client_assertions.authenticated(provider, given)
    return by_secret(given, authorization, provider.clients)


def by_secret(given: Given, authorization: str | None, clients: Mapping[str, Client]) -> Client:
    """The client whose secret is shown, in as much time for one that is not there. Raises `ProtocolError`."""
    if authorization is not None:
        if "client_secret" in given:
            raise ProtocolError("invalid_request", "two ways of authentication at once", "RFC 6749 §2.3")
        method, (client_id, secret) = BASIC, _basic(authorization)
        if given.get("client_id") not in (None, client_id):
            raise ProtocolError("invalid_request", "client_id is not the one of the header", "RFC 6749 §3.2.1")
    else:
        method, client_id, secret = POST, given.get("client_id") or "", given.get("client_secret") or ""
    client = clients.get(client_id)
    known = hmac.compare_digest(secret.encode(), (client.secret if client else _NOBODY).encode())
    if client is None or not known or method not in client.auth:
        raise ProtocolError("invalid_client", "unknown client or wrong secret", "RFC 6749 §5.2")
    return client


def _basic(authorization: str) -> tuple[str, str]:
    """RFC 6749 §2.3.1: identifier and secret are form-url-encoded before they are joined."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise ProtocolError("invalid_client", "the authorization header is not Basic", "RFC 6749 §2.3.1")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
        client_id, colon, secret = text.partition(":")
        if not colon:
            raise ValueError("no colon")
        return unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError) as error:
        raise ProtocolError("invalid_client", "the authorization header is malformed", "RFC 6749 §2.3.1") from error

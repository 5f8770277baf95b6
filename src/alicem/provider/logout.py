"""RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0). No session is kept here, so there is nothing to end but the way back."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from alicem import jose
from alicem.jose import BadToken
from alicem.keys import SigningKey
from alicem.provider.checks import Check, run
from alicem.provider.clients import Client
from alicem.provider.messages import mac
from alicem.provider.parameters import Given
from alicem.provider.profiles import HS256


@dataclass(frozen=True)
class Farewell:
    """`hinted`: the client of a verified id_token_hint; `False` when the hint is none of ours."""

    given: Given
    client: Client | None
    hinted: Client | bool | None

    @property
    def party(self) -> Client | None:
        return self.hinted if isinstance(self.hinted, Client) else self.client

    @property
    def back(self) -> str | None:
        return self.given.get("post_logout_redirect_uri")


CHECKS: tuple[Check[Farewell], ...] = (
    Check("RFC 6749 §3.1", "invalid_request", "a parameter is repeated", lambda f: bool(f.given.repeated)),
    Check("§2", "invalid_request", "id_token_hint is not an id token of ours", lambda f: f.hinted is False),
    Check("§2", "invalid_request", "client_id is unknown", lambda f: "client_id" in f.given and f.client is None),
    Check(
        "§2",
        "invalid_request",
        "client_id and id_token_hint are of two clients",
        lambda f: isinstance(f.hinted, Client) and f.client is not None and f.client.client_id != f.hinted.client_id,
    ),
    Check(
        "§3",
        "invalid_request",
        "post_logout_redirect_uri is not registered for this client",
        lambda f: f.back is not None and (f.party is None or f.back not in f.party.post_logout_redirect_uris),
    ),
    Check(
        "RFC 6749 §3.1",
        "invalid_request",
        "state is longer than 1024 characters",
        lambda f: len(f.given.get("state") or "") > 1024,
    ),
)


def way_back(given: Given, clients: Mapping[str, Client], keys: tuple[SigningKey, ...], issuer: str) -> str | None:
    """The address to return to with `state`, or None: a page says that nothing remains. Raises `ProtocolError`."""
    hint = given.get("id_token_hint")
    farewell = Farewell(
        given,
        clients.get(given.get("client_id") or ""),
        None if hint is None else _client_of(hint, clients, keys, issuer) or False,
    )
    run(CHECKS, farewell)
    if farewell.back is None:
        return None
    state = given.get("state")
    if state is None:
        return farewell.back
    parts = urlsplit(farewell.back)
    query = urlencode({"state": state})
    return urlunsplit(parts._replace(query=f"{parts.query}&{query}" if parts.query else query))


def _client_of(hint: str, clients: Mapping[str, Client], keys: tuple[SigningKey, ...], issuer: str) -> Client | None:
    """Whose id token this is. Its signature counts, its age does not (§2)."""
    try:
        head, body, signature = (jose.unb64(part) for part in hint.split("."))
        header, payload = json.loads(head), json.loads(body)
        if not isinstance(header, dict) or not isinstance(payload, dict):
            return None
        client = clients.get(str(payload["aud"]))
        if client is None or payload["iss"] != issuer or "auth_time" not in payload:  # as our signed userinfo has none
            return None
        _check_signature(hint, header, signature, client, keys)
    except (BadToken, ValueError, KeyError, TypeError, RecursionError):
        return None
    return client


def _check_signature(hint: str, header: Any, signature: bytes, client: Client, keys: tuple[SigningKey, ...]) -> None:
    """In the algorithm this client is registered with, whatever the header says (RFC 8725 §3.1). Raises `BadToken`."""
    if client.id_token_alg == HS256:
        if header.get("alg") != HS256 or not hmac.compare_digest(mac(client, hint.rpartition(".")[0]), signature):
            raise BadToken("not ours")
        return
    for key in keys:
        if key.kid == header.get("kid"):
            jose.verify(hint, key.private.public_key(), "JWT")
            return
    raise BadToken("not ours")

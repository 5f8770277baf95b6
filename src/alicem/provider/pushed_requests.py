"""Authorization requests that a client sends itself, before the person's browser comes with their name alone (RFC 9126)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from alicem import jose
from alicem.provider import authorize, one_time
from alicem.provider.authorize import NotAClient
from alicem.provider.checks import Check, ProtocolError, run
from alicem.provider.clients import Client
from alicem.provider.dpop import Proof
from alicem.provider.parameters import Given
from alicem.provider.room import Provider
from alicem.provider.sealing import open_under, pack, seal_under, stored, unpack

PREFIX = "urn:ietf:params:oauth:request_uri:"
LIFE = timedelta(seconds=90)
_PURPOSE = b"alicem pushed request v1"
_CREDENTIALS = frozenset({"client_secret", "client_assertion", "client_assertion_type"})


class Spent(NotAClient):
    """A name that stands for nothing any more. `client_id`: whose it was said to be."""

    def __init__(self, client_id: str) -> None:
        super().__init__("signin_expired", "request_uri is unknown, used, expired, or another client's")
        self.client_id = client_id


CHECKS: tuple[Check[tuple[Given, Proof | None]], ...] = (
    Check("RFC 9126 §2.1", "invalid_request", "request_uri cannot be pushed", lambda g: "request_uri" in g[0]),
    Check(
        "RFC 9449 §10.1",
        "invalid_dpop_proof",
        "dpop_jkt is not of the key that is proven",
        lambda g: g[1] is not None and g[0].get("dpop_jkt") not in (None, g[1].thumbprint),
    ),
)


async def push(provider: Provider, given: Given, client: Client, proof: Proof | None) -> dict[str, Any]:
    """RFC 9126 §2.2: the name of what was pushed, after every check the authorization endpoint would make. Raises `ProtocolError`."""
    run(CHECKS, (given, proof))
    bound = {} if proof is None else {"dpop_jkt": proof.thumbprint}
    sent = {name: value for name, value in given.values.items() if name not in _CREDENTIALS}
    asked = Given({**sent, "client_id": client.client_id, **bound})
    try:
        authorize.check(authorize.identify(asked, provider.clients, provider.reachable, pushed=True))
    except NotAClient as error:
        raise ProtocolError("invalid_request", error.text, "RFC 9126 §2.3") from error
    secret, now = provider.rng(32), provider.clock()
    sealed, expires_at = seal_under(secret, _PURPOSE, pack(asked.values)), int((now + LIFE).timestamp())

    def add(connection: Any) -> None:
        one_time.push(connection, stored(secret), client.client_id, sealed, expires_at)
        if proof is not None and not one_time.spend(connection, proof.thumbprint, proof.jti, proof.expires_at):
            raise ProtocolError("invalid_dpop_proof", "the proof was used before", "RFC 9449 §11.1")

    await provider.store.write(add)
    return {"request_uri": PREFIX + jose.b64(secret), "expires_in": int(LIFE.total_seconds())}


async def resolved(provider: Provider, given: Given) -> tuple[Given, bool]:
    """The request that is meant, and whether it was pushed: then nothing else beside its name counts (RFC 9126 §4). Raises `Spent`."""
    name = given.get("request_uri") or ""
    if not name.startswith(PREFIX):
        return given, False
    client_id, now = given.get("client_id") or "", provider.clock()
    try:
        secret = jose.unb64(name.removeprefix(PREFIX))
    except jose.BadToken:
        secret = b""
    sealed = await provider.store.write(lambda c: one_time.take_pushed(c, stored(secret), client_id, now))
    if sealed is None:
        raise Spent(client_id)
    return replace(given, values=unpack(open_under(secret, _PURPOSE, sealed)), repeated=frozenset()), True

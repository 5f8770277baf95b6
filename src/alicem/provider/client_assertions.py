"""A client that proves its key where others show a secret: `private_key_jwt` (RFC 7523 §2.2, §3; OIDC Core §9; FAPI 2.0 Security Profile §5.3.2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alicem import jose
from alicem.jose import BadToken, Unverified
from alicem.provider import one_time
from alicem.provider.checks import Check, ProtocolError, run
from alicem.provider.clients import Client
from alicem.provider.parameters import Given
from alicem.provider.profiles import ASSERTION
from alicem.provider.room import Provider

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFE = 300
"""Seconds that `exp` may lie ahead: as long is its `jti` remembered."""
AHEAD = 10
"""Seconds that a client's clock may be ahead of ours (FAPI 2.0 §5.3.2.1)."""
OWN_KEYS = frozenset({"jwk", "jku", "x5u", "x5c"})


@dataclass(frozen=True)
class Assertion:
    """A client assertion taken apart. `now`: Unix time."""

    given: Given
    unverified: Unverified
    claims: Mapping[str, Any]
    client: Client | None
    issuer: str
    now: float

    @property
    def client_id(self) -> str | None:
        return None if self.client is None else self.client.client_id


def number(value: Any) -> float | None:
    """A NumericDate (RFC 7519 §2); not a bool, which Python takes for one."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _early(assertion: Assertion) -> bool:
    found = (assertion.claims[name] for name in ("iat", "nbf") if name in assertion.claims)
    return any(at is None or not at <= assertion.now + AHEAD for at in map(number, found))


def _over(assertion: Assertion) -> bool:
    exp = number(assertion.claims.get("exp"))
    return exp is None or not assertion.now < exp <= assertion.now + LIFE


def bad_jti(claims: Mapping[str, Any]) -> bool:
    jti = claims.get("jti")
    return not isinstance(jti, str) or not 1 <= len(jti) <= 256 or not jti.isprintable()


CHECKS: tuple[Check[Assertion], ...] = (
    Check(
        "RFC 8725 §3.10",
        "invalid_client",
        "the assertion brings a key of its own or asks for an extension",
        lambda a: bool(a.unverified.header.keys() & (OWN_KEYS | {"b64"})),
    ),
    Check("RFC 7523 §3", "invalid_client", "sub is not a client that proves a key", lambda a: a.client is None),
    Check("RFC 7523 §3", "invalid_client", "iss is not sub", lambda a: a.claims.get("iss") != a.client_id),
    Check(
        "RFC 7521 §4.2",
        "invalid_client",
        "client_id is not the one of the assertion",
        lambda a: a.given.get("client_id") not in (None, a.client_id),
    ),
    Check(
        "FAPI 2.0 §5.3.2.1",
        "invalid_client",
        "aud is not this issuer, as one string",
        lambda a: a.claims.get("aud") != a.issuer,
    ),
    Check("RFC 7523 §3", "invalid_client", f"exp is missing, over, or more than {LIFE} s ahead", _over),
    Check("RFC 7523 §3", "invalid_client", f"iat or nbf is no time, or more than {AHEAD} s ahead", _early),
    Check(
        "OIDC Core §9",
        "invalid_client",
        "jti is not a text of 1 to 256 printable characters",
        lambda a: bad_jti(a.claims),
    ),
)


async def authenticated(provider: Provider, given: Given) -> Client:
    """The client whose key signed. Raises `ProtocolError`, `KeysUnavailable`."""
    assertion = read(given, provider.clients, provider.issuer, provider.clock().timestamp())
    client, claims = assertion.client, assertion.claims
    assert client is not None  # noqa: S101 - a check of `read`
    await _verify(provider, client, assertion.unverified)
    expires_at = int(claims["exp"]) + 1
    fresh = await provider.store.write(
        lambda connection: one_time.spend(connection, f"client {client.client_id}", claims["jti"], expires_at)
    )
    if not fresh:
        raise ProtocolError("invalid_client", "the assertion was used before", "RFC 7523 §3")
    return client


def read(given: Given, clients: Mapping[str, Client], issuer: str, now: float) -> Assertion:
    """What the form brings, after every check but the signature's and that it is new. Raises `ProtocolError`."""
    if given.get("client_assertion_type") != TYPE:
        raise ProtocolError("invalid_client", "client_assertion_type is jwt-bearer, nothing else", "RFC 7523 §2.2")
    try:
        unverified = jose.unpack(given.get("client_assertion") or "", "JWT", "client-authentication+jwt", None)
        claims = unverified.json()
    except BadToken as error:
        raise ProtocolError("invalid_client", "the assertion is no JWT signed with ES256", "RFC 7523 §3") from error
    sub = claims.get("sub")
    client = clients.get(sub) if isinstance(sub, str) else None
    proves = client if client is not None and ASSERTION in client.auth else None
    assertion = Assertion(given, unverified, claims, proves, issuer, now)
    run(CHECKS, assertion)
    return assertion


async def _verify(provider: Provider, client: Client, unverified: Unverified) -> None:
    """By a key of this client, in the algorithm that is registered, whatever the header says (RFC 8725 §3.1)."""
    kid = unverified.header.get("kid")
    named = kid if isinstance(kid, str) else None
    keys = await client.key_set(provider.client_keys, lambda held: not held.verifying(named))
    for key in keys.verifying(named):
        try:
            jose.check(unverified, key)
        except BadToken:
            continue
        return
    raise ProtocolError("invalid_client", "the assertion is not signed by a key of this client", "RFC 7523 §3")

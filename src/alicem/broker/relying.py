"""The broker as OpenID client of a provider (OpenID Connect Core 1.0 §3.1), with FranceConnect's habits.

Discovery and keys are fetched again at every step, the scope set is always the same, `prompt=login`, a state and a nonce of 64 hexadecimal digits, and nothing
that tells which service asks. What comes back is believed only after every check of `ID_TOKEN_CHECKS` and of `claims.parse`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc.jwk import OctKey

from alicem.broker.claims import PROVIDER_SCOPE, ClaimsMalformed, Identity, parse
from alicem.broker.messages import BadMessage, Key, Opener, opened, public_keys, verified
from alicem.broker.providers import Provider
from alicem.broker.services import LEVELS

TIMEOUT = 6.0  # seconds a back-channel answer may take
_MOST = 65_536  # bytes of an answer


class ProviderFault(Exception):
    """The provider does not answer, or answers what may not be believed. `reason` is one word for the log and the page."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Expected:
    """What the answer must agree with."""

    nonce: str
    level: str
    redirect_uri: str
    clock: Callable[[], int]
    """Unix time, read when the answer is there: clocks have no tolerance."""
    openers: Mapping[str, Opener]
    """Our keys for the algorithm this provider encrypts with, by `kid`."""


@dataclass(frozen=True)
class Proven:
    """What a provider proved: the person, and the level of this authentication."""

    identity: Identity
    level: str
    auth_time: int
    id_token: str
    """Signed, no longer encrypted: what a sign-out is told with."""


@dataclass(frozen=True)
class Metadata:
    """Of a provider's discovery document, what is used."""

    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str
    jwks_uri: str
    iss_in_answer: bool
    """RFC 9207: every authorization answer carries `iss`."""
    end_session_endpoint: str | None = None


async def discover(client: httpx.AsyncClient, provider: Provider) -> Metadata:
    """Fetch and check the discovery document. Raises `ProviderFault`."""
    tree = _object(await fetch(client, "GET", f"{provider.file.issuer}/.well-known/openid-configuration"), "discovery")
    if tree.get("issuer") != provider.file.issuer:  # byte for byte: OpenID Connect Discovery §4.3
        raise ProviderFault("issuer")
    names = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
    for name in names:
        if not _is_address(tree.get(name)):
            raise ProviderFault("discovery")
    in_answer = tree.get("authorization_response_iss_parameter_supported") is True
    ends = tree.get("end_session_endpoint")
    ends = ends if _is_address(ends) else None
    return Metadata(**{name: tree[name] for name in names}, iss_in_answer=in_answer, end_session_endpoint=ends)


def _is_address(value: object) -> bool:
    try:
        parts = urlsplit(value) if isinstance(value, str) and value.isascii() and len(value) <= 2000 else None
        return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def authorize_address(
    metadata: Metadata, provider: Provider, *, redirect_uri: str, state: str, nonce: str, level: str
) -> str:
    """Where the browser is sent."""
    asked = {
        "client_id": provider.file.client_id,
        "scope": PROVIDER_SCOPE,
        "response_type": "code",
        "redirect_uri": redirect_uri,
        "acr_values": level,
        "nonce": nonce,
        "state": state,
        "prompt": "login",
    }
    joint = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
    return metadata.authorization_endpoint + joint + urlencode(asked)


def check_answer_issuer(metadata: Metadata, provider: Provider, iss: str | None) -> None:
    """RFC 9207 §2.4: `iss` of the authorization answer, where given or promised, is this provider's. Raises `ProviderFault`."""
    if iss != provider.file.issuer and (iss is not None or metadata.iss_in_answer):
        raise ProviderFault("mix_up")


async def redeem(
    client: httpx.AsyncClient, provider: Provider, code: str, iss: str | None, expected: Expected
) -> Proven:
    """From a code to a proven identity. Raises `ProviderFault`."""
    metadata = await discover(client, provider)
    check_answer_issuer(metadata, provider, iss)
    answer = await _token(client, metadata, provider, code, expected.redirect_uri)
    keys = await _keys(client, metadata, provider)
    token = _opened(answer["id_token"], provider, expected, "id_token")
    claims = _signed(token, provider, keys, "id_token")
    for reason, holds in ID_TOKEN_CHECKS:
        if not holds(claims, provider, expected):
            raise ProviderFault(reason)
    _check_at_hash(claims, answer["access_token"])
    userinfo = await _userinfo(client, metadata, provider, keys, expected, answer["access_token"])
    if userinfo.get("sub") != claims["sub"]:
        raise ProviderFault("sub")
    try:
        identity = parse(userinfo, datetime.fromtimestamp(expected.clock(), UTC).date())
    except ClaimsMalformed as error:
        raise ProviderFault(f"claim_{error.claim}") from error
    return Proven(identity, claims["acr"], claims.get("auth_time", claims["iat"]), token)


async def _token(
    client: httpx.AsyncClient, metadata: Metadata, provider: Provider, code: str, redirect_uri: str
) -> Mapping[str, Any]:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "client_id": provider.file.client_id,
        "client_secret": provider.secret,
    }
    answer = _object(await fetch(client, "POST", metadata.token_endpoint, data=form), "token")
    texts = isinstance(answer.get("id_token"), str) and isinstance(answer.get("access_token"), str)
    if not texts or str(answer.get("token_type")).lower() != "bearer":
        raise ProviderFault("token")
    return answer


async def _keys(client: httpx.AsyncClient, metadata: Metadata, provider: Provider) -> Mapping[str, Key]:
    """The provider's ES256 keys by `kid`, or the client secret. Keys are fetched for HS256 too: nothing then tells the two apart from outside."""
    tree = _object(await fetch(client, "GET", metadata.jwks_uri), "keys")
    if provider.file.signature == "HS256":
        return {"": OctKey.import_key(provider.secret)}
    return dict(public_keys(tree, "sig", provider.file.signature))


async def _userinfo(
    client: httpx.AsyncClient,
    metadata: Metadata,
    provider: Provider,
    keys: Mapping[str, Key],
    expected: Expected,
    token: str,
) -> dict[str, Any]:
    """In the one form its file says. Raises `ProviderFault`."""
    headers = {"authorization": f"Bearer {token}"}
    answer = await fetch(client, "GET", metadata.userinfo_endpoint, headers=headers)
    kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != ("application/jwt" if provider.file.told_in_jwt else "application/json"):
        raise ProviderFault("userinfo_form")
    if not provider.file.told_in_jwt:
        return _object(answer, "userinfo")
    claims = _signed(_opened(_text(answer), provider, expected, "userinfo"), provider, keys, "userinfo")
    # OpenID Connect Core §5.3.2: a signed userinfo names issuer and audience; RFC 8725 §3.12: an id_token is none
    if claims.pop("iss", None) != provider.file.issuer or not _for_us(claims.pop("aud", None), provider):
        raise ProviderFault("userinfo")
    if "nonce" in claims:
        raise ProviderFault("userinfo")
    for reason in ("iat", "exp"):
        if reason in claims and not _CLOCKS[reason](claims, provider, expected):
            raise ProviderFault(f"userinfo_{reason}")
    return {name: value for name, value in claims.items() if name not in ("iat", "exp")}


async def fetch(client: httpx.AsyncClient, method: str, url: str, **how: Any) -> httpx.Response:
    """One bounded request; redirects are not followed. Raises `ProviderFault`."""
    try:
        async with client.stream(method, url, timeout=TIMEOUT, **how) as response:
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MOST:
                    raise ProviderFault("too_large")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ProviderFault("unreachable") from error
    if response.status_code != 200:
        raise ProviderFault("status")
    return httpx.Response(200, headers={"content-type": response.headers.get("content-type", "")}, content=body)


def _object(answer: httpx.Response, reason: str) -> dict[str, Any]:
    try:
        tree = json.loads(answer.content)
    except (ValueError, RecursionError) as error:
        raise ProviderFault(reason) from error
    if not isinstance(tree, dict):
        raise ProviderFault(reason)
    return tree


def _text(answer: httpx.Response) -> str:
    try:
        return answer.content.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise ProviderFault("userinfo") from error


def _opened(token: str, provider: Provider, expected: Expected, reason: str) -> str:
    """The JWS, out of its JWE where this provider encrypts."""
    if provider.file.encryption_alg is None:
        return token
    try:
        return opened(token, provider.file.encryption_alg, provider.file.encryption_enc, expected.openers)
    except BadMessage as error:
        raise ProviderFault(f"{reason}_encryption") from error


def _signed(token: str, provider: Provider, keys: Mapping[str, Key], reason: str) -> dict[str, Any]:
    """The claims of a JWS under the algorithm this provider is configured with, never the one it names itself."""
    try:
        return verified(token, provider.file.signature, keys)
    except BadMessage as error:
        raise ProviderFault(f"{reason}_signature") from error


def _check_at_hash(claims: Mapping[str, Any], token: str) -> None:
    """OpenID Connect Core §3.1.3.8, where it is given. Raises `ProviderFault`."""
    half = hashlib.sha256(token.encode()).digest()[:16]
    if claims.get("at_hash", _b64(half)) != _b64(half):
        raise ProviderFault("at_hash")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _for_us(aud: object, provider: Provider) -> bool:
    return aud in (provider.file.client_id, [provider.file.client_id])


def _instant(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _level(claims: Mapping[str, Any], provider: Provider, expected: Expected) -> bool:
    acr = claims.get("acr")
    given = acr in LEVELS and acr in provider.file.levels
    return given and LEVELS.index(str(acr)) >= LEVELS.index(expected.level)


_Check = Callable[[Mapping[str, Any], Provider, Expected], bool]

_CLOCKS: Mapping[str, _Check] = {
    "exp": lambda c, _, e: _instant(c.get("exp")) and c["exp"] > e.clock(),
    "iat": lambda c, _, e: _instant(c.get("iat")) and c["iat"] <= e.clock(),
    "nbf": lambda c, _, e: "nbf" not in c or (_instant(c["nbf"]) and c["nbf"] <= e.clock()),
}

# OpenID Connect Core §3.1.3.7, without tolerance of clocks; then what FranceConnect leaves unchecked.
ID_TOKEN_CHECKS: tuple[tuple[str, _Check], ...] = (
    ("iss", lambda c, p, _: c.get("iss") == p.file.issuer),
    ("aud", lambda c, p, _: _for_us(c.get("aud"), p)),
    ("azp", lambda c, p, _: c.get("azp", p.file.client_id) == p.file.client_id),
    *_CLOCKS.items(),
    ("auth_time", lambda c, _, e: "auth_time" not in c or (_instant(c["auth_time"]) and c["auth_time"] <= e.clock())),
    ("nonce", lambda c, _, e: c.get("nonce") == e.nonce),
    ("acr", _level),
    ("sub", lambda c, _, __: isinstance(c.get("sub"), str) and c["sub"].isascii() and 1 <= len(c["sub"]) <= 255),
)

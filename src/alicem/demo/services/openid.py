"""A service's OpenID client, whole, and short because it is copied: RFC 6749 §4.1, OpenID Connect Core 1.0 §3.1, RFC 7636, RFC 9207.

`begin` gives an address for the browser and what the browser's session keeps; `complete` takes what the browser brought back. Nothing else is remembered here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet


class SignInFailed(Exception):
    """The answer is an error, or may not be believed. `word`: the provider's own word, or the check that failed."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


@dataclass(frozen=True)
class Registration:
    """What the service and its provider agreed on."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    post_logout_redirect_uri: str
    scope: str
    level: str


@dataclass(frozen=True)
class Begun:
    """One sign-in under way, kept with the browser that began it."""

    state: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True)
class SignedIn:
    """`claims` as userinfo gave them, `sub` among them; `acr`: the level of this sign-in."""

    claims: Mapping[str, Any] = field(repr=False)
    acr: str
    id_token: str = field(repr=False)


@dataclass(frozen=True)
class OpenIDClient:
    registration: Registration
    http: httpx.AsyncClient
    clock: Callable[[], float]
    """Seconds since 1970."""

    async def begin(self) -> tuple[str, Begun]:
        """Where to send the browser. Raises `SignInFailed`, `httpx.HTTPError`."""
        begun = Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))
        digest = hashlib.sha256(begun.verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self.registration.client_id,
            "redirect_uri": self.registration.redirect_uri,
            "scope": self.registration.scope,
            "acr_values": self.registration.level,
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{(await self._metadata())['authorization_endpoint']}?{urlencode(asked)}", begun

    async def complete(self, begun: Begun, answer: Mapping[str, str]) -> SignedIn:
        """From the answer in the browser's address to the person. Raises `SignInFailed`, `httpx.HTTPError`."""
        if not hmac.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise SignInFailed("state")
        if answer.get("iss") != self.registration.issuer:  # RFC 9207 §2.4
            raise SignInFailed("mix_up")
        if "code" not in answer:
            raise SignInFailed(answer.get("error", "no_answer")[:40])
        metadata = await self._metadata()
        tokens = await self._redeem(metadata, answer["code"], begun.verifier)
        keys = KeySet.import_key_set(await self._get(metadata["jwks_uri"]))
        checked = self._check(tokens["id_token"], keys, begun.nonce)
        claims = await self._get(metadata["userinfo_endpoint"], authorization=f"Bearer {tokens['access_token']}")
        if claims.get("sub") != checked["sub"]:  # OpenID Connect Core §5.3.2
            raise SignInFailed("sub")
        return SignedIn(claims, checked["acr"], tokens["id_token"])

    async def end(self, id_token: str) -> str:
        """Where to send the browser that signs out (RP-Initiated Logout 1.0 §2)."""
        asked = {
            "id_token_hint": id_token,
            "client_id": self.registration.client_id,
            "post_logout_redirect_uri": self.registration.post_logout_redirect_uri,
        }
        return f"{(await self._metadata())['end_session_endpoint']}?{urlencode(asked)}"

    async def _redeem(self, metadata: Mapping[str, Any], code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.registration.redirect_uri,
            "client_id": self.registration.client_id,
            "client_secret": self.registration.client_secret,
            "code_verifier": verifier,
        }
        answer = await self.http.post(metadata["token_endpoint"], data=form)
        if answer.status_code in (400, 401):  # RFC 6749 §5.2
            raise SignInFailed(str(answer.json().get("error"))[:40])
        tokens: dict[str, Any] = answer.raise_for_status().json()
        return tokens

    def _check(self, token: str, keys: KeySet, nonce: str) -> dict[str, Any]:
        """OpenID Connect Core §3.1.3.7; the algorithm is ours to name."""
        try:
            claims = jwt.decode(token, keys, algorithms=["ES256"]).claims
        except (JoseError, ValueError) as error:
            raise SignInFailed("signature") from error
        rules = {
            "iss": claims.get("iss") == self.registration.issuer,
            "aud": claims.get("aud") == self.registration.client_id,
            "exp": claims.get("exp", 0) > self.clock(),
            "nonce": claims.get("nonce") == nonce,
            "acr": str(claims.get("acr", "")) >= self.registration.level,  # eidas1 < eidas2 < eidas3
        }
        for name, holds in rules.items():
            if not holds:
                raise SignInFailed(name)
        return claims

    async def _metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = await self._get(f"{self.registration.issuer}/.well-known/openid-configuration")
        if metadata.get("issuer") != self.registration.issuer:  # OpenID Connect Discovery 1.0 §4.3
            raise SignInFailed("issuer")
        return metadata

    async def _get(self, address: str, **headers: str) -> Any:
        tree: Any = (await self.http.get(address, headers=headers)).raise_for_status().json()
        return tree

"""Codes, tokens and what they carry (RFC 6749 §4.1.3, OIDC Core §3.1.3, §5.3)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from alicem import jose
from alicem.keys import KeyRing
from alicem.provider import one_time, records
from alicem.provider.checks import Check, ProtocolError, run
from alicem.provider.clients import Client
from alicem.provider.dpop import Proof
from alicem.provider.messages import Writer
from alicem.provider.parameters import Given
from alicem.provider.records import Signin
from alicem.provider.room import CODE_LIFE, TOKEN_LIFE, Provider
from alicem.provider.sealing import DoesNotOpen, open_under, pack, seal_under, stored, unpack

_CODE = b"alicem code v1"
_TOKEN = b"alicem access token v1"
_HARDWARE = ("keystore", "passkey")


def subject(ring: KeyRing, sector: str, account: int) -> str:
    """Pairwise `sub` (OIDC Core §8.1): base64url(HMAC-SHA-256(subject key, sector ‖ 0 ‖ account number in decimal)).

    The zero byte keeps two sectors apart of which one continues with digits. The subject key never turns: every `sub` would.
    """
    key = ring.secret_all("subject")[-1].value
    return jose.b64(hmac.digest(key, f"{sector}\0{account}".encode(), hashlib.sha256))


def amr(key_kind: str) -> list[str]:
    """RFC 8176: the phone's key, in hardware or not, and a code that the server counts."""
    return ["hwk" if key_kind in _HARDWARE else "swk", "pin", "mfa"]


def mint(connection: Connection, provider: Provider, signin: Signin, contents: Mapping[str, Any], now: datetime) -> str:
    """A code for the client; what it stands for is sealed under it."""
    secret = provider.rng(32)
    grant = {
        **contents,
        "client_id": signin.client_id,
        "redirect_uri": signin.redirect_uri,
        "scope": signin.scope,
        "nonce": signin.nonce,
        "challenge": signin.challenge,
        "dpop_jkt": signin.dpop_jkt,
    }
    expires_at = int((now + CODE_LIFE).timestamp())
    records.add_code(connection, stored(secret), seal_under(secret, _CODE, pack(grant)), expires_at)
    return jose.b64(secret)


@dataclass(frozen=True)
class Redemption:
    """A token request of an authenticated client."""

    given: Given
    client: Client
    proof: Proof | None = None

    @property
    def code(self) -> bytes | None:
        return _secret(self.given.get("code"))


CHECKS: tuple[Check[Redemption], ...] = (
    Check("RFC 6749 §4.1.3", "invalid_request", "grant_type is missing", lambda r: r.given.get("grant_type") is None),
    Check(
        "RFC 6749 §5.2",
        "unsupported_grant_type",
        "grant_type is authorization_code, nothing else",
        lambda r: r.given.get("grant_type") != "authorization_code",
    ),
    Check("RFC 6749 §4.1.3", "invalid_request", "code is missing", lambda r: r.given.get("code") is None),
    Check(
        "RFC 6749 §4.1.3",
        "invalid_request",
        "redirect_uri is missing",
        lambda r: r.given.get("redirect_uri") is None,
    ),
    Check("RFC 6749 §5.2", "invalid_grant", "not a code of this server", lambda r: r.code is None),
    Check(
        "FAPI 2.0 §5.3.2.1",
        "invalid_dpop_proof",
        "this client binds its tokens to a key: a DPoP proof is missing",
        lambda r: r.client.profile.bound and r.proof is None,
    ),
)


@dataclass(frozen=True)
class Opened:
    """A code taken from the database and opened: gone now, whatever the checks say."""

    given: Given
    client: Client
    proof: Proof | None
    grant: Mapping[str, Any]


def _verifier_wrong(opened: Opened) -> bool:
    challenge, verifier = opened.grant["challenge"], opened.given.get("code_verifier")
    if challenge is None:
        return False
    hashed = jose.b64(hashlib.sha256((verifier or "").encode()).digest())
    return verifier is None or not hmac.compare_digest(hashed, challenge)


GRANT_CHECKS: tuple[Check[Opened], ...] = (
    Check(
        "RFC 6749 §4.1.3",
        "invalid_grant",
        "the code was given to another client",
        lambda o: o.grant["client_id"] != o.client.client_id,
    ),
    Check(
        "RFC 6749 §4.1.3",
        "invalid_grant",
        "redirect_uri is not the one of the authorization request",
        lambda o: o.grant["redirect_uri"] != o.given.get("redirect_uri"),
    ),
    Check(
        "RFC 9700 §4.8.2",
        "invalid_grant",
        "code_verifier without code_challenge: a downgrade",
        lambda o: o.grant["challenge"] is None and "code_verifier" in o.given,
    ),
    Check("RFC 7636 §4.6", "invalid_grant", "code_verifier does not match", _verifier_wrong),
    Check(
        "RFC 9449 §10",
        "invalid_grant",
        "the code is bound to another key",
        lambda o: o.grant["dpop_jkt"] not in (None, o.proof and o.proof.thumbprint),
    ),
)


async def redeem(provider: Provider, given: Given, client: Client, proof: Proof | None) -> dict[str, Any]:
    """The token response for a code. Raises `ProtocolError`, and `KeysUnavailable` before anything is spent."""
    redemption = Redemption(given, client, proof)
    run(CHECKS, redemption)
    now = provider.clock()
    recipient = await client.recipient(provider.client_keys)
    writer = Writer(provider.issuer, client, provider.ring.signing("signing", now), recipient)
    token = provider.rng(32)
    result = await provider.store.write(lambda connection: _exchange(connection, redemption, writer, token, now))
    if isinstance(result, ProtocolError):
        raise result
    access_token = jose.b64(token)
    return {
        "access_token": access_token,
        "token_type": "Bearer" if proof is None else "DPoP",
        "expires_in": int(TOKEN_LIFE.total_seconds()),
        "scope": result["scope"],
        "id_token": writer.id_token(result, access_token, now),
    }


def _exchange(
    connection: Connection, redemption: Redemption, writer: Writer, token: bytes, now: datetime
) -> dict[str, Any] | ProtocolError:
    """Code to token in one transaction. A refusal is returned, not raised: what was taken must stay taken."""
    code, proof = redemption.code or b"", redemption.proof
    code_hash = stored(code)
    if proof is not None and not one_time.spend(connection, proof.thumbprint, proof.jti, proof.expires_at):
        return ProtocolError("invalid_dpop_proof", "the proof was used before", "RFC 9449 §11.1")
    sealed = records.take_code(connection, code_hash, now)
    if sealed is None:  # RFC 6749 §4.1.2: used twice, so what the first use gave is taken back
        records.revoke(connection, code_hash)
        return ProtocolError("invalid_grant", "the code is unknown, used or expired", "RFC 6749 §4.1.2")
    grant = unpack(open_under(code, _CODE, sealed))
    try:
        run(GRANT_CHECKS, Opened(redemption.given, redemption.client, proof, grant))
    except ProtocolError as error:
        return error
    contents = pack({**writer.userinfo(grant), "jkt": proof and proof.thumbprint})
    expires_at = int((now + TOKEN_LIFE).timestamp())
    records.add_token(connection, stored(token), code_hash, seal_under(token, _TOKEN, contents), expires_at)
    return grant


async def userinfo(provider: Provider, access_token: str, proof: Proof | None) -> dict[str, str] | None:
    """`type` and `body` of the answer, once, for a living access token and the key it is bound to; else None.

    It was written with the token: here no client's key is fetched. A `proof` is good once, since its token is.
    """
    token = _secret(access_token)
    if token is None:
        return None
    now = provider.clock()
    sealed = await provider.store.write(lambda connection: records.take_token(connection, stored(token), now))
    if sealed is None:
        return None
    try:
        contents = unpack(open_under(token, _TOKEN, sealed))
    except DoesNotOpen:
        return None
    return contents if contents["jkt"] == (proof and proof.thumbprint) else None


def _secret(text: str | None) -> bytes | None:
    """The 32 bytes of a code or token of ours, or None."""
    try:
        secret = jose.unb64(text or "")
    except jose.BadToken:
        return None
    return secret if len(secret) == 32 else None

"""The broker as OpenID provider of the services: discovery, keys, token, userinfo. The person's part is in `signin`, the end in `logout`."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from joserfc.jwk import OctKey
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from alicem.broker import records
from alicem.broker.claims import ORDER, SCOPES
from alicem.broker.messages import Key, Opener, sealed, sign
from alicem.broker.parts import TOKEN_LIVES, Parts
from alicem.broker.sealing import fingerprint, new_secret, seal, unseal
from alicem.broker.service_authentication import WHY, TokenError, authenticated
from alicem.broker.service_keys import NoKey
from alicem.broker.services import (
    ALGORITHMS,
    ASSERTIONS,
    CONTENT_ENCRYPTION,
    ENCRYPTION,
    LEVELS,
    METHODS,
    Service,
)
from alicem.broker.under_way import read_form


async def configuration(parts: Parts, _request: Request) -> Response:
    """OpenID Connect Discovery 1.0 §3."""
    issuer = parts.issuer
    return JSONResponse(
        {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "userinfo_endpoint": f"{issuer}/userinfo",
            "jwks_uri": f"{issuer}/jwks",
            "end_session_endpoint": f"{issuer}/end_session",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": list(ALGORITHMS),
            "userinfo_signing_alg_values_supported": ["none", *ALGORITHMS],
            "id_token_encryption_alg_values_supported": list(ENCRYPTION),
            "id_token_encryption_enc_values_supported": list(CONTENT_ENCRYPTION),
            "userinfo_encryption_alg_values_supported": list(ENCRYPTION),
            "userinfo_encryption_enc_values_supported": list(CONTENT_ENCRYPTION),
            "token_endpoint_auth_methods_supported": list(METHODS),
            "token_endpoint_auth_signing_alg_values_supported": list(ASSERTIONS),
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": list(SCOPES),
            "claims_supported": ["sub", "acr", "auth_time", *ORDER],
            "acr_values_supported": list(LEVELS),
            "prompt_values_supported": ["login"],
            "ui_locales_supported": ["fr", "en"],
            "authorization_response_iss_parameter_supported": True,
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
        }
    )


async def jwks(parts: Parts, _request: Request) -> Response:
    """RFC 7517."""
    return JSONResponse({"keys": [parts.key.as_dict(private=False)]})


async def client_keys(parts: Parts, _request: Request) -> Response:
    """What providers encrypt to us with. They keep it for ten minutes at most."""
    return JSONResponse({"keys": parts.encryption.public(parts.clock())}, headers={"cache-control": "max-age=600"})


async def token(parts: Parts, request: Request) -> Response:
    """RFC 6749 §4.1.3: a code, once, for an id_token and an access token."""
    try:
        return await _token(parts, await _form(request), request)
    except TokenError as refused:
        asks = {"www-authenticate": "Basic"} if refused.status == 401 and "authorization" in request.headers else {}
        return JSONResponse(refused.told(), refused.status, asks)


async def _token(parts: Parts, form: Mapping[str, str], request: Request) -> Response:
    try:
        service = await authenticated(parts, form, request.headers.get("authorization"))
    except TokenError:
        if not parts.failures.admits(request):
            raise TokenError("temporarily_unavailable", 429) from None
        raise
    if form.get("grant_type") != "authorization_code":
        raise TokenError("unsupported_grant_type")
    key = await _recipient(parts, service)
    code, access, now = form.get("code", ""), new_secret(parts.rng), parts.now()
    expires = now + TOKEN_LIVES

    def redeem(connection: Connection) -> Mapping[str, Any] | None:
        """One winner: the code goes, and the token comes, in one transaction. A wrong try spends the code too."""
        held = records.take_code(connection, now, fingerprint(code))
        if held is None or held.client != service.key or held.redirect_uri != form.get("redirect_uri"):
            return None
        if not _pkce_holds(held.challenge, form.get("code_verifier")):
            return None
        answer = unseal(code, "code", held.answer)
        row = records.Token(service.key, seal(access, "token", answer["userinfo"], parts.rng))
        records.add_token(connection, fingerprint(code), fingerprint(access), expires, row)
        told: Mapping[str, Any] = answer["id_token"]
        return told

    told = await parts.store.write(redeem)
    if told is None:
        raise TokenError("invalid_grant")
    claims = {**told, "iss": parts.issuer, "aud": service.key, "iat": now, "exp": expires}
    id_token = _written(parts, service, claims | {"at_hash": _half_of_hash(access)}, key)
    answer = {"access_token": access, "token_type": "Bearer", "expires_in": TOKEN_LIVES, "id_token": id_token}
    return JSONResponse(answer)


async def userinfo(parts: Parts, request: Request) -> Response:
    """OpenID Connect Core §5.3: the claims, once for each token."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    held = None
    if scheme.lower() == "bearer":
        now = parts.now()
        held = await parts.store.write(lambda connection: records.take_token(connection, now, fingerprint(given)))
    service = None if held is None else parts.services.get(held.client)
    if held is None or service is None:
        asks = {"www-authenticate": f'Bearer error="invalid_token", error_description="{WHY["invalid_token"]}"'}
        return JSONResponse(TokenError("invalid_token").told(), 401, asks)
    claims = unseal(given, "token", held.answer)
    if not service.told_in_jwt:
        return JSONResponse(claims)
    try:
        key = await _recipient(parts, service)
    except TokenError as refused:
        return JSONResponse(refused.told(), refused.status)
    signed = _written(parts, service, claims | {"iss": parts.issuer, "aud": held.client}, key)
    return Response(signed, media_type="application/jwt")


async def _recipient(parts: Parts, service: Service) -> Opener | None:
    """The key this service wants its tokens encrypted to. Raises `TokenError`."""
    if service.file.encryption_alg is None:
        return None
    try:
        found = await parts.service_keys.of(service, "enc", service.file.encryption_alg)
    except NoKey as error:
        raise TokenError("temporarily_unavailable", 503) from error
    return next(iter(found.values()))


def _written(parts: Parts, service: Service, claims: Mapping[str, Any], key: Opener | None) -> str:
    """A JWT as this service is configured for."""
    mine: Key = OctKey.import_key(service.secret) if service.file.signature == "HS256" else parts.key
    token = sign(claims, service.file.signature, mine)
    if key is None or service.file.encryption_alg is None:
        return token
    return sealed(token, service.file.encryption_alg, service.file.encryption_enc, key)


def _half_of_hash(text: str) -> str:
    """`at_hash` (OpenID Connect Core §3.1.3.6)."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16]).rstrip(b"=").decode()


def _pkce_holds(challenge: str | None, verifier: str | None) -> bool:
    """RFC 7636 §4.6; a verifier without a challenge is refused too (RFC 9700 §4.8.2)."""
    if challenge is None or verifier is None:
        return challenge is None and verifier is None
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(made, challenge)


async def _form(request: Request) -> Mapping[str, str]:
    """A urlencoded form, bounded, no field twice. Raises `TokenError`."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise TokenError("invalid_request")
    pairs = await read_form(request)
    if pairs is None or len(dict(pairs)) != len(pairs):
        raise TokenError("invalid_request")
    return dict(pairs)

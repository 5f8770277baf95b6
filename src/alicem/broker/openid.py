"""The broker as OpenID provider of the services: discovery, keys, token, userinfo, end of session. The person's part is in `signin`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from alicem.broker import records
from alicem.broker.claims import ORDER, SCOPES
from alicem.broker.parts import TOKEN_LIVES, Parts
from alicem.broker.requests import with_parameters
from alicem.broker.sealing import fingerprint, new_secret, seal, unseal
from alicem.broker.services import ALGORITHMS, LEVELS, Service

_MOST = 16_384  # bytes of a form


class TokenError(Exception):
    """RFC 6749 §5.2."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.status = error, status


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
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": list(SCOPES),
            "claims_supported": ["sub", "acr", *ORDER],
            "acr_values_supported": list(LEVELS),
            "authorization_response_iss_parameter_supported": True,
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
        }
    )


async def jwks(parts: Parts, _request: Request) -> Response:
    """RFC 7517."""
    return JSONResponse({"keys": [parts.key.as_dict(private=False)]})


async def token(parts: Parts, request: Request) -> Response:
    """RFC 6749 §4.1.3: a code, once, for an id_token and an access token."""
    try:
        return await _token(parts, await _form(request))
    except TokenError as refused:
        return JSONResponse({"error": refused.error}, refused.status)


async def _token(parts: Parts, form: Mapping[str, str]) -> Response:
    service = _authenticated(parts, form)
    if form.get("grant_type") != "authorization_code":
        raise TokenError("unsupported_grant_type")
    code, now = form.get("code", ""), parts.now()
    held = await parts.store.write(lambda connection: records.take_code(connection, now, fingerprint(code)))
    if held is None or held.client != service.file.client_id or held.redirect_uri != form.get("redirect_uri"):
        raise TokenError("invalid_grant")
    _check_pkce(held.challenge, form.get("code_verifier"))
    answer = unseal(code, "code", held.answer)
    access = new_secret(parts.rng)
    row = records.Token(service.file.client_id, seal(access, "token", answer["userinfo"], parts.rng))
    expires = now + TOKEN_LIVES
    await parts.store.write(
        lambda connection: records.add_token(connection, fingerprint(code), fingerprint(access), expires, row)
    )
    claims = answer["id_token"] | {"iss": parts.issuer, "aud": service.file.client_id, "iat": now, "exp": expires}
    return JSONResponse(
        {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": TOKEN_LIVES,
            "id_token": sign(parts, service, claims),
        }
    )


async def userinfo(parts: Parts, request: Request) -> Response:
    """OpenID Connect Core §5.3: the claims, once for each token."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    held = None
    if scheme.lower() == "bearer":
        now = parts.now()
        held = await parts.store.write(lambda connection: records.take_token(connection, now, fingerprint(given)))
    if held is None:
        return JSONResponse({"error": "invalid_token"}, 401, {"www-authenticate": 'Bearer error="invalid_token"'})
    claims, service = unseal(given, "token", held.answer), parts.services[held.client]
    if not service.file.userinfo_signed:
        return JSONResponse(claims)
    signed = sign(parts, service, claims | {"iss": parts.issuer, "aud": held.client})
    return Response(signed, media_type="application/jwt")


async def end_session(parts: Parts, request: Request) -> Response:
    """RP-Initiated Logout 1.0: nothing is kept here, so the person goes back to the service at once, or is told that it is done."""
    given = request.query_params
    back = given.get("post_logout_redirect_uri")
    service = _service_of(parts, given.get("id_token_hint", ""))
    if service is not None and back in service.file.post_logout_redirect_uris:
        return RedirectResponse(with_parameters(back, {"state": given["state"]} if "state" in given else {}), 303)
    return parts.pages.render(request, "broker/signed_out.html")


def sign(parts: Parts, service: Service, claims: Mapping[str, Any]) -> str:
    """A JWS as this service is configured for."""
    payload = json.dumps(claims, ensure_ascii=False).encode()
    key: ECKey | OctKey = parts.key
    header = {"alg": "ES256", "kid": str(parts.key.kid)}
    if service.file.signature == "HS256":
        key, header = OctKey.import_key(service.secret), {"alg": "HS256"}
    return jws.serialize_compact(header, payload, key)


def _authenticated(parts: Parts, form: Mapping[str, str]) -> Service:
    """`client_secret_post`; an unknown service takes as long as a wrong secret."""
    service = parts.services.get(form.get("client_id", ""))
    right = hmac.compare_digest(form.get("client_secret", "").encode(), (service.secret if service else "").encode())
    if service is None or not right:
        raise TokenError("invalid_client", 401)
    return service


def _check_pkce(challenge: str | None, verifier: str | None) -> None:
    """RFC 7636 §4.6; a verifier without a challenge is refused too (RFC 9700 §4.8.2)."""
    if challenge is None and verifier is None:
        return
    digest = hashlib.sha256((verifier or "").encode()).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if challenge is None or not hmac.compare_digest(made, challenge):
        raise TokenError("invalid_grant")


def _service_of(parts: Parts, hint: str) -> Service | None:
    """The service an id_token of ours was given to; expired ones count (RP-Initiated Logout §4)."""
    try:
        unverified = json.loads(jws.extract_compact(hint.encode()).payload)
        service = parts.services[unverified["aud"]]
        key = OctKey.import_key(service.secret) if service.file.signature == "HS256" else parts.key
        jws.deserialize_compact(hint, key, algorithms=[service.file.signature])
    except (JoseError, ValueError, KeyError, TypeError):
        return None
    return service


async def _form(request: Request) -> Mapping[str, str]:
    """A urlencoded form, bounded, no field twice. Raises `TokenError`."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise TokenError("invalid_request")
    pairs = await read_form(request)
    if pairs is None or len(dict(pairs)) != len(pairs):
        raise TokenError("invalid_request")
    return dict(pairs)


async def read_form(request: Request) -> list[tuple[str, str]] | None:
    """The fields of a urlencoded body; None where it is too large or malformed."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST:
            return None
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=40)
    except ValueError:
        return None

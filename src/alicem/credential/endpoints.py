"""Issuing over OpenID4VCI 1.0 (pre-authorized code, nonce, proof), its metadata, and the status list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alicem import jose
from alicem.credential import status
from alicem.credential.issue import TYP, VCT, issue
from alicem.credential.offers import Offer, Offers
from alicem.jose import BadToken
from alicem.keys import KeyRing
from alicem.settings import Settings
from alicem.store import Store
from alicem.web.bodies import BodyTooLarge, form_of, json_of

GRANT = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
CONFIGURATION = "identity"
_PROOF_AGE = 300  # seconds


@dataclass
class Credentials:
    """What issuing needs; `offers` is shared with enrolment, which fills it."""

    settings: Settings
    store: Store
    ring: KeyRing
    offers: Offers
    clock: Callable[[], datetime]
    rng: Callable[[int], bytes]
    _lists: dict[int, tuple[datetime, str]] = field(default_factory=dict)


def routes(room: Credentials) -> list[Route]:
    def bind(handler: Callable[[Credentials, Request], Any], path: str, method: str) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                response: Response = await handler(room, request)
            except BodyTooLarge:
                return _error("invalid_request", 413)
            except BadToken as error:
                return _error("invalid_request", description=str(error))
            return response

        return Route(path, endpoint, methods=[method])

    return [
        bind(_metadata, "/.well-known/openid-credential-issuer", "GET"),
        bind(_server_metadata, "/.well-known/oauth-authorization-server", "GET"),
        bind(_token, "/credential/token", "POST"),
        bind(_nonce, "/credential/nonce", "POST"),
        bind(_credential, "/credential/credential", "POST"),
        bind(_status, "/status/{number:int}", "GET"),
    ]


async def _metadata(room: Credentials, _request: Request) -> Response:
    origin = room.settings.service.origin
    return JSONResponse(
        {
            "credential_issuer": origin,
            "authorization_servers": [origin],
            "credential_endpoint": f"{origin}/credential/credential",
            "nonce_endpoint": f"{origin}/credential/nonce",
            "credential_configurations_supported": {
                CONFIGURATION: {
                    "format": TYP,
                    "vct": VCT,
                    "cryptographic_binding_methods_supported": ["jwk"],
                    "credential_signing_alg_values_supported": ["ES256"],
                    "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": ["ES256"]}},
                }
            },
        }
    )


async def _server_metadata(room: Credentials, _request: Request) -> Response:
    origin = room.settings.service.origin
    return JSONResponse(
        {
            "issuer": origin,
            "token_endpoint": f"{origin}/credential/token",
            "grant_types_supported": [GRANT],
            "pre-authorized_grant_anonymous_access_supported": True,
        }
    )


async def _token(room: Credentials, request: Request) -> Response:
    form = await form_of(request)
    if form.get("grant_type") != GRANT:
        return _error("unsupported_grant_type")
    token = room.offers.redeem(form.get("pre-authorized_code", ""))
    if token is None:
        return _error("invalid_grant")
    return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": 300})


async def _nonce(room: Credentials, _request: Request) -> Response:
    return JSONResponse({"c_nonce": room.offers.nonce()})


async def _credential(room: Credentials, request: Request) -> Response:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    offer = room.offers.peek(token) if scheme.lower() == "bearer" else None
    if offer is None:
        return _error("invalid_token", 401)
    try:
        asked = await json_of(request)
        _check_request(room, asked, offer)
    except BadToken as error:
        return _error("invalid_proof", description=str(error))
    if room.offers.take(token) is None:
        return _error("invalid_token", 401)
    credential = await room.store.write(lambda connection: _issue(room, connection, offer))
    offer.issued()
    return JSONResponse({"credentials": [{"credential": credential}]})


def _check_request(room: Credentials, asked: dict[str, Any], offer: Offer) -> None:
    """OpenID4VCI 1.0 §8.2 and appendix F.4: one proof, by the key that signed the enrolment, over a nonce of ours."""
    if asked.get("credential_configuration_id") != CONFIGURATION:
        raise BadToken("no such credential configuration")
    proofs = asked.get("proofs")
    jwts = proofs.get("jwt") if isinstance(proofs, dict) else None
    if not isinstance(jwts, list) or len(jwts) != 1:
        raise BadToken("exactly one jwt proof is expected")
    _check_proof(room, jwts[0], offer.holder)


def _check_proof(room: Credentials, proof: str, holder: EllipticCurvePublicKey) -> None:
    unverified = jose.unpack(proof, "openid4vci-proof+jwt")
    jose.check(unverified, holder)
    payload = unverified.json()
    age = int(room.clock().timestamp()) - payload["iat"] if isinstance(payload.get("iat"), int) else _PROOF_AGE + 1
    if payload.get("aud") != room.settings.service.origin or abs(age) > _PROOF_AGE:
        raise BadToken("the proof is for another audience or too old")
    if not room.offers.take_nonce(str(payload.get("nonce", ""))):
        raise BadToken("the nonce is not ours or was used")


def _issue(room: Credentials, connection: Connection, offer: Offer) -> str:
    index = status.allocate(connection, room.rng)
    offer.on_issue(connection, index)
    origin, now = room.settings.service.origin, room.clock()
    return issue(
        offer.evidence,
        offer.holder,
        room.ring.signing("issuer", now),
        status=status.reference(origin, index),
        origin=origin,
        now=now,
        lifetime=timedelta(days=365 * room.settings.retention.identity_check_years),
        rng=room.rng,
    )


async def _status(room: Credentials, request: Request) -> Response:
    number, now = request.path_params["number"], room.clock()
    if number != 0:
        return Response(status_code=404)
    cached = room._lists.get(number)
    if cached is None or cached[0] < now:
        key, origin = room.ring.signing("status", now), room.settings.service.origin
        token = await room.store.read(lambda c: status.status_list(c, number, key, origin, now))
        cached = (now + timedelta(seconds=status.TTL), token)
        room._lists[number] = cached
    return Response(cached[1], media_type="application/statuslist+jwt")


def _error(name: str, code: int = 400, description: str | None = None) -> Response:
    body = {"error": name} if description is None else {"error": name, "error_description": description}
    return JSONResponse(body, code)

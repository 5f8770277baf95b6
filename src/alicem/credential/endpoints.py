"""HTTP of the credential: issuing (OpenID4VCI 1.0), its metadata, and the status lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alicem.credential import metadata, status
from alicem.credential.issuance import IssuanceError, Issuer
from alicem.credential.offers import Offers
from alicem.credential.published import StatusLists
from alicem.jose import BadToken
from alicem.keys import KeyRing
from alicem.settings import Settings
from alicem.store import Store
from alicem.web.bodies import BodyTooLarge, form_of, json_of

_NOT_STORED = {"Cache-Control": "no-store"}
_FOR_ALL = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
"""What names nobody may be read by any page: wallets and verifiers in browsers do."""


@dataclass
class Credentials:
    """What the endpoints need; `offers` is shared with enrolment, which fills it."""

    settings: Settings
    store: Store
    ring: KeyRing
    offers: Offers
    clock: Callable[[], datetime]
    rng: Callable[[int], bytes]

    @property
    def origin(self) -> str:
        return self.settings.service.origin

    @cached_property
    def issuer(self) -> Issuer:
        return Issuer(self.settings, self.store, self.ring, self.offers, self.clock, self.rng)

    @cached_property
    def lists(self) -> StatusLists:
        return StatusLists(self.store, self.ring, self.origin, self.clock)


def routes(room: Credentials) -> list[Route]:
    def bind(handler: Callable[[Credentials, Request], Any], path: str, method: str) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                response: Response = await handler(room, request)
            except BodyTooLarge:
                return _refused(IssuanceError("invalid_request", "too large", 413))
            except BadToken as error:
                return _refused(IssuanceError("invalid_request", str(error)))
            except IssuanceError as refused:
                return _refused(refused)
            return response

        return Route(path, endpoint, methods=[method])

    return [
        bind(_metadata, "/.well-known/openid-credential-issuer", "GET"),
        bind(_server_metadata, "/.well-known/oauth-authorization-server", "GET"),
        bind(_token, "/credential/token", "POST"),
        bind(_nonce, "/credential/nonce", "POST"),
        bind(_credential, "/credential/credential", "POST"),
        bind(_deferred, "/credential/deferred", "POST"),
        bind(_aggregation, "/status", "GET"),
        bind(_status, "/status/{number:int}", "GET"),
    ]


async def _metadata(room: Credentials, request: Request) -> Response:
    headers = {**_FOR_ALL, **_NOT_STORED, "Vary": "Accept"}
    if _prefers_jwt(request.headers.get("accept", "")):
        now = room.clock()
        token = metadata.signed_issuer(room.origin, room.ring.signing("issuer", now), now)
        return Response(token, media_type="application/jwt", headers=headers)
    return JSONResponse(metadata.issuer(room.origin), headers=headers)


def _prefers_jwt(accept: str) -> bool:
    """Whether the first of the two types that is named is the signed one; who names neither gets JSON (§12.2.2)."""
    named = [part.partition(";")[0].strip().lower() for part in accept[:1000].split(",")]
    return next((one for one in named if one in ("application/jwt", "application/json")), "") == "application/jwt"


async def _server_metadata(room: Credentials, _request: Request) -> Response:
    return JSONResponse(metadata.authorization_server(room.origin), headers={**_FOR_ALL, **_NOT_STORED})


async def _token(room: Credentials, request: Request) -> Response:
    return JSONResponse(room.issuer.token(await form_of(request)), headers=_NOT_STORED)


async def _nonce(room: Credentials, _request: Request) -> Response:
    return JSONResponse({"c_nonce": room.offers.nonce()}, headers=_NOT_STORED)


async def _credential(room: Credentials, request: Request) -> Response:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        asked = await json_of(request)
    except BadToken as error:
        raise IssuanceError("invalid_credential_request", str(error)) from error
    issued = await room.issuer.credential(token if scheme.lower() == "bearer" else "", asked)
    return JSONResponse(issued, headers=_NOT_STORED)


async def _deferred(room: Credentials, _request: Request) -> Response:
    return JSONResponse(room.issuer.deferred(), headers=_NOT_STORED)


async def _aggregation(room: Credentials, _request: Request) -> Response:
    """Token Status List §9.3: where every list is."""
    numbers = await room.lists.numbers()
    addresses = [status.address(room.origin, number) for number in numbers]
    return JSONResponse({"status_lists": addresses}, headers={**_FOR_ALL, "Cache-Control": "no-cache"})


async def _status(room: Credentials, request: Request) -> Response:
    """Token Status List §8. Whoever keeps a copy asks whether it is still right; verifiers may keep it for its `ttl`."""
    if "time" in request.query_params:
        return _refused(IssuanceError("historical_resolution_not_supported", "only the list of now (§8.4)", 501))
    published = await room.lists.get(request.path_params["number"])
    if published is None:
        return _refused(IssuanceError("unknown_status_list", "there is no such list", 404))
    headers = {**_FOR_ALL, "Cache-Control": "public, no-cache", "ETag": published.etag}
    if published.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(published.token, media_type=f"application/{status.TYP}", headers=headers)


def _refused(refused: IssuanceError) -> Response:
    headers = dict(_NOT_STORED)
    if refused.status == 401:
        headers["WWW-Authenticate"] = f'Bearer error="{refused.error}"'  # RFC 6750 §3
    return JSONResponse({"error": refused.error, "error_description": refused.text}, refused.status, headers)

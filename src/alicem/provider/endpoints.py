"""HTTP of the provider: the OpenID Connect endpoints that clients call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from alicem import reasons
from alicem.provider import (
    authorize,
    chip_endpoints,
    discovery,
    dpop,
    logout,
    pushed_requests,
    records,
    signin_endpoints,
    signing_in,
    tokens,
)
from alicem.provider.checks import ProtocolError
from alicem.provider.client_authentication import authenticate
from alicem.provider.client_keys import KeysUnavailable
from alicem.provider.clients import Client
from alicem.provider.dpop import Proof, proven
from alicem.provider.http import NOT_STORED, form_of, refusal_page
from alicem.provider.parameters import Given, Unreadable, parse
from alicem.provider.request_objects import Asker, browser_of, region_of
from alicem.provider.room import Provider
from alicem.web.limits import whose

Handler = Callable[[Provider, Request], Awaitable[Response]]
Work = Callable[[Provider, Given, Client, Proof | None], Awaitable[dict[str, Any]]]
_SCHEMES = {"bearer": 'Bearer realm="userinfo"', "dpop": 'DPoP realm="userinfo", algs="ES256"'}
_log = structlog.get_logger("alicem")


def routes(provider: Provider) -> list[BaseRoute]:
    """Everything the provider answers. `/signin/…` is for browsers and phones, the rest for clients."""
    configuration, keys = discovery.configuration(provider), discovery.Keys(provider.ring)

    async def constant(request: Request) -> Response:
        body = keys.document() if request.scope["path"] == "/jwks" else configuration
        return Response(body, media_type="application/json", headers={"Cache-Control": "public, max-age=300"})

    def at(path: str, handler: Handler, *methods: str) -> BaseRoute:
        async def endpoint(request: Request) -> Response:
            return await handler(provider, request)

        return Route(path, endpoint, methods=list(methods))

    return [
        Route("/.well-known/openid-configuration", constant),
        Route("/jwks", constant),
        at("/authorize", ask, "GET", "POST"),
        at("/par", push, "POST"),
        at("/token", token, "POST"),
        at("/userinfo", userinfo, "GET", "POST"),
        at("/end_session", end_session, "GET", "POST"),
        *(at(path, handler, *methods) for path, handler, methods in signin_endpoints.TABLE),
        *chip_endpoints.routes(provider),
    ]


async def ask(provider: Provider, request: Request) -> Response:
    """The authorization endpoint: a page for the person, an error for the client, or a page where there is no client to go back to."""
    try:
        given, pushed = await pushed_requests.resolved(provider, await _parameters(request))
        unchecked = authorize.identify(given, provider.clients, provider.reachable, pushed=pushed)
    except Unreadable as error:
        return refusal_page(provider, request, "request_malformed", str(error))
    except pushed_requests.Spent as error:
        again = await _loaded_again(provider, request, error.client_id)
        return again or refusal_page(provider, request, error.reason, error.text)
    except authorize.NotAClient as error:
        return refusal_page(provider, request, error.reason, error.text)
    now, address = provider.clock(), _address(request)
    try:
        asked = authorize.check(unchecked)
        await _require_within_limits(provider, request, asked.client)
    except ProtocolError as error:
        values = {"error": error.error, "error_description": error.text}
        back = authorize.redirection(unchecked.redirect_uri, unchecked.state, provider.issuer, **values)
        return RedirectResponse(back, 303, NOT_STORED)
    asker = Asker(browser_of(request.headers.get("user-agent", "")[:400]), region_of(address))
    signin, cookie = signing_in.begin(provider, asked, asker, now)
    await provider.store.write(lambda connection: records.add_signin(connection, signin))
    _log.debug("sign-in", outcome="begun")
    response = signin_endpoints.page(provider, request, signin, now)
    signin_endpoints.set_cookie(response, cookie)
    return response


async def _loaded_again(provider: Provider, request: Request, client_id: str) -> Response | None:
    """The page of the sign-in that a pushed request was spent on, for the browser that waits there (FAPI 2.0 §5.3.2.2, a note)."""
    browser = signing_in.browser_of(request.cookies.get(signing_in.COOKIE))
    if browser is None:
        return None
    signin = await provider.store.look_up(lambda connection: records.find_signin(connection, browser.signin))
    if signin is None or (signin.browser_key, signin.client_id) != (browser.public, client_id):
        return None
    waits = signin.outcome == records.WAITING and signin.alive(provider.clock())
    return RedirectResponse("/signin", 303, NOT_STORED) if waits else None


async def _require_within_limits(provider: Provider, request: Request, client: Client) -> None:
    """Of the address, then of the client: whoever asks too often takes nothing away from the others. Raises `ProtocolError`."""
    error = reasons.load()["rate_limited"].oidc_error
    if not await provider.address_limit.admits(whose(request)):
        raise ProtocolError(error, "too many sign-ins from this address")
    if not await provider.client_limit.admits(client.client_id):
        raise ProtocolError(error, "too many sign-ins of this client")


async def push(provider: Provider, request: Request) -> Response:
    """RFC 9126 §2."""
    return await _for_client(provider, request, pushed_requests.push, 201)


async def token(provider: Provider, request: Request) -> Response:
    """RFC 6749 §5.1, §5.2."""
    return await _for_client(provider, request, tokens.redeem, 200)


async def _for_client(provider: Provider, request: Request, work: Work, status: int) -> Response:
    """What a client asks that says who it is. One whose secrets fail too often is not listened to any more for this minute, from that address."""
    authorization = request.headers.get("authorization")
    try:
        given = await form_of(request)
    except Unreadable as error:
        return _error("invalid_request", str(error))
    limit, who = provider.token_failures, f"{whose(request)} {given.get('client_id')}"
    if limit.over(who):
        return _away("too many wrong secrets", 429, limit.retry_after())
    try:
        client = await authenticate(provider, given, authorization)
        proof = _proof(provider, request, request.url.path)
        return JSONResponse(await work(provider, given, client, proof), status, NOT_STORED)
    except ProtocolError as error:
        if error.error == "invalid_client":
            await limit.admits(who)
        return _error(error.error, error.text, authorization is not None)
    except KeysUnavailable as error:
        return _away(str(error), 503, {"Retry-After": "10"})


def _proof(provider: Provider, request: Request, path: str, access_token: str | None = None) -> Proof | None:
    """What the `DPoP` header proves for this endpoint. Raises `ProtocolError`."""
    now = provider.clock().timestamp()
    asked = dpop.Request(request.method, f"{provider.issuer}{path}", now, access_token)
    return proven(request.headers.getlist("dpop"), asked)


def _away(text: str, status: int, headers: Mapping[str, str]) -> Response:
    tree = {"error": "temporarily_unavailable", "error_description": text}
    return JSONResponse(tree, status, {**NOT_STORED, **headers})


def _error(error: str, text: str, challenged: bool = False) -> Response:
    headers = dict(NOT_STORED)
    if error == "invalid_client" and challenged:
        headers["WWW-Authenticate"] = 'Basic realm="token", charset="UTF-8"'
    status = 401 if error == "invalid_client" else 400
    return JSONResponse({"error": error, "error_description": text}, status, headers)


async def userinfo(provider: Provider, request: Request) -> Response:
    """OIDC Core §5.3, RFC 6750, RFC 9449 §7.1: the claims, once."""
    scheme, _, access_token = request.headers.get("authorization", "").partition(" ")
    access_token = access_token.strip()
    if scheme.lower() not in _SCHEMES or not access_token:
        return _unauthorized(_SCHEMES["bearer"])  # RFC 6750 §3.1: no error code without a token
    challenge = _SCHEMES[scheme.lower()]
    bound = scheme.lower() == "dpop"
    try:
        proof = _proof(provider, request, "/userinfo", access_token) if bound else None
    except ProtocolError as error:
        return _unauthorized(f'{challenge}, error="{error.error}", error_description="{error.text}"')
    answer = None if bound and proof is None else await tokens.userinfo(provider, access_token, proof)
    if answer is None:
        return _unauthorized(f'{challenge}, error="invalid_token", error_description="unknown, used or expired"')
    return Response(answer["body"], media_type=answer["type"], headers=NOT_STORED)


def _unauthorized(challenge: str) -> Response:
    return Response(status_code=401, headers={**NOT_STORED, "WWW-Authenticate": challenge})


async def end_session(provider: Provider, request: Request) -> Response:
    """Back to the client with its state, or a page: nothing of a sign-in is left here to end."""
    try:
        given = await _parameters(request)
        back = logout.way_back(given, provider.clients, provider.ring.signing_all("signing"), provider.issuer)
    except (Unreadable, ProtocolError) as error:
        return refusal_page(provider, request, "request_malformed", str(error))
    if back is None:
        return provider.pages.render(request, "provider/signed_out.html")
    return RedirectResponse(back, 303, NOT_STORED)


async def _parameters(request: Request) -> Given:
    """Of the query, or of the form when posted (OIDC Core §3.1.2.1)."""
    if request.method == "POST":
        return await form_of(request)
    return parse(request.scope["query_string"])


def _address(request: Request) -> str:
    return request.client.host if request.client else ""

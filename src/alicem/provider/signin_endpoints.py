"""HTTP of a sign-in: the browser's page and events, and what its phone fetches and answers (docs/protocols/approval.md)."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import lru_cache

import segno
import structlog
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from alicem import jose, journal, reasons
from alicem.evidence import Level
from alicem.provider import answers, events, records, references, request_objects, signing_in, tokens
from alicem.provider.authorize import redirection
from alicem.provider.claims import claims_of
from alicem.provider.http import NOT_STORED, form_of, refusal_page
from alicem.provider.parameters import Unreadable
from alicem.provider.records import AFTERLIFE, APPROVED, WAITING, Signin
from alicem.provider.room import Provider
from alicem.provider.sealing import unpack
from alicem.provider.signing_in import COOKIE, Browser
from alicem.web.limits import whose

Handler = Callable[[Provider, Request], Awaitable[Response]]
_MOST_ANSWER = 64 * 1024
_log = structlog.get_logger("alicem")


def page(provider: Provider, request: Request, signin: Signin, now: datetime) -> Response:
    """What the browser shows while it waits: QR, number, and what the phone will say."""
    transaction = request_objects.transaction(signin.request_object)
    fresh = {
        "signin": signin.signin,
        "number": str(signin.number),
        "link": signing_in.link(provider, signin.signin, now),
        "qr": signing_in.qr_address(provider, signin.signin, now),
    }
    return provider.pages.render_alike(
        request,
        "provider/signin.html",
        fresh,
        seconds_left=max(0, signin.expires_at - int(now.timestamp())),
        asker=transaction["asker"],
        level=transaction["level"],
        browser=transaction["browser"],
        region=transaction["region"],
        chip=transaction["chip"],
        claims=tuple(claim.name for claim in claims_of(signin.scope.split())),
        support_url=provider.settings.service.support_url,
        here="/signin",
    )


def set_cookie(response: Response, value: str, life: int = int(AFTERLIFE.total_seconds())) -> None:
    """Lax: the person comes from the client's site, and goes back to it, by top-level navigation alone."""
    # Written out: Python's own cookies take as long as the rest of the answer.
    response.headers.append("Set-Cookie", f"{COOKIE}={value}; Max-Age={life}; Path=/; Secure; HttpOnly; SameSite=lax")


async def show(provider: Provider, request: Request) -> Response:
    """The page again: after a change of language, and every few seconds without JavaScript."""
    signin = await _ours(provider, request)
    now = provider.clock()
    if signin is None:
        return refusal_page(provider, request, "signin_expired")
    if signin.outcome != WAITING or not signin.alive(now):
        return RedirectResponse("/signin/continue", 303, NOT_STORED)
    return page(provider, request, signin, now)


async def listen(provider: Provider, request: Request) -> Response:
    """Server-sent events: `reference`, then `approved`, `refused` or `replaced`."""
    signin = await _ours(provider, request)
    if signin is None or request.query_params.get("t") != signin.signin:
        stream = events.replaced()
    elif provider.waiting.full(signin.signin):
        return Response(status_code=503, headers={"Retry-After": "5"})
    else:
        stream = events.stream(provider, signin.signin)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def proceed(provider: Provider, request: Request) -> Response:
    """The end: the cookie opens the claims and the client gets a code, or an error."""
    browser = signing_in.browser_of(request.cookies.get(COOKIE))
    if browser is None or request.query_params.get("t", browser.signin) != browser.signin:
        return refusal_page(provider, request, "signin_expired")
    now = provider.clock()
    signin, code = await provider.store.write(lambda connection: _take(connection, provider, browser, now))
    if signin is None:
        return refusal_page(provider, request, "signin_expired")
    if signin.outcome == WAITING and signin.alive(now):
        return RedirectResponse("/signin", 303, NOT_STORED)
    if code is not None:
        return _back(provider, signin, code=code)
    reason = "signin_expired" if signin.outcome in (WAITING, APPROVED) else signin.outcome
    return _back_refused(provider, signin, reason)


async def cancel(provider: Provider, request: Request) -> Response:
    """Back to the client, by the person's choice. `t` is known to the page alone, so no other site can do this."""
    browser = signing_in.browser_of(request.cookies.get(COOKIE))
    if browser is None or request.query_params.get("t") != browser.signin:
        return refusal_page(provider, request, "signin_expired")
    now = provider.clock()

    def give_up(connection: Connection) -> Signin | None:
        signin = records.take_signin(connection, browser.signin, browser.public)
        if signin is not None and signin.outcome == WAITING:
            journal.append(connection, now, "sign_in_refused", provider.rng, content={"reason": "cancelled"})
        return signin

    signin = await provider.store.write(give_up)
    provider.waiting.wake(browser.signin)
    if signin is None:
        return refusal_page(provider, request, "signin_expired")
    _log.debug("sign-in", outcome="cancelled")
    return _back_refused(provider, signin, "cancelled")


async def give_request(provider: Provider, request: Request) -> Response:
    """The phone fetches the signed request object (RFC 9101 §5.2.3)."""
    if not await provider.phone_limit.admits(whose(request)):
        return _limited(provider)
    now = provider.clock()
    name = references.resolve(provider.transaction_secrets, request.path_params["reference"], now)
    signin = await provider.store.look_up(lambda connection: records.find_signin(connection, name)) if name else None
    if signin is None or signin.outcome != WAITING or not signin.alive(now):
        return JSONResponse({"outcome": "signin_expired"}, 404, NOT_STORED)
    if signin.level == Level.HIGH and provider.chips is not None:
        provider.chips.warm()  # ready by the time the person has typed number and code
    return Response(signin.request_object, media_type="application/oauth-authz-req+jwt", headers=NOT_STORED)


async def take_answer(provider: Provider, request: Request) -> Response:
    """The phone's answer (OpenID4VP 1.0 §8.2, `direct_post.jwt`)."""
    if not await provider.phone_limit.admits(whose(request)):
        return _limited(provider)
    try:
        given = await form_of(request, _MOST_ANSWER)
    except Unreadable:
        return _answered("wire_malformed", "wire_malformed")
    outcome = await answers.receive(provider, given)
    refused = outcome == answers.DONE and "error" in given  # done for the phone: its refusal was taken
    return _answered(outcome, answers.refusal_of(given) if refused else outcome)


def _limited(provider: Provider) -> Response:
    return JSONResponse({"outcome": "rate_limited"}, 429, {**NOT_STORED, **provider.phone_limit.retry_after()})


def _answered(outcome: str, ended: str) -> Response:
    _log.debug("sign-in", outcome=ended)
    return JSONResponse({"outcome": outcome}, 200 if outcome == answers.DONE else 400, NOT_STORED)


async def draw(provider: Provider, request: Request) -> Response:
    """The QR code of a living reference."""
    now = provider.clock()
    reference = request.path_params["reference"]
    if references.resolve(provider.transaction_secrets, reference, now) is None:
        return Response(status_code=404)
    return Response(qr_code(f"{provider.issuer}/phone/approve#{reference}"), media_type="image/svg+xml")


@lru_cache(maxsize=256)
def qr_code(text: str) -> bytes:
    """Error correction M. The mask is fixed: choosing it costs three times the drawing, and readers take any (ISO/IEC 18004 §7.8)."""
    out = io.BytesIO()
    segno.make(text, error="m", mask=3, micro=False, boost_error=False).save(
        out, kind="svg", border=2, xmldecl=False, omitsize=True, dark="#000", light="#fff"
    )
    return out.getvalue()


TABLE: tuple[tuple[str, Handler, tuple[str, ...]], ...] = (
    ("/signin", show, ("GET",)),
    ("/signin/events", listen, ("GET",)),
    ("/signin/continue", proceed, ("GET",)),
    ("/signin/cancel", cancel, ("GET",)),
    ("/signin/qr/{reference}.svg", draw, ("GET",)),
    ("/signin/request/{reference}", give_request, ("GET",)),
    ("/signin/response", take_answer, ("POST",)),
)


async def _ours(provider: Provider, request: Request) -> Signin | None:
    """The sign-in that this browser's cookie began."""
    browser = signing_in.browser_of(request.cookies.get(COOKIE))
    if browser is None:
        return None
    signin = await provider.store.look_up(lambda connection: records.find_signin(connection, browser.signin))
    return signin if signin is not None and signin.browser_key == browser.public else None


def _take(
    connection: Connection, provider: Provider, browser: Browser, now: datetime
) -> tuple[Signin | None, str | None]:
    """One transaction: a sign-in that ended is taken, and a code minted if it was approved in time."""
    taken = records.take_ended(connection, browser.signin, browser.public, now)
    if taken is None:
        signin = records.find_signin(connection, browser.signin)
        return (signin if signin is not None and signin.browser_key == browser.public else None), None
    if taken.claims is None or taken.outcome != APPROVED or not taken.alive(now):
        return taken, None
    contents = unpack(jose.decrypt(taken.claims, browser.key))
    return taken, tokens.mint(connection, provider, taken, contents, now)


def _back(provider: Provider, signin: Signin, **values: str) -> Response:
    address = redirection(signin.redirect_uri, signin.state, provider.issuer, **values)
    response = RedirectResponse(address, 303, NOT_STORED)
    set_cookie(response, "", 0)
    return response


def _back_refused(provider: Provider, signin: Signin, reason: str) -> Response:
    return _back(provider, signin, error=reasons.load()[reason].oidc_error, error_description=reason)

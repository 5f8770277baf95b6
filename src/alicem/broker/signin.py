"""The person's way through the broker: choose a provider, go there and come back. What comes then is in `information`."""

from __future__ import annotations

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alicem.broker import kept, records, relying, single_sign_on
from alicem.broker.alerts import title_of_service
from alicem.broker.parts import SIGN_IN_LIVES, Parts
from alicem.broker.providers import Provider
from alicem.broker.relying import Expected, ProviderFault
from alicem.broker.requests import Refused, ServiceRequest, Unanswerable, parse
from alicem.broker.rnipp import NotInRegister
from alicem.broker.sealing import fingerprint, new_secret
from alicem.broker.under_way import (
    COOKIE,
    Held,
    NoSuchSignIn,
    Open,
    TooMany,
    at,
    fail,
    form_of,
    keep_cookie,
    leave,
    may_go_to,
    open_sign_in,
    provider_of,
    service_of,
)
from alicem.web.text import language_of

PROVIDER_ERRORS = ("access_denied", "login_required", "temporarily_unavailable", "server_error", "invalid_request")
"""Errors of a provider that have words of their own; others share some."""


async def authorize(parts: Parts, request: Request) -> Response:
    """A service sends a person."""
    try:
        asked = parse(request.query_params.multi_items(), parts.services, parts.issuer)
    except Unanswerable as nowhere:
        return parts.pages.render(request, "broker/unanswerable.html", status=400, why=str(nowhere))
    except Refused as refused:
        return RedirectResponse(refused.address, 303)
    return await begin(parts, request, asked)


async def begin(parts: Parts, request: Request, asked: ServiceRequest) -> Response:
    """A sign-in of this browser: to the choice, or, where it is still recognised, to what will be sent. Raises `TooMany`."""
    if not parts.arrivals.admits(request):
        raise TooMany
    cookie = request.cookies.get(COOKIE) or new_secret(parts.rng)
    number, now = new_secret(parts.rng), parts.now()
    known = await single_sign_on.recall(parts, cookie, asked, service_of(parts, asked.client_id))

    def write(connection: Connection) -> None:
        whole = asked.to_json()
        records.begin(connection, id=number, browser=fingerprint(cookie), expires=now + SIGN_IN_LIVES, request=whole)
        if known is not None:
            provider, held = known
            records.hold(connection, number, provider.name, held.sealed(cookie, number, parts.rng))

    await parts.store.write(write)
    response = RedirectResponse(at("/choice" if known is None else "/information", number), 303)
    keep_cookie(response, COOKIE, cookie, strict=False)
    return response


async def choice(parts: Parts, request: Request) -> Response:
    """Whom does the person want to be identified by?"""
    here = await open_sign_in(parts, request, request.query_params.get("sign_in"))
    blocked = await _blocked(parts, here)
    offered = [one for one in parts.providers.values() if _may(one, here) and one.name not in blocked]
    tried = parts.providers.get(here.row.provider or "")
    response = parts.pages.render(
        request,
        "broker/choice.html",
        sign_in=here.row.id,
        service=title_of_service(parts, language_of(request), here.request.client_id),
        for_history=here.for_history,
        level=here.request.level,
        providers=offered,
        failure=here.row.failure,
        failure_key=_failure_key(here.row.failure),
        tried=tried.file.title if tried else "",
    )
    targets = [one.file.issuer for one in offered if not one.file.coming]
    return may_go_to(parts, response, [here.request.redirect_uri, *targets])


async def depart(parts: Parts, request: Request) -> Response:
    """The person chose, or goes back to the service."""
    form = await form_of(parts, request)
    here = await open_sign_in(parts, request, form.get("sign_in"))
    if form.get("provider") == "":
        return await leave(parts, here)
    provider = parts.providers.get(form.get("provider", ""))
    if provider is None or provider.file.coming or not _may(provider, here):
        raise NoSuchSignIn
    if not parts.arrivals.admits(request):
        raise TooMany
    state, nonce = parts.rng(32).hex(), parts.rng(32).hex()
    try:
        metadata = await relying.discover(parts.client, provider)
    except ProviderFault as fault:
        return await fail(parts, here.row.id, f"provider_{fault.reason}", provider)
    await parts.store.write(
        lambda connection: records.send_out(connection, here.row.id, provider.name, fingerprint(state), nonce)
    )
    level = here.request.level
    address = relying.authorize_address(
        metadata, provider, redirect_uri=parts.callback(provider), state=state, nonce=nonce, level=level
    )
    return RedirectResponse(address, 303)


async def callback(parts: Parts, request: Request) -> Response:
    """A provider sends the person back, with a code or an error."""
    given, now = request.query_params, parts.now()
    cookie = request.cookies.get(COOKIE, "")
    state, browser = fingerprint(given.get("state", "")), fingerprint(cookie)
    row = await parts.store.write(lambda connection: records.come_back(connection, now, state, browser))
    if row is None or row.nonce is None or row.provider != request.path_params["provider"]:
        raise NoSuchSignIn
    provider, asked = provider_of(parts, row), ServiceRequest.from_json(row.request)
    if not service_of(parts, asked.client_id).admits(provider.name):
        raise NoSuchSignIn  # its file says otherwise by now
    if "error" in given:
        return await fail(parts, row.id, f"error_{_known(given['error'])}", provider)
    try:
        held = await _recognised(parts, provider, asked, row.nonce, given.get("code", ""), given.get("iss"))
    except ProviderFault as fault:
        return await fail(parts, row.id, f"provider_{fault.reason}", provider)
    except NotInRegister as missing:
        return await fail(parts, row.id, f"register_{missing.outcome}", provider)
    person = parts.person(held.identity)
    if provider.name in await parts.store.read(lambda connection: kept.blocked(connection, person)):
        return await fail(parts, row.id, "blocked_by_you", provider)
    sealed = held.sealed(cookie, row.id, parts.rng)
    await parts.store.write(lambda connection: records.hold(connection, row.id, provider.name, sealed))
    return RedirectResponse(at("/information", row.id), 303)


async def _recognised(
    parts: Parts, provider: Provider, asked: ServiceRequest, nonce: str, code: str, iss: str | None
) -> Held:
    """Who a provider says it is, as the register has it. Raises `ProviderFault`, `NotInRegister`."""
    alg = provider.file.encryption_alg
    openers = {} if alg is None else parts.encryption.openers(alg, parts.clock())
    expected = Expected(nonce, asked.level, parts.callback(provider), parts.now, openers)
    proven = await relying.redeem(parts.client, provider, code, iss, expected)
    return Held.of(proven, parts.register.look_up(proven.identity))


async def _blocked(parts: Parts, here: Open) -> frozenset[str]:
    """What the person blocked, where it is known who they are."""
    if here.row.identity is None:
        return frozenset()
    person = parts.person(here.held().identity)
    return await parts.store.read(lambda connection: kept.blocked(connection, person))


def _known(error: str) -> str:
    """A provider's error, if it is one of the words we know: others are a stranger's text."""
    return error if error in PROVIDER_ERRORS else "other"


def _failure_key(failure: str | None) -> str | None:
    """The text of a failure: `broker.failure.…`."""
    if failure is None:
        return None
    kind, _, word = failure.partition("_")
    if kind == "provider" and word not in ("unreachable", "acr"):
        word = "other"
    return f"broker.failure.{kind}.{word}"


def _may(provider: Provider, here: Open) -> bool:
    """Whether this provider is offered for what the service asks."""
    return provider.reaches(here.request.level) and here.service.admits(provider.name)

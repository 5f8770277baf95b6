"""The person's way through the broker: choose a provider, go there and come back, see exactly what will be sent, send it or not.

A sign-in belongs to one browser (its cookie) and lives a quarter of an hour. Nothing is sent before the information page was answered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alicem.broker import records, relying
from alicem.broker.claims import Identity, released
from alicem.broker.openid import read_form
from alicem.broker.parts import CODE_LIVES, SIGN_IN_LIVES, Parts
from alicem.broker.providers import Provider
from alicem.broker.pseudonym import pairwise
from alicem.broker.relying import Expected, ProviderFault
from alicem.broker.requests import Refused, ServiceRequest, Unanswerable, origin_of, parse
from alicem.broker.rnipp import NotInRegister
from alicem.broker.sealing import DoesNotOpen, fingerprint, new_secret, seal, unseal
from alicem.broker.services import Service
from alicem.web.headers import Sources, content_security_policy

COOKIE = "__Host-broker"

PROVIDER_ERRORS = ("access_denied", "login_required", "temporarily_unavailable", "server_error", "invalid_request")
"""Errors of a provider that have words of their own; others share some."""

log = structlog.get_logger("broker")


class NoSuchSignIn(Exception):
    """It expired, is over, or belongs to another browser."""


class NotFromOurPage(Exception):
    """A form that another site sent."""


@dataclass(frozen=True)
class Held:
    """What is sealed to the browser between the provider's answer and the person's decision."""

    identity: Identity
    level: str


@dataclass(frozen=True)
class Open:
    """A sign-in under way, found by its number and the browser's cookie."""

    cookie: str
    row: records.SignIn
    request: ServiceRequest
    service: Service

    def held(self) -> Held:
        """Raises `NoSuchSignIn` where no provider has answered."""
        if self.row.identity is None:
            raise NoSuchSignIn
        try:
            tree = unseal(self.cookie, self.row.id, self.row.identity)
        except DoesNotOpen as error:
            raise NoSuchSignIn from error
        return Held(Identity(**tree["identity"]), tree["level"])


async def authorize(parts: Parts, request: Request) -> Response:
    """A service sends a person."""
    try:
        asked = parse(request.query_params.multi_items(), parts.services, parts.issuer)
    except Unanswerable:
        return parts.pages.render(request, "broker/unanswerable.html", status=400)
    except Refused as refused:
        return RedirectResponse(refused.address, 303)
    cookie = request.cookies.get(COOKIE) or new_secret(parts.rng)
    number, now = new_secret(parts.rng), parts.now()
    await parts.store.write(
        lambda connection: records.begin(
            connection,
            now,
            id=number,
            browser=fingerprint(cookie),
            expires=now + SIGN_IN_LIVES,
            request=asked.to_json(),
        )
    )
    response = RedirectResponse(_at("/choice", number), 303)
    # Lax: the person comes back from the provider by a link of another site
    response.set_cookie(COOKIE, cookie, secure=True, httponly=True, samesite="lax", path="/")
    return response


async def choice(parts: Parts, request: Request) -> Response:
    """Whom does the person want to be identified by?"""
    here = await _open(parts, request, request.query_params.get("sign_in"))
    offered = [one for one in parts.providers.values() if _may(one, here)]
    response = parts.pages.render(
        request,
        "broker/choice.html",
        sign_in=here.row.id,
        service=here.service.file.title,
        level=here.request.level,
        providers=offered,
        failure=here.row.failure,
        failure_key=_failure_key(here.row.failure),
        tried=_provider(parts, here.row).file.title if here.row.failure else "",
    )
    targets = [one.file.issuer for one in offered if not one.file.coming]
    return _may_go_to(parts, response, [here.request.redirect_uri, *targets])


async def depart(parts: Parts, request: Request) -> Response:
    """The person chose, or goes back to the service."""
    form = await _form(parts, request)
    here = await _open(parts, request, form.get("sign_in"))
    if form.get("provider") == "":
        return await _leave(parts, here)
    provider = parts.providers.get(form.get("provider", ""))
    if provider is None or provider.file.coming or not _may(provider, here):
        raise NoSuchSignIn
    state, nonce = parts.rng(32).hex(), parts.rng(32).hex()
    try:
        metadata = await relying.discover(parts.client, provider)
    except ProviderFault as fault:
        return await _fail(parts, here.row.id, f"provider_{fault.reason}", provider)
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
    if row is None or row.provider is None or row.nonce is None or row.provider != request.path_params["provider"]:
        raise NoSuchSignIn
    provider, asked = _provider(parts, row), ServiceRequest.from_json(row.request)
    if "error" in given:
        return await _fail(parts, row.id, f"error_{given['error'][:34]}", provider)
    expected = Expected(row.nonce, asked.level, parts.callback(provider), parts.now)
    try:
        proven = await relying.redeem(parts.client, provider, given.get("code", ""), given.get("iss"), expected)
        identity = parts.register.look_up(proven.identity)
    except ProviderFault as fault:
        return await _fail(parts, row.id, f"provider_{fault.reason}"[:40], provider)
    except NotInRegister as missing:
        return await _fail(parts, row.id, f"register_{missing.outcome}", provider)
    sealed = seal(cookie, row.id, asdict(Held(identity, proven.level)), parts.rng)
    await parts.store.write(lambda connection: records.hold(connection, row.id, sealed))
    return RedirectResponse(_at("/information", row.id), 303)


async def information(parts: Parts, request: Request) -> Response:
    """What will be sent, before anything is."""
    here = await _open(parts, request, request.query_params.get("sign_in"))
    held = here.held()
    response = parts.pages.render(
        request,
        "broker/information.html",
        sign_in=here.row.id,
        service=here.service.file.title,
        provider=_provider(parts, here.row).file.title,
        level=held.level,
        person=f"{held.identity.given_name} {held.identity.family_name}".strip(),
        claims=list(released(held.identity, here.request.scopes).items()),
        consent=here.service.file.consent,
        unticked=request.query_params.get("unticked") == "1",
    )
    return _may_go_to(parts, response, [here.request.redirect_uri])


async def decide(parts: Parts, request: Request) -> Response:
    """The person sends it, or does not."""
    form = await _form(parts, request)
    here = await _open(parts, request, form.get("sign_in"))
    if form.get("decision") != "continue":
        return await _leave(parts, here)
    held = here.held()
    if here.service.file.consent and form.get("consent") != "yes":
        return RedirectResponse(str(URL(_at("/information", here.row.id)).include_query_params(unticked="1")), 303)
    code, now = new_secret(parts.rng), parts.now()
    row = records.Code(
        here.request.client_id,
        here.request.redirect_uri,
        here.request.challenge,
        seal(code, "code", _answer(parts, here, held), parts.rng),
    )

    def end(connection: Any) -> bool:
        if records.take(connection, now, here.row.id, fingerprint(here.cookie)) is None:
            return False
        records.add_code(connection, fingerprint(code), now + CODE_LIVES, row)
        return True

    if not await parts.store.write(end):
        raise NoSuchSignIn
    return RedirectResponse(here.request.answer(parts.issuer, code=code), 303)


async def home(parts: Parts, request: Request) -> Response:
    return parts.pages.render(request, "broker/home.html")


def sign_in_is_over(parts: Parts, request: Request) -> Response:
    """The page for `NoSuchSignIn`."""
    return parts.pages.render(request, "broker/over.html", status=400)


def _answer(parts: Parts, here: Open, held: Held) -> dict[str, Any]:
    """What the service will get: the same claims as on the information page."""
    sub = pairwise(here.service.file.entity, held.identity, parts.pseudonyms)
    return {
        "id_token": {"sub": sub, "nonce": here.request.nonce, "acr": held.level, "auth_time": parts.now()},
        "userinfo": {"sub": sub, **released(held.identity, here.request.scopes)},
    }


async def _open(parts: Parts, request: Request, number: str | None) -> Open:
    cookie, now = request.cookies.get(COOKIE, ""), parts.now()
    row = None
    if number and cookie:
        row = await parts.store.read(lambda connection: records.find(connection, now, number, fingerprint(cookie)))
    if row is None:
        raise NoSuchSignIn
    asked = ServiceRequest.from_json(row.request)
    if asked.client_id not in parts.services:  # taken away since
        raise NoSuchSignIn
    return Open(cookie, row, asked, parts.services[asked.client_id])


def _provider(parts: Parts, row: records.SignIn) -> Provider:
    """The provider the person last chose. Raises `NoSuchSignIn` where it was taken away since."""
    provider = parts.providers.get(row.provider or "")
    if provider is None:
        raise NoSuchSignIn
    return provider


async def _form(parts: Parts, request: Request) -> dict[str, str]:
    """Fields of a form of ours. Raises `NotFromOurPage`."""
    if request.headers.get("origin", parts.issuer) != parts.issuer:
        raise NotFromOurPage
    return dict(await read_form(request) or ())


async def _leave(parts: Parts, here: Open) -> Response:
    """Back to the service with nothing."""
    now = parts.now()
    await parts.store.write(lambda connection: records.take(connection, now, here.row.id, fingerprint(here.cookie)))
    return RedirectResponse(here.request.answer(parts.issuer, error="access_denied"), 303)


async def _fail(parts: Parts, number: str, failure: str, provider: Provider) -> Response:
    """This try is over: the choice again, with the reason."""
    log.warning("sign-in failed", provider=provider.name, failure=failure)
    await parts.store.write(lambda connection: records.fail(connection, number, provider.name, failure[:40]))
    return RedirectResponse(_at("/choice", number), 303)


def _failure_key(failure: str | None) -> str | None:
    """The text of a failure: `broker.failure.…`."""
    if failure is None:
        return None
    kind, _, word = failure.partition("_")
    if kind == "register":
        return f"broker.failure.register.{word}"
    if kind == "error":
        return f"broker.failure.error.{word if word in PROVIDER_ERRORS else 'other'}"
    return f"broker.failure.provider.{word if word in ('unreachable', 'acr') else 'other'}"


def _may(provider: Provider, here: Open) -> bool:
    """Whether this provider is offered for what the service asks."""
    return provider.reaches(here.request.level) and here.service.admits(provider.name)


def _may_go_to(parts: Parts, response: Response, addresses: Iterable[str]) -> Response:
    """A form of this page may end at these addresses: browsers hold `form-action` against redirects too (CSP 3 §6.4)."""
    origins = tuple(dict.fromkeys(origin_of(one) for one in addresses))
    response.headers["content-security-policy"] = content_security_policy(parts.issuer, Sources(form=origins))
    return response


def _at(path: str, number: str) -> str:
    return f"{path}?sign_in={number}"

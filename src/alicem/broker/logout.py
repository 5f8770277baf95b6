"""The end: a service signs a person out, and with that the browser is recognised no more, here and at the provider.

RP-Initiated Logout 1.0 on both sides: `end_session` for services, and a redirect to the provider's own, as FranceConnect does.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from joserfc.jwk import OctKey
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alicem.broker import records, relying, single_sign_on
from alicem.broker.messages import BadMessage, Key, payload, verified
from alicem.broker.parts import SIGN_IN_LIVES, Parts
from alicem.broker.providers import Provider
from alicem.broker.relying import ProviderFault
from alicem.broker.requests import with_parameters
from alicem.broker.sealing import fingerprint
from alicem.broker.services import Service
from alicem.broker.under_way import COOKIE, Held, form_of, may_go_to


async def end_session(parts: Parts, request: Request) -> Response:
    """A service's sign-out. Without an id_token of ours nobody is signed out by a mere link (§2): the person is asked."""
    given = request.query_params
    service = _service_of(parts, given.get("id_token_hint", ""))
    if service is None or given.get("client_id", service.key) != service.key:
        return with_sign_out(parts, parts.pages.render(request, "broker/sign_out.html"))
    return await _end(parts, request, _back(service, given))


async def home(parts: Parts, request: Request) -> Response:
    """Nobody is sent here: what this is, the history, and a sign-out."""
    return with_sign_out(parts, parts.pages.render(request, "broker/home.html"))


def with_sign_out(parts: Parts, response: Response) -> Response:
    """The sign-out's form may lead to a provider's own."""
    return may_go_to(parts, response, [one.file.issuer for one in parts.providers.values() if one.file.issuer])


async def sign_out(parts: Parts, request: Request) -> Response:
    """The person's own, by a form of ours."""
    await form_of(parts, request)
    return await _end(parts, request, "/signed-out")


async def signed_out(parts: Parts, request: Request) -> Response:
    return parts.pages.render(request, "broker/signed_out.html")


async def returned(parts: Parts, request: Request) -> Response:
    """Back from a provider's sign-out."""
    now, state = parts.now(), fingerprint(request.query_params.get("state", ""))
    back = await parts.store.write(lambda connection: records.end_sign_out(connection, now, state))
    return RedirectResponse(back or "/signed-out", 303)


async def _end(parts: Parts, request: Request, back: str) -> Response:
    known = await single_sign_on.forget(parts, request.cookies.get(COOKIE, ""))
    address = None if known is None else await _at_provider(parts, *known, back)
    return RedirectResponse(address or back, 303)


async def _at_provider(parts: Parts, provider: Provider, held: Held, back: str) -> str | None:
    """The provider's sign-out, if it has one and answers."""
    try:
        ends = (await relying.discover(parts.client, provider)).end_session_endpoint
    except ProviderFault:
        return None
    if ends is None:
        return None
    state, expires = parts.rng(32).hex(), parts.now() + SIGN_IN_LIVES
    await parts.store.write(lambda connection: records.begin_sign_out(connection, fingerprint(state), expires, back))
    asked = {
        "post_logout_redirect_uri": f"{parts.issuer}/logged-out/{provider.name}",
        "state": state,
        "client_id": provider.file.client_id,
        "id_token_hint": held.id_token,
    }
    return ends + ("&" if urlsplit(ends).query else "?") + urlencode(asked)


def _back(service: Service, given: Mapping[str, str]) -> str:
    """Where the service wants the browser, if its file says so."""
    address = given.get("post_logout_redirect_uri")
    if address not in service.file.post_logout_redirect_uris:
        return "/signed-out"
    state = given.get("state", "")
    return with_parameters(address, {"state": state} if 1 <= len(state) <= 512 else {})


def _service_of(parts: Parts, hint: str) -> Service | None:
    """The service an id_token of ours was given to; expired ones count (§4)."""
    try:
        audience = payload(hint).get("aud")
        service = parts.services.get(audience) if isinstance(audience, str) else None
        if service is None:
            return None
        key: Key = OctKey.import_key(service.secret) if service.file.signature == "HS256" else parts.key
        claims = verified(hint, service.file.signature, {str(key.kid): key})
    except BadMessage:
        return None
    return service if claims.get("iss") == parts.issuer else None

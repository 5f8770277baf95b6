"""What will be sent, before anything is; then it is sent, or not."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alicem.broker import alerts, history, kept, records, single_sign_on
from alicem.broker.claims import released
from alicem.broker.kept import SignedIn
from alicem.broker.parts import CODE_LIVES, Parts
from alicem.broker.pseudonym import pairwise
from alicem.broker.readable import readable
from alicem.broker.sealing import fingerprint, new_secret, seal
from alicem.broker.under_way import (
    Held,
    NoSuchSignIn,
    Open,
    at,
    form_of,
    keep_cookie,
    leave,
    may_go_to,
    open_sign_in,
    provider_of,
)
from alicem.web.text import language_of

KNOWN = "__Host-broker-known"
"""By it a browser is known as a person's for six months; it opens nothing."""


async def information(parts: Parts, request: Request) -> Response:
    """What will be sent, each value readable."""
    here = await open_sign_in(parts, request, request.query_params.get("sign_in"))
    held, language = here.held(), language_of(request)
    claims = released(held.identity, here.request.scopes, parts.today())
    response = parts.pages.render(
        request,
        "broker/information.html",
        sign_in=here.row.id,
        service=alerts.title_of_service(parts, language, here.request.client_id),
        for_history=here.for_history,
        provider=provider_of(parts, here.row).file.title,
        level=held.level,
        anew=held.anew,
        person=f"{held.identity.given_name} {held.identity.family_name}".strip(),
        claims=list(readable(parts.pages.texts, language, claims)),
        derived="over_18" in claims and "birthdate" not in claims,
        consent=here.service.file.consent,
        unticked=request.query_params.get("unticked") == "1",
    )
    return may_go_to(parts, response, [here.request.redirect_uri])


async def decide(parts: Parts, request: Request) -> Response:
    """The person sends it, or does not."""
    form = await form_of(parts, request)
    here = await open_sign_in(parts, request, form.get("sign_in"))
    if form.get("decision") != "continue":
        return await leave(parts, here)
    held = here.held()
    if here.service.file.consent and form.get("consent") != "yes":
        return RedirectResponse(str(URL(at("/information", here.row.id)).include_query_params(unticked="1")), 303)
    known = request.cookies.get(KNOWN) or new_secret(parts.rng)
    provider = provider_of(parts, here.row).name
    row = _row(parts, here, held, provider)
    code = await _send(parts, here, held, row, known, language_of(request))
    if here.for_history:
        response: Response = await history.admit(parts, held, provider)
    else:
        await single_sign_on.remember(parts, here.cookie, provider, held)
        response = RedirectResponse(here.request.answer(parts.issuer, code=code), 303)
    keep_cookie(response, KNOWN, known, strict=True, seconds=kept.SIX_MONTHS)
    return response


def _row(parts: Parts, here: Open, held: Held, provider: str) -> SignedIn:
    return SignedIn(
        code=alerts.session_code(parts.rng),
        person=parts.person(held.identity),
        at=parts.now(),
        service=here.request.client_id,
        provider=provider,
        level=held.level,
        data=("sub", *released(held.identity, here.request.scopes, parts.today())) if not here.for_history else (),
        anew=held.anew,
    )


async def _send(parts: Parts, here: Open, held: Held, row: SignedIn, known: str, language: str) -> str:
    """In one transaction: the sign-in ends, the code waits, the history has it, and the letter does, where one is due. Raises `NoSuchSignIn`."""
    code, now = new_secret(parts.rng), parts.now()
    answer = records.Code(
        here.request.client_id,
        here.request.redirect_uri,
        here.request.challenge,
        seal(code, "code", _answer(parts, here, held), parts.rng),
    )

    def end(connection: Connection) -> bool:
        if records.take(connection, now, here.row.id, fingerprint(here.cookie)) is None:
            return False
        if row.provider in kept.blocked(connection, row.person):
            return False
        reasons = alerts.unusual(connection, row, known)
        kept.add(connection, row)
        if reasons:
            letter = alerts.alert(parts, language, row, reasons, held.identity.email)
            parts.post.put(connection, letter, now)
        if not here.for_history:
            records.add_code(connection, fingerprint(code), now + CODE_LIVES, answer)
        return True

    if not await parts.store.write(end):
        raise NoSuchSignIn
    return code


def _answer(parts: Parts, here: Open, held: Held) -> dict[str, Any]:
    """What the service will get: the same claims as on the information page."""
    sub = pairwise(here.service.file.entity, held.identity, parts.pseudonyms)
    return {
        "id_token": {"sub": sub, "nonce": here.request.nonce, "acr": held.level, "auth_time": held.auth_time},
        "userinfo": {"sub": sub, **released(held.identity, here.request.scopes, parts.today())},
    }

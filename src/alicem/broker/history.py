"""The citizen's own page: six months of sign-ins, "this was not me", providers they block. Opened by a sign-in of theirs, for ten minutes."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alicem.broker import alerts, kept, records, signin
from alicem.broker.parts import Parts
from alicem.broker.requests import ServiceRequest
from alicem.broker.sealing import DoesNotOpen, fingerprint, new_secret, seal, unseal
from alicem.broker.under_way import HISTORY, Held, form_of, keep_cookie
from alicem.web.text import language_of

COOKIE = "__Host-broker-history"
LIVES = 600
"""Seconds the page stays open."""
_PURPOSE = "history"


@dataclass(frozen=True)
class Reader:
    """Who reads, sealed to the page's cookie. `provider`: whom they came through."""

    person: str
    email: str
    provider: str


async def page(parts: Parts, request: Request) -> Response:
    """The history, or what it is and how it is opened."""
    reader = await _reader(parts, request)
    if reader is None:
        return parts.pages.render(request, "broker/history_closed.html", letters=parts.settings.mail is not None)
    language, now = language_of(request), parts.now()
    rows = await parts.store.read(lambda connection: kept.of(connection, reader.person, now - kept.SIX_MONTHS))
    blocked = await parts.store.read(lambda connection: kept.blocked(connection, reader.person))
    names = (
        {row.provider for row in rows} | blocked | {one.name for one in parts.providers.values() if not one.file.coming}
    )
    return parts.pages.render(
        request,
        "broker/history.html",
        rows=[_shown(parts, language, row) for row in rows],
        providers=[(name, alerts.title_of_provider(parts, name), name in blocked) for name in sorted(names)],
        mine=reader.provider,
        told=next((_shown(parts, language, row) for row in rows if row.code == request.query_params.get("told")), None),
    )


async def enter(parts: Parts, request: Request) -> Response:
    """A sign-in whose only end is this page: always asked anew, through any provider, nothing sent to anybody."""
    await form_of(parts, request)
    asked = ServiceRequest(HISTORY, f"{parts.issuer}/history", ("openid",), "eidas1", "", "", None, anew=True)
    return await signin.begin(parts, request, asked)


async def admit(parts: Parts, held: Held, provider: str) -> Response:
    """After that sign-in."""
    cookie, reader = new_secret(parts.rng), Reader(parts.person(held.identity), held.identity.email, provider)
    sealed, expires = seal(cookie, _PURPOSE, asdict(reader), parts.rng), parts.now() + LIVES
    await parts.store.write(lambda c: records.remember(c, fingerprint(cookie), expires, provider, sealed))
    response = RedirectResponse("/history", 303)
    keep_cookie(response, COOKIE, cookie, strict=True, seconds=LIVES)
    return response


async def change(parts: Parts, request: Request) -> Response:
    """A form of the page: report a row, block or unblock a provider, close the page."""
    form = await form_of(parts, request)
    reader, back = await _reader(parts, request), "/history"
    if reader is not None and "report" in form:
        back = await _report(parts, reader, form["report"], language_of(request))
    elif reader is not None and "block" in form:
        await _block(parts, reader, form["block"])
    elif reader is not None and "unblock" in form:
        name = form["unblock"]
        await parts.store.write(lambda connection: kept.unblock(connection, reader.person, name))
    elif "close" in form:
        cookie = request.cookies.get(COOKIE, "")
        await parts.store.write(lambda connection: records.forget(connection, fingerprint(cookie)))
    return RedirectResponse(back, 303)


async def _report(parts: Parts, reader: Reader, code: str, language: str) -> str:
    """This was not me: noted on the row, told to support, confirmed by a letter. The page then offers to block the provider."""
    now, support = parts.now(), parts.settings.support

    def write(connection: Connection) -> bool:
        row = kept.report(connection, reader.person, code, now)
        if row is None:
            return False
        parts.post.put(connection, alerts.report(parts, language, row, reader.email), now)
        if support is not None:
            parts.post.put(connection, alerts.report(parts, "fr", row, support), now)
        return True

    return f"/history?told={code}" if await parts.store.write(write) else "/history"


async def _block(parts: Parts, reader: Reader, name: str) -> None:
    """A provider we have, or had when the person came through it."""
    now = parts.now()

    def write(connection: Connection) -> None:
        providers, _ = kept.seen(connection, reader.person, now - kept.SIX_MONTHS)
        if name in parts.providers or name in providers:
            kept.block(connection, reader.person, name, now)

    await parts.store.write(write)


async def _reader(parts: Parts, request: Request) -> Reader | None:
    cookie, now = request.cookies.get(COOKIE, ""), parts.now()
    if not cookie:
        return None
    row = await parts.store.read(lambda connection: records.recall(connection, now, fingerprint(cookie)))
    try:
        return None if row is None else Reader(**unseal(cookie, _PURPOSE, row[1]))
    except DoesNotOpen:
        return None


def _shown(parts: Parts, language: str, row: kept.SignedIn) -> dict[str, object]:
    return asdict(row) | {
        "spelled": alerts.spelled(row.code),
        "when": alerts.paris_time(language, row.at),
        "service_title": alerts.title_of_service(parts, language, row.service),
        "provider_title": alerts.title_of_provider(parts, row.provider),
    }

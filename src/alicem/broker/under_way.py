"""A sign-in under way: it belongs to one browser (its cookie), is found by its number, and lives a quarter of an hour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from urllib.parse import parse_qsl

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alicem.broker import records
from alicem.broker.claims import Identity
from alicem.broker.parts import Parts
from alicem.broker.providers import Provider
from alicem.broker.relying import Proven
from alicem.broker.requests import ServiceRequest, origin_of
from alicem.broker.sealing import DoesNotOpen, Random, fingerprint, seal, unseal
from alicem.broker.services import Service, ServiceFile
from alicem.web.headers import Sources, content_security_policy

COOKIE = "__Host-broker"
"""Lax: the person comes back from the provider, and from the next service, by a link of another site."""

HISTORY = ""
"""The client_id under which the broker itself asks who somebody is, for their history."""

_MOST = 16_384  # bytes of a form

log = structlog.get_logger("broker")


class NoSuchSignIn(Exception):
    """It expired, is over, or belongs to another browser."""


class NotFromOurPage(Exception):
    """A form that another site sent."""


class TooMany(Exception):
    """More than one address may begin."""


@dataclass(frozen=True)
class Held:
    """Who somebody is, as the register says, sealed to their browser. `anew`: they were asked now; else the browser was still recognised."""

    identity: Identity
    level: str
    auth_time: int
    id_token: str
    anew: bool = True

    @classmethod
    def of(cls, proven: Proven, identity: Identity) -> Held:
        return cls(identity, proven.level, proven.auth_time, proven.id_token)

    def sealed(self, cookie: str, purpose: str, rng: Random) -> bytes:
        return seal(cookie, purpose, asdict(self), rng)

    @classmethod
    def opened(cls, cookie: str, purpose: str, sealed: bytes) -> Held:
        """Raises `DoesNotOpen`."""
        tree = unseal(cookie, purpose, sealed)
        return cls(**tree | {"identity": Identity(**tree["identity"])})


@dataclass(frozen=True)
class Open:
    """A sign-in under way, found by its number and the browser's cookie."""

    cookie: str
    row: records.SignIn
    request: ServiceRequest
    service: Service

    @property
    def for_history(self) -> bool:
        return self.request.client_id == HISTORY

    def held(self) -> Held:
        """Raises `NoSuchSignIn` where no provider has answered."""
        if self.row.identity is None:
            raise NoSuchSignIn
        try:
            return Held.opened(self.cookie, self.row.id, self.row.identity)
        except DoesNotOpen as error:
            raise NoSuchSignIn from error


async def open_sign_in(parts: Parts, request: Request, number: str | None) -> Open:
    """Raises `NoSuchSignIn`."""
    cookie, now = request.cookies.get(COOKIE, ""), parts.now()
    row = None
    if number and cookie:
        row = await parts.store.read(lambda connection: records.find(connection, now, number, fingerprint(cookie)))
    if row is None:
        raise NoSuchSignIn
    asked = ServiceRequest.from_json(row.request)
    return Open(cookie, row, asked, service_of(parts, asked.client_id))


def service_of(parts: Parts, client_id: str) -> Service:
    """Raises `NoSuchSignIn` where it was taken away since."""
    if client_id == HISTORY:
        return Service("", ServiceFile("", HISTORY, "", (f"{parts.issuer}/history",), ("openid",)))
    service = parts.services.get(client_id)
    if service is None:
        raise NoSuchSignIn
    return service


def provider_of(parts: Parts, row: records.SignIn) -> Provider:
    """The provider the person last chose. Raises `NoSuchSignIn` where it was taken away since."""
    provider = parts.providers.get(row.provider or "")
    if provider is None:
        raise NoSuchSignIn
    return provider


async def form_of(parts: Parts, request: Request) -> dict[str, str]:
    """Fields of a form of ours. Raises `NotFromOurPage`: browsers send `Origin` with every form."""
    if request.headers.get("origin") != parts.issuer:
        raise NotFromOurPage
    return dict(await read_form(request) or ())


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


async def leave(parts: Parts, here: Open) -> Response:
    """Back to the service with nothing."""
    now = parts.now()
    await parts.store.write(lambda connection: records.take(connection, now, here.row.id, fingerprint(here.cookie)))
    if here.for_history:
        return RedirectResponse("/history", 303)
    return RedirectResponse(here.request.answer(parts.issuer, error="access_denied"), 303)


async def fail(parts: Parts, number: str, failure: str, provider: Provider) -> Response:
    """This try is over: the choice again, with the reason."""
    log.warning("sign-in failed", provider=provider.name, failure=failure)
    await parts.store.write(lambda connection: records.fail(connection, number, provider.name, failure[:40]))
    return RedirectResponse(at("/choice", number), 303)


def may_go_to(parts: Parts, response: Response, addresses: Iterable[str]) -> Response:
    """A form of this page may end at these addresses: browsers hold `form-action` against redirects too (CSP 3 §6.4)."""
    origins = tuple(dict.fromkeys(origin_of(one) for one in addresses))
    response.headers["content-security-policy"] = content_security_policy(parts.issuer, Sources(form=origins))
    return response


def keep_cookie(response: Response, name: str, value: str, *, strict: bool, seconds: int | None = None) -> None:
    """`__Host-` cookies are of this host alone, by TLS alone (RFC 6265bis §4.1.3.2)."""
    site = "strict" if strict else "lax"
    response.set_cookie(name, value, max_age=seconds, secure=True, httponly=True, samesite=site, path="/")  # type: ignore[arg-type]


def at(path: str, number: str) -> str:
    return f"{path}?sign_in={number}"

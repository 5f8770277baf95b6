"""Notices of the State's registry: a document lost, stolen or cancelled, or its holder deceased, suspends the account (docs/protocols/registry.md).

The registry does not learn who has an account: every notice has one answer, after a time that does not depend on what was found.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, select
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alicem.accounts import life, records
from alicem.accounts.states import Event
from alicem.accounts.tables import accounts
from alicem.jose import BadToken
from alicem.keys import KeyRing, document_fingerprints
from alicem.settings import Settings, SettingsError, secret
from alicem.store import Store
from alicem.web.bodies import BodyTooLarge, json_of

AHEAD = timedelta(days=2)
"""How far a notice may lie in the future of our clock."""
ANSWER_SECONDS = 0.1
"""Answers leave at multiples of this after their request came: longer than a suspension takes."""
FORMS = {
    "reference": r"[A-Za-z0-9_-]{16,64}",
    "issuer": r"[A-Z]{1,3}",
    "kind": r"passport|residence_permit",
    "number": r"[A-Z0-9]{1,22}",
    "notice": r"lost|stolen|cancelled|deceased",
    "at": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,20}(?:Z|\+00:00)",
}
_MOST = 4096

_log = structlog.get_logger("alicem")


class Malformed(Exception):
    """`member` is missing, unknown or of another form; None where the whole is not a JSON object."""

    def __init__(self, member: str | None = None) -> None:
        super().__init__(member)
        self.member = member


class TokenRefused(Exception):
    """No bearer token, or another one."""


@dataclass(frozen=True, repr=False)
class Notice:
    """What the State declared of a document. The number is in memory alone."""

    issuer: str
    kind: str
    number: str
    notice: str
    at: datetime


@dataclass(frozen=True, repr=False)
class Notices:
    """What taking notices needs. `token`: the registry's bearer token."""

    store: Store
    ring: KeyRing
    token: str
    clock: Callable[[], datetime]
    rng: Callable[[int], bytes]

    async def take(self, request: Request) -> Response:
        """`POST /registry/notices`."""
        begun = asyncio.get_running_loop().time()
        try:
            _admit(request, self.token)
            notice = read_notice(await json_of(request, _MOST), self.clock())
        except TokenRefused:
            return JSONResponse({"error": "token_refused"}, 401, {"www-authenticate": "Bearer"})
        except BodyTooLarge:
            return JSONResponse({"error": "too_large"}, 413)
        except (BadToken, Malformed) as error:
            member = {"member": error.member} if isinstance(error, Malformed) and error.member else {}
            return JSONResponse({"error": "malformed_request"} | member, 400)
        names = document_fingerprints(self.ring, notice.issuer, notice.kind, notice.number, self.clock())
        await self.store.write(lambda c: suspend(c, names, notice.notice, notice.at, now=self.clock(), rng=self.rng))
        _log.info("registry notice", notice=notice.notice)
        await asyncio.sleep((begun - asyncio.get_running_loop().time()) % ANSWER_SECONDS)
        return JSONResponse({"notice": "accepted"}, 202)


def routes(
    settings: Settings,
    store: Store,
    ring: KeyRing,
    clock: Callable[[], datetime],
    rng: Callable[[int], bytes],
) -> list[Route]:
    """None without `registry.notices_token_file`. Raises `SettingsError` for a token of fewer than 32 characters."""
    if settings.registry.notices_token_file is None:
        return []
    token = secret(settings.registry.notices_token_file, "")
    if len(token) < 32:
        raise SettingsError("registry.notices_token_file: fewer than 32 characters")
    return [Route("/registry/notices", Notices(store, ring, token, clock, rng).take, methods=["POST"])]


def read_notice(tree: Mapping[str, Any], now: datetime) -> Notice:
    """Parse what the registry sent. Raises `Malformed` that names the member at fault."""
    for name in sorted(tree.keys() | FORMS.keys()):
        if name not in FORMS:
            raise Malformed(name if re.fullmatch(r"[A-Za-z0-9_]{1,40}", name) else None)
        if not isinstance(tree.get(name), str) or not re.fullmatch(FORMS[name], tree[name]):
            raise Malformed(name)
    try:
        at = datetime.fromisoformat(tree["at"]).astimezone(UTC)
    except ValueError as error:
        raise Malformed("at") from error
    if at > now + AHEAD:
        raise Malformed("at")
    return Notice(tree["issuer"], tree["kind"], tree["number"], tree["notice"], at)


def suspend(
    connection: Connection,
    fingerprints: tuple[str, ...],
    notice: str,
    at: datetime,
    *,
    now: datetime,
    rng: Callable[[int], bytes],
) -> None:
    """Suspend the account of a document, if there is one, effective on the next request.

    A notice of a month before the account's identity check changes nothing: at that check the State called the document valid.
    """
    number = records.by_fingerprints(connection, fingerprints)
    if number is None:
        return
    checked = select(accounts.c.checked_month).where(accounts.c.number == number)
    if f"{at:%Y-%m}" >= connection.execute(checked).scalar_one():
        life.apply(connection, number, Event.SUSPEND, by="registry", now=now, rng=rng, notice=notice)


def _admit(request: Request, token: str) -> None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    right = hmac.compare_digest(given.encode(), token.encode())
    if scheme.lower() != "bearer" or not right:
        raise TokenRefused

"""What phones and the suspension page ask of accounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alicem.accounts import challenges, suspension
from alicem.accounts.effects import Outcome
from alicem.accounts.instruction import UNIFORM, Instructions
from alicem.jose import BadToken
from alicem.limits import Limit
from alicem.settings import Settings
from alicem.store import Store
from alicem.web.bodies import BodyTooLarge, form_of, json_of
from alicem.web.limits import whose
from alicem.web.pages import Pages

PHONE_REQUESTS = "phone requests"
"""One limit for everything a phone asks for: a worker of another role counts under the same name."""
_BODY = 16 * 1024
_LIMITED = Outcome(429, {"outcome": "rate_limited"})
_log = structlog.get_logger("alicem")


@dataclass(frozen=True)
class Accounts:
    settings: Settings
    store: Store
    instructions: Instructions
    pages: Pages
    clock: Callable[[], datetime]
    rng: Callable[[int], bytes]


def routes(room: Accounts) -> list[Route]:
    limits = room.settings.limits
    phone_limit = _limit(room, PHONE_REQUESTS, limits.instructions_per_minute_and_address, 60)
    suspension_limit = _limit(room, "suspensions", limits.suspensions_per_hour_and_address, 3600)

    async def challenge(request: Request) -> Response:
        if not await phone_limit.admits(whose(request)):
            return _answer(_LIMITED, phone_limit.retry_after())
        return JSONResponse({"challenge": room.instructions.challenge(), "expires_in": challenges.SECONDS})

    async def instruction(request: Request) -> Response:
        admitted = await phone_limit.admits(whose(request))
        outcome = await _perform(request) if admitted else _LIMITED
        _log.debug("instruction", outcome=outcome.body["outcome"])
        return _answer(outcome, None if admitted else phone_limit.retry_after())

    async def _perform(request: Request) -> Outcome:
        try:
            body = await json_of(request, _BODY)
        except (BadToken, BodyTooLarge):
            return UNIFORM
        return await room.instructions.perform(body.get("instruction", ""), body.get("assertion"))

    async def suspension_page(request: Request) -> Response:
        return room.pages.render(request, "accounts/suspend.html", outcome=None)

    async def suspend(request: Request) -> Response:
        if not await suspension_limit.admits(whose(request)):
            _log.debug("suspension", outcome="limited")
            page = room.pages.render(request, "accounts/suspend.html", status=429, outcome="limited")
            page.headers.update(suspension_limit.retry_after())
            return page
        try:
            typed = (await form_of(request, _BODY)).get("code", "")
        except (BadToken, BodyTooLarge):
            typed = ""
        done = await room.store.write(lambda c: suspension.suspend(c, typed, room.clock(), room.rng))
        outcome, status = ("done", 200) if done else ("not_found", 404)
        _log.debug("suspension", outcome=outcome)
        return room.pages.render(request, "accounts/suspend.html", status=status, outcome=outcome)

    return [
        Route("/phone/challenge", challenge, methods=["POST"]),
        Route("/phone/instruction", instruction, methods=["POST"]),
        Route("/suspend", suspension_page, methods=["GET"]),
        Route("/suspend", suspend, methods=["POST"]),
    ]


def _limit(room: Accounts, thing: str, most: int, seconds: int) -> Limit:
    return Limit(room.store, room.instructions.ring, room.clock, thing, most=most, seconds=seconds)


def _answer(outcome: Outcome, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(outcome.body, outcome.status, headers)

"""Opening sessions and carrying them: `POST /enrolment` and the WebSocket it names."""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from alicem import jose, journal
from alicem.enrolment import copies
from alicem.enrolment.children import ProcessDied
from alicem.enrolment.journey import Enrolment, Journey
from alicem.enrolment.session import ProtocolError, Session
from alicem.enrolment.steps import STEPS
from alicem.limits import Limit
from alicem.reasons import Refused
from alicem.web.limits import whose

SUBPROTOCOL = "alicem.enrolment.v1"
_MOST_SESSIONS = 1000
_log = structlog.get_logger("alicem.enrolment")


class Sessions:
    """The sessions of this worker, and the task that runs the steps of each."""

    def __init__(self, room: Enrolment) -> None:
        self.room = room
        self.draining = False
        """Whether this worker takes no new enrolment, because it is to end."""
        self._by_name: dict[str, Session] = {}

    @property
    def under_way(self) -> int:
        """Enrolments that have begun and not ended."""
        return sum(session.task is not None and not session.task.done() for session in self._by_name.values())

    def open(self) -> Session | None:
        """A new session, or None when this worker holds too many."""
        if len(self._by_name) >= _MOST_SESSIONS:
            return None
        service, limits = self.room.settings.service, self.room.settings.limits
        session = Session(jose.b64(self.room.rng(16)), service.origin, service.terms_version, limits, self.room.clock)
        self._by_name[session.name] = session
        asyncio.get_running_loop().call_later(limits.enrolment_seconds, self._expire, session)
        return session

    def find(self, name: str) -> Session | None:
        return self._by_name.get(name)

    def begin(self, session: Session) -> None:
        session.task = asyncio.create_task(self._run(session))

    async def close(self) -> None:
        """End every session, for shutting down."""
        tasks = [session.task for session in self._by_name.values() if session.task is not None]
        for task in tasks:
            task.cancel("away")
        await asyncio.gather(*tasks, return_exceptions=True)

    def _expire(self, session: Session) -> None:
        if session.task is not None and not session.task.done():
            session.task.cancel("time")
        self._by_name.pop(session.name, None)

    async def _run(self, session: Session) -> None:
        assert session.chosen is not None  # noqa: S101 - begun by `choose`
        journey = Journey(self.room, session, session.chosen)
        close_code, began = 4500, time.monotonic()
        try:
            close_code = await self._walk(journey)
        finally:
            _log.info("enrolment ended", outcome=_outcome(close_code), seconds=round(time.monotonic() - began, 1))
            self._forget(session)
            await self._end_process(session)
            await session.end(close_code)

    def _forget(self, session: Session) -> None:
        """A session that told its receipt is found for as long as a phone may come back that did not hear it."""
        if session.parting is None:
            self._by_name.pop(session.name, None)
            return
        seconds = self.room.settings.limits.resume_seconds
        asyncio.get_running_loop().call_later(seconds, self._by_name.pop, session.name, None)

    async def _end_process(self, session: Session) -> None:
        """Before the last word is said: whoever hears it may rely on that."""
        if session.process is not None:
            process, session.process = session.process, None
            await self.room.pool.give_back(process)

    async def _walk(self, journey: Journey) -> int:
        """Take the steps; the close code that ends the session."""
        session = journey.session
        try:
            for name, step in STEPS:
                await step(journey)
                _log.info("step", step=name)
        except Refused as refusal:
            return await self._refused(journey, refusal)
        except ProcessDied:
            return await self._refused(journey, Refused("process_died"), 4500)
        except ProtocolError as error:
            return error.close_code
        except asyncio.CancelledError as cancelled:
            return await self._stopped(journey, str(cancelled.args[0]) if cancelled.args else "")
        session.ended = True
        return 1000

    async def _stopped(self, journey: Journey, why: str) -> int:
        if why == "cancelled":
            return await self._refused(journey, Refused("cancelled"))
        if why.startswith("close "):
            return int(why.removeprefix("close "))
        await self._end_process(journey.session)
        journey.session.refuse(Refused("session_expired").reason, final=True)
        return 4408

    async def _refused(self, journey: Journey, refusal: Refused, close_code: int = 4403) -> int:
        reason, room = refusal.reason, self.room
        await self._end_process(journey.session)
        journey.session.refuse(reason, final=True, tries_left=refusal.tries_left, **journey.demo_measurements())
        _log.info("refused", step=journey.session.current.get("name", "choose"), reason=reason.name)
        content = {"reason": reason.name, "path": journey.chosen.path}
        now = room.clock()
        await room.store.write(lambda c: journal.append(c, now, "enrolment_refused", room.rng, content=content))
        return 4503 if reason.name == "busy" else close_code


def _outcome(close_code: int) -> str:
    """How an enrolment ended, in a word (enrolment.md, *Close codes*)."""
    return {1000: "done", 4403: "refused", 4503: "refused", 4408: "expired"}.get(close_code, "broken")


def routes(sessions: Sessions) -> list[BaseRoute]:
    room = sessions.room
    service = room.settings.service
    most = room.settings.limits.enrolments_per_hour_and_address
    limit = Limit(room.store, room.ring, room.clock, "enrolments", most=most, seconds=3600)

    async def start(request: Request) -> Response:
        if sessions.draining:  # not counted: the proxy asks another worker
            return _closed("draining", "busy", 503, 5)
        if not await limit.admits(whose(request)):
            return _closed("rate_limited", "rate_limited", 429, 3600)
        session = sessions.open()
        if session is None:
            return _closed("full", "rate_limited", 429, 3600)
        _log.debug("enrolment asked", outcome="begun")
        body = {
            "session": session.name,
            "url": f"/enrolment/{service.worker}/{session.name}",
            "terms_version": service.terms_version,
            "expires_in": int(room.settings.limits.enrolment_seconds),
        }
        response = JSONResponse(body, 201)
        # Its offer is in this worker's memory: a proxy before several brings what is asked of `/credential` to the one named here.
        response.set_cookie(
            "worker",
            service.worker,
            max_age=int(room.settings.limits.enrolment_seconds),
            path="/credential",
            secure=service.origin.startswith("https:"),
            httponly=True,
            samesite="strict",
        )
        return response

    async def connect(socket: WebSocket) -> None:
        session = sessions.find(socket.path_params["name"])
        if session is None or not _allowed(socket, service.origin):
            await socket.close()  # before accept: HTTP 403
            return
        await socket.accept(subprotocol=SUBPROTOCOL)
        with contextlib.suppress(WebSocketDisconnect, TimeoutError):
            await session.serve(socket, sessions.begin)

    async def copy(request: Request) -> Response:
        return await copies.order(room, request)

    return [
        Route("/enrolment", start, methods=["POST"]),
        Route("/phone/copy", copy, methods=["POST"]),
        WebSocketRoute(f"/enrolment/{service.worker}/{{name}}", connect),
    ]


def _closed(outcome: str, reason: str, status: int, seconds: int) -> Response:
    _log.debug("enrolment asked", outcome=outcome)
    return JSONResponse({"reason": reason, "retry_after": seconds}, status, {"Retry-After": str(seconds)})


def _allowed(socket: WebSocket, origin: str) -> bool:
    """A browser says which page it serves; another page's is refused (RFC 6455 §10.2)."""
    said = socket.headers.get("origin")
    return SUBPROTOCOL in socket.scope.get("subprotocols", ()) and said in (None, origin)

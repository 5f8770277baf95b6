"""Each request under a random number of its own, told by its route's template, its status and how long it took: never its path or query."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alicem.watch.watcher import Watcher

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
STATUS = "alicem.status"
"""Where the status of an answer is kept in the scope; absent where there was none."""
UNMATCHED = "unmatched"
_log = structlog.get_logger("alicem")


class Watched:
    """ASGI middleware, the outermost. `access`: a line of the log for each request."""

    def __init__(
        self, app: ASGIApp, watchers: Sequence[Watcher], rng: Callable[[int], bytes], *, access: bool = False
    ) -> None:
        self._app, self._watchers, self._rng, self._access = app, watchers, rng, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_noting(message: Message) -> None:
            note(scope, message)
            await send(message)

        began = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request=self._rng(8).hex()):
            try:
                await self._app(scope, receive, send_noting)
            finally:
                self._tell(scope, time.perf_counter() - began)

    def _tell(self, scope: Scope, seconds: float) -> None:
        route, method, status = route_of(scope), method_of(scope), scope.get(STATUS, 500)
        for watcher in self._watchers:
            watcher.request(scope["type"], route, method, status, seconds)
        if self._access:
            _log.info("request", route=route, method=method, status=status, seconds=round(seconds, 4))


def note(scope: Scope, message: Message) -> None:
    """Keep the status of an answer; a WebSocket's is 101, or 403 where it was not accepted."""
    kind = message["type"]
    if kind == "http.response.start":
        scope[STATUS] = message["status"]
    elif kind in ("websocket.accept", "websocket.close"):
        scope.setdefault(STATUS, 101 if kind == "websocket.accept" else 403)


def route_of(scope: Scope) -> str:
    """The template of the route that took this request; a stranger's path is never told."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", UNMATCHED)) if route is not None else UNMATCHED


def method_of(scope: Scope) -> str:
    """One of `METHODS`, `WEBSOCKET` or `other`: a method is what a stranger writes."""
    if scope["type"] == "websocket":
        return "WEBSOCKET"
    return scope["method"] if scope["method"] in METHODS else "other"

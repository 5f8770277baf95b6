"""Who watches, and how it is told of events and transactions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection
from starlette.types import ASGIApp
from structlog.typing import EventDict, Processor

from alicem.store import Store

T = TypeVar("T")
Gauges = Mapping[str, float | Mapping[str, float]]
"""By name; by the value of its label where it has one."""


class Watcher(Protocol):
    """Metrics, or traces. Durations are seconds."""

    def event(self, name: str, values: Mapping[str, Any]) -> None:
        """An event of `alicem.log.EVENTS`."""

    def transaction(self, kind: str, seconds: float) -> None:
        """`kind`: write, read or look_up; the wait for a thread included."""

    def request(self, kind: str, route: str, method: str, status: int, seconds: float) -> None:
        """`kind`: http or websocket. `route`: its template, never the path."""

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """Around each request, inside `Watched`."""

    def page(self, gauges: Gauges) -> bytes:
        """What Prometheus collects."""

    def close(self) -> None:
        """At the end; may take a moment."""


def tap(watchers: Sequence[Watcher]) -> Processor:
    """What `alicem.log.configure` takes to let watchers see every event."""

    def see(_logger: Any, _method: str, event: EventDict) -> EventDict:
        for watcher in watchers:
            watcher.event(str(event["event"]), event)
        return event

    return see


class WatchedStore(Store):
    """A store that tells how long its transactions took."""

    def __init__(self, url: str, watchers: Sequence[Watcher]) -> None:
        super().__init__(url)
        self._watchers = watchers

    async def write(self, work: Callable[[Connection], T]) -> T:
        began = time.perf_counter()
        try:
            return await super().write(work)
        finally:
            self._tell("write", began)

    async def read(self, work: Callable[[Connection], T]) -> T:
        began = time.perf_counter()
        try:
            return await super().read(work)
        finally:
            self._tell("read", began)

    async def look_up(self, work: Callable[[Connection], T]) -> T:
        began = time.perf_counter()
        try:
            return await super().look_up(work)
        finally:
            self._tell("look_up", began)

    def _tell(self, kind: str, began: float) -> None:
        for watcher in self._watchers:
            watcher.transaction(kind, time.perf_counter() - began)

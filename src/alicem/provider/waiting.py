"""Browsers that wait for their phone: woken in this process at once, by looking every few seconds where another worker got the answer."""

from __future__ import annotations

import asyncio

MOST = 4_000
"""Pages one process keeps waiting; more of them try again later."""
MOST_EACH = 4
"""Streams of one sign-in: a page that reloads may overlap itself."""


class Waiting:
    def __init__(self) -> None:
        self._events: dict[str, set[asyncio.Event]] = {}
        self._count = 0

    def full(self, signin: str) -> bool:
        """Whether there is no room for one more stream of this sign-in."""
        return self._count >= MOST or len(self._events.get(signin, ())) >= MOST_EACH

    def wake(self, signin: str) -> None:
        """Something happened to this sign-in."""
        for event in self._events.get(signin, ()):
            event.set()

    def enter(self, signin: str) -> asyncio.Event:
        event = asyncio.Event()
        self._events.setdefault(signin, set()).add(event)
        self._count += 1
        return event

    def leave(self, signin: str, event: asyncio.Event) -> None:
        events = self._events[signin]
        events.discard(event)
        self._count -= 1
        if not events:
            del self._events[signin]

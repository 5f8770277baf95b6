"""Places for session processes: as many as the settings allow, one process kept warm, and a queue before them, first in, first out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from alicem.enrolment.children import Nursery, ProcessDied, SessionProcess
from alicem.enrolment.trust import stamp
from alicem.settings import Limits

_log = structlog.get_logger("alicem.enrolment")


class PoolFull(Exception):
    """Every place is taken, and so is every place in the queue, or the wait was too long."""


@dataclass(eq=False)
class _Waiting:
    """Somebody in the queue; `turn` is set when a place is theirs."""

    turn: asyncio.Future[None]
    told: Callable[[int], None]
    position: int = 0


def places(limits: Limits) -> int:
    """How many sessions at once: what the settings say, else one for each core this process may use."""
    if limits.session_processes is not None:
        return limits.session_processes
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """Hands out warm processes, never more than there are places."""

    def __init__(self, nursery: Nursery, trust: Path, limits: Limits) -> None:
        self._nursery, self._trust, self._limits = nursery, trust, limits
        self.size = places(limits)
        self._busy = 0
        self._queue: deque[_Waiting] = deque()
        self._warm: asyncio.Task[SessionProcess] | None = None
        self._trusted: object = None
        self._all: set[SessionProcess] = set()
        self._started = False

    @property
    def busy(self) -> int:
        """Places that are taken."""
        return self._busy

    @property
    def waiting(self) -> int:
        """People in the queue."""
        return len(self._queue)

    @property
    def starts(self) -> bool:
        """Whether processes can be started here: the last start ended well. One that failed is tried again."""
        if self._warm is not None and self._warm.done() and not self._started:
            self._warm = None
            self.warm()
        return self._started

    def warm(self) -> None:
        """Begin to prepare one process ahead of the next person."""
        if self._warm is None:
            self._trusted = stamp(self._trust)
            self._warm = asyncio.create_task(self._start())

    async def take(self, told: Callable[[int], None]) -> SessionProcess:
        """A process for one session. `told`: the position in the queue, 1 being next, whenever it changes.

        Raises `PoolFull`, `ProcessDied`.
        """
        await self._place(told)
        try:
            process = await self._prepared()
        except BaseException:
            self._free()
            raise
        self._all.add(process)
        return process

    async def give_back(self, process: SessionProcess) -> datetime:
        """End a process, then give its place to the next; when it was gone."""
        try:
            return await process.end()
        finally:
            if process in self._all:
                self._all.discard(process)
                self._free()

    async def close(self) -> None:
        """End every process, the warm one too."""
        await self._discard_warm()
        for process in list(self._all):
            await process.end()
        await self._nursery.close()

    async def _start(self) -> SessionProcess:
        began = time.monotonic()
        try:
            process = await self._nursery.start()
        except ProcessDied:
            self._started = False
            raise
        self._started = True
        process.patience = self._limits.session_answer_seconds
        _log.info("session process warm", seconds=round(time.monotonic() - began, 2), layers=process.layers)
        return process

    async def _prepared(self) -> SessionProcess:
        """The warm process, unless it died or what is trusted has changed since it read it; then another."""
        if self._warm is not None and self._trusted != stamp(self._trust):
            await self._discard_warm()
        self.warm()
        warm, self._warm = self._warm, None
        assert warm is not None  # noqa: S101 - `warm()` made it
        process = await warm
        return process if process.lives else await self._start()

    async def _discard_warm(self) -> None:
        warm, self._warm = self._warm, None
        if warm is not None:
            with contextlib.suppress(ProcessDied):
                await (await warm).end()

    async def _place(self, told: Callable[[int], None]) -> None:
        """Take a place, or wait for one in the queue."""
        if self._busy < self.size:
            self._busy += 1
            return
        if len(self._queue) >= self._limits.session_queue:
            raise PoolFull
        waiting = _Waiting(asyncio.get_running_loop().create_future(), told)
        self._queue.append(waiting)
        self._tell_positions()
        try:
            async with asyncio.timeout(self._limits.session_wait_seconds):
                await waiting.turn
        except BaseException as why:
            self._leave(waiting)
            if isinstance(why, TimeoutError):
                raise PoolFull from why
            raise

    def _leave(self, waiting: _Waiting) -> None:
        """Somebody goes who waited; a place that was just given to them goes on to the next."""
        if waiting in self._queue:
            self._queue.remove(waiting)
            self._tell_positions()
        elif not waiting.turn.cancelled():
            self._free()

    def _free(self) -> None:
        """A place is free: it is the next one's, or nobody's."""
        while self._queue:
            following = self._queue.popleft()
            if not following.turn.done():  # done: cancelled a moment ago
                following.turn.set_result(None)
                self._tell_positions()
                return
        self._busy -= 1
        self.warm()

    def _tell_positions(self) -> None:
        for position, waiting in enumerate(self._queue, 1):
            if waiting.position != position:
                waiting.position = position
                waiting.told(position)

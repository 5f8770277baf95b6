"""Session processes: as many as the settings allow, one kept warm so that nobody waits for libraries to load."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog

from alicem.enrolment.link import LINE

_END_SECONDS = 5.0
_log = structlog.get_logger("alicem.enrolment")


class ProcessDied(Exception):
    """The session process ended before its work was done. No try is counted."""


class PoolFull(Exception):
    """Every process the settings allow is busy."""


class SessionProcess:
    """One child. `told` gives what it tells, `forward` carries its messages for the phone."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child
        self._tells: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None
        self.forward: Callable[[dict[str, Any]], None] = lambda _message: None
        self.ended_at: datetime | None = None

    @classmethod
    async def start(cls) -> SessionProcess:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "alicem.enrolment.process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE,
            env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},
        )
        process = cls(child)
        process._reader = asyncio.create_task(process._read())
        await process.told("warm")
        return process

    @property
    def pid(self) -> int:
        return self._child.pid

    def say(self, message: dict[str, Any]) -> None:
        """An order of the session, or a message of the phone as it came."""
        if self._child.stdin is not None and not self._child.stdin.is_closing():
            self._child.stdin.write(json.dumps(message).encode() + b"\n")

    async def told(self, *names: str) -> dict[str, Any]:
        """The next thing the process tells, which must be one of `names`, `refused` or `broken`."""
        tell = await self._tells.get()
        if tell is None or tell["tell"] not in (*names, "refused", "broken"):
            _log.error("session process died", why=(tell or {}).get("why"), status=self._child.returncode)
            raise ProcessDied
        return tell

    async def end(self) -> datetime:
        """End the process, whatever it is doing; when it was gone. Its memory is the kernel's again."""
        if self.ended_at is None:
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()
            await asyncio.wait_for(self._child.wait(), _END_SECONDS)
            self.ended_at = datetime.now(UTC)
        return self.ended_at

    async def _read(self) -> None:
        assert self._child.stdout is not None  # noqa: S101 - started with a pipe
        with contextlib.suppress(ValueError, ConnectionError):
            while line := await self._child.stdout.readline():
                tell = json.loads(line)
                if tell["tell"] == "send":
                    self.forward(tell["message"])
                else:
                    self._tells.put_nowait(tell)
        self._tells.put_nowait(None)


class Pool:
    """Hands out warm processes, never more than `size` at once."""

    def __init__(self, size: int) -> None:
        self._size, self._busy = size, 0
        self._warm: asyncio.Task[SessionProcess] | None = None
        self._all: set[SessionProcess] = set()

    def warm(self) -> None:
        """Begin to load one process ahead of the next person."""
        if self._warm is None:
            self._warm = asyncio.create_task(SessionProcess.start())

    async def take(self) -> SessionProcess:
        """A process for one session. Raises `PoolFull`, `ProcessDied`."""
        if self._busy >= self._size:
            raise PoolFull
        self._busy += 1
        try:
            self.warm()
            warm, self._warm = self._warm, None
            assert warm is not None  # noqa: S101 - `warm()` made it
            process = await warm
        except BaseException:
            self._busy -= 1
            raise
        self._all.add(process)
        return process

    async def give_back(self, process: SessionProcess) -> datetime:
        """End a process; when it was gone."""
        if process in self._all:
            self._all.discard(process)
            self._busy -= 1
        ended = await process.end()
        if self._busy < self._size:
            self.warm()
        return ended

    async def close(self) -> None:
        """End every process, the warm one too."""
        if self._warm is not None:
            with contextlib.suppress(ProcessDied, asyncio.CancelledError):
                await (await self._warm).end()
            self._warm = None
        for process in list(self._all):
            await process.end()

"""One document read again for a sign-in: which phone is on the line, and what its session process tells.

A connection may come and go while the sign-in lives; the process waits a minute for its phone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketState

from alicem.enrolment.children import ProcessDied, SessionProcess
from alicem.enrolment.pool import Pool, PoolFull
from alicem.reasons import Refused

VERSION = 1
MOST = 160 * 1024
MOST_MESSAGES = 600
ABSENCE_SECONDS = 60.0
FOR_PROCESS = ("access_key", "chip_found", "chip_answers", "chip_lost")
Message = dict[str, Any]


class ProtocolError(Exception):
    """The phone said something that has no place here. `close_code` of enrolment.md."""

    def __init__(self, close_code: int = 4400) -> None:
        super().__init__(close_code)
        self.close_code = close_code


class Line:
    """One connection: numbers what goes out, reads what comes within bounds."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._sent, self._received, self._messages = 0, 0, 0
        self._outbox: asyncio.Queue[str | None] = asyncio.Queue()
        self._close_code: int | None = None

    def send(self, kind: str, **members: Any) -> None:
        self._sent += 1
        self._outbox.put_nowait(json.dumps({"v": VERSION, "type": kind, "id": self._sent, **members}))

    def close(self, code: int) -> None:
        """After everything that was sent; the first reason stands."""
        if self._close_code is None:
            self._close_code = code
            self._outbox.put_nowait(None)

    async def send_all(self) -> None:
        """Until it is closed."""
        with contextlib.suppress(RuntimeError, OSError):
            while (text := await self._outbox.get()) is not None:
                await self._socket.send_text(text)
            if self._socket.application_state is not WebSocketState.DISCONNECTED:
                await self._socket.close(self._close_code or 1000)

    async def receive(self) -> Message:
        """The next message. Raises `ProtocolError`, and `WebSocketDisconnect` from below."""
        text = await self._socket.receive_text()
        self._messages += 1
        if len(text) > MOST or self._messages > MOST_MESSAGES:
            raise ProtocolError(1009)
        try:
            message = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ProtocolError from error
        if not isinstance(message, dict) or message.get("v") != VERSION:
            raise ProtocolError
        number = message.get("id")
        if not isinstance(number, int) or isinstance(number, bool) or not self._received < number < 1 << 53:
            raise ProtocolError
        self._received = number
        return message


@dataclass(frozen=True)
class Owner:
    """Whose reading it is: `session` names it to phone and process; `thumbprint` of the device key; the phone's one-use public key."""

    session: str
    thumbprint: str
    seal_key: dict[str, str]


@dataclass(frozen=True)
class Ends:
    """What the sign-in makes of a reading's end: `proven` and `refused` write it down, and say how the phone hears of it."""

    proven: Callable[[str], Awaitable[str | None]]
    """Of the key's hash; None, or a row of reasons.toml where the sign-in is over."""
    refused: Callable[[str], Awaitable[None]]


class Reading:
    """A process, and the connection its phone has now."""

    def __init__(self, owner: Owner, pool: Pool, ends: Ends, seconds: float) -> None:
        self.owner = owner
        self._pool, self._ends = pool, ends
        self._line: Line | None = None
        self._process: SessionProcess | None = None
        self._position: int | None = None
        self._absence: asyncio.TimerHandle | None = None
        self._task = asyncio.create_task(self._run(seconds))

    @property
    def over(self) -> bool:
        return self._task.done()

    def attach(self, line: Line) -> None:
        """The phone is on this line from here on; an earlier one is closed."""
        before, self._line = self._line, line
        self._stay()
        if before is not None:
            before.close(4409)
        if self._process is not None:
            self._process.say({"do": "resumed"})
        elif self._position is not None:
            self._queue(self._position)

    def detach(self, line: Line) -> None:
        """The line is lost: its phone may come back for a while."""
        if self._line is line:
            self._line = None
            self._absence = asyncio.get_running_loop().call_later(ABSENCE_SECONDS, self._task.cancel)

    def hear(self, message: Message) -> None:
        """Raises `ProtocolError`."""
        if message.get("type") not in FOR_PROCESS or self._process is None:
            raise ProtocolError
        self._process.say(message)

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, seconds: float) -> None:
        close_code = 4500
        try:
            async with asyncio.timeout(seconds):
                close_code = await self._read()
        except TimeoutError:
            close_code = self._refuse("signin_expired", 4408)
        finally:
            self._stay()
            if self._line is not None:
                self._line.close(close_code)

    async def _read(self) -> int:
        """The close code."""
        try:
            told = await self._told()
            if told["tell"] == "broken":
                return 4400
            reason = await self._reason(told)
        except PoolFull:
            return self._refuse("busy", 4503)
        except (ProcessDied, KeyError):  # whoever took a process over may tell what is no reason at all
            return self._refuse("process_died", 4500)
        if reason is not None:
            return self._refuse(reason, 4403)
        self._send("proven")
        return 1000

    async def _reason(self, told: Message) -> str | None:
        """What the sign-in makes of it: None where the chip is proven. Raises `KeyError` for nonsense."""
        chip = told["tell"] == "chip"
        reason = await self._ends.proven(str(told["chip_key"])) if chip else Refused(str(told["reason"])).reason.name
        if reason is not None:
            await self._ends.refused(reason)
        return reason

    async def _told(self) -> Message:
        """What the process tells in the end; it is gone by then. Raises `PoolFull`, `ProcessDied`."""
        process = await self._pool.take(self._queue)
        try:
            process.forward = self._forward
            process.say({"do": "open", "session": self.owner.session, "seal_key": self.owner.seal_key})
            self._process, self._position = process, None
            return await process.told("chip")
        finally:
            self._process = None
            await self._pool.give_back(process)

    def _queue(self, position: int) -> None:
        self._position = position
        self._send("queue", position=position)

    def _forward(self, message: Message) -> None:
        self._send(str(message.pop("type")), **message)

    def _send(self, kind: str, **members: Any) -> None:
        """Lost when the phone is away: what it needs is told again when it is back."""
        if self._line is not None:
            self._line.send(kind, **members)

    def _refuse(self, reason: str, close_code: int) -> int:
        """Say the last word."""
        self._send("refused", reason=reason, next=list(Refused(reason).reason.next), tries_left=None, final=True)
        return close_code

    def _stay(self) -> None:
        if self._absence is not None:
            self._absence.cancel()
            self._absence = None

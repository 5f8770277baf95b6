"""One person's enrolment in this worker: who is connected, what was said, and which step it is. The steps themselves are in `steps`.

A connection may come and go; the session waits ten minutes for its phone and never lives longer than thirty.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from starlette.websockets import WebSocket, WebSocketState

from alicem import jose
from alicem.accounts import passkey
from alicem.enrolment.children import SessionProcess
from alicem.jose import BadToken
from alicem.reasons import Reason, Refused
from alicem.settings import Limits

VERSION = 1
MOST = 160 * 1024
MOST_MESSAGES = 6000
QUEUE_ABSENCE_SECONDS = 30.0
"""Whoever waits and goes away for longer loses the place: a closed page must not keep others waiting."""
PROOF_SECONDS = 300
FOR_PROCESS = ("mrz", "chip_found", "chip_answers", "chip_lost", "camera", "frame", "eyes")
OF_THE_FACE = ("camera", "frame", "eyes")
FOR_STEPS = ("contact", "consent", "code")


class ProtocolError(Exception):
    """The phone said something that has no place here. `close_code` of enrolment.md."""

    def __init__(self, close_code: int = 4400) -> None:
        super().__init__(close_code)
        self.close_code = close_code


@dataclass(frozen=True)
class Chosen:
    """What `choose` proved and said."""

    device_key: EllipticCurvePublicKey
    seal_key: dict[str, str]
    key_kind: str
    path: str
    language: str
    at: datetime
    passkey: EllipticCurvePublicKey | None = None


class Session:
    """The state of one enrolment and its current connection."""

    def __init__(
        self, name: str, origin: str, terms_version: str, limits: Limits, clock: Callable[[], datetime]
    ) -> None:
        self.name, self.origin, self.terms_version, self.clock = name, origin, terms_version, clock
        self._limits = limits
        self.chosen: Chosen | None = None
        self.process: SessionProcess | None = None
        self.task: asyncio.Task[None] | None = None
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.ended = False
        self.connected = asyncio.Event()
        """Set while a phone that proved the device key is on the line."""
        self.parting: dict[str, Any] | None = None
        """The receipt, once it was told: told again to a phone that comes back without having heard it."""
        self._socket: WebSocket | None = None
        self._sent, self._received, self._messages = 0, 0, 0
        self._step: dict[str, Any] = {}
        self._position: int | None = None
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._absence: asyncio.TimerHandle | None = None

    # --- what the steps use ---

    def step(self, number: int, name: str, **members: Any) -> None:
        """Begin a step, or begin it again."""
        self._step = {"step": number, "name": name, **members}
        self.send("step", **self._step)

    @property
    def current(self) -> dict[str, Any]:
        """The step last told."""
        return self._step

    def queue(self, position: int) -> None:
        """Every session process is taken; `position` 1 is next. Told again when it changes, and to a phone that comes back."""
        self._position = position
        self.send("queue", position=position)

    def begin_process(self, process: SessionProcess, opening: dict[str, Any]) -> None:
        """From here on the session process speaks to the phone, through this session."""
        process.forward = lambda message: self.send(**{"kind": message.pop("type"), **message})
        self.process, self._position = process, None
        process.say(opening)

    def send(self, kind: str, **members: Any) -> None:
        """Tell the phone; lost when it is away, because the step is told again when it is back."""
        if kind == "step":
            self._step = members
        if self._socket is not None:
            self._outbox.put_nowait(self._numbered(kind, members))

    def part(self, **members: Any) -> None:
        """Tell the receipt: the last word of a session that came to its end."""
        self.parting = members
        self.send("receipt", **members)

    def refuse(self, reason: Reason, *, final: bool, tries_left: int | None = None, **members: Any) -> None:
        self.send("refused", reason=reason.name, next=list(reason.next), tries_left=tries_left, final=final, **members)

    async def receive(self, kind: str) -> dict[str, Any]:
        """The next message of one type; others of this session's steps are out of order. Raises `Refused` on `cancel`."""
        message = await self.inbox.get()
        if message["type"] == "cancel":
            raise Refused("cancelled")
        if message["type"] != kind:
            raise ProtocolError
        return message

    async def end(self, close_code: int) -> None:
        """Say the last word and close."""
        self.ended = True
        self._cancel_absence()
        socket, self._socket = self._socket, None
        if socket is not None:
            await self._flush(socket)
            await _close(socket, close_code)

    # --- connections ---

    async def serve(self, socket: WebSocket, begin: Callable[[Session], None]) -> None:
        """Carry messages of one connection until it ends. `begin` starts the steps once `choose` is proven."""
        try:
            await self._greet(socket, begin)
            if self.ended:
                await self.end(1000)
                return
            sender = asyncio.create_task(self._send_all(socket))
            try:
                while not self.ended:
                    self._dispatch(self._read(await socket.receive_text()))
            finally:
                sender.cancel()
        except ProtocolError as error:
            await self._fail(socket, error.close_code)
        except (BadToken, ValueError, KeyError, TypeError):
            await self._fail(socket, 4400)
        finally:
            self._detach(socket)

    async def _greet(self, socket: WebSocket, begin: Callable[[Session], None]) -> None:
        """Prove the device key on this connection before anything else."""
        challenge, known = jose.b64(secrets.token_bytes(32)), self.chosen is not None
        hello = {**(self._step if known else self.first_step()), "challenge": challenge, "resume": known}
        await socket.send_text(self._numbered("step", hello))
        message = self._read(await asyncio.wait_for(socket.receive_text(), self._limits.enrolment_seconds))
        proven = self._proof(message, challenge, "resume" if known else "choose")
        before, self._socket = self._socket, socket
        self._cancel_absence()
        self.connected.set()
        if not known:
            self.chosen = proven
            begin(self)
            return
        if before is not None:
            await _close(before, 4409)
        self._outbox = asyncio.Queue()
        if self.parting is not None:
            self.send("receipt", **self.parting)
            return
        if self.process is not None and self._step.get("step") in (3, 4, 5):
            self.process.say({"do": "resumed"})
        if self._position is not None:
            self.queue(self._position)
        elif self._step.get("step") not in (3, 4):  # the process tells those again by itself
            self.send("step", **self._step)

    def first_step(self) -> dict[str, Any]:
        return {"step": 1, "name": "choose", "terms_version": self.terms_version, "paths": ["face", "office"]}

    def _proof(self, message: dict[str, Any], challenge: str, purpose: str) -> Chosen:
        """enrolment.md, *The device key signs the session*. Raises `ProtocolError` 4401."""
        try:
            proof = jose.unpack(message["proof"], "alicem-enrolment+jwt")
            key = jose.public_key(proof.header.get("jwk"))
            jose.check(proof, key)
            payload = proof.json()
            seal_key = jose.public_jwk(jose.public_key(payload["seal_key"]))
            fresh = abs(self.clock().timestamp() - payload["iat"]) <= PROOF_SECONDS
        except (BadToken, KeyError, TypeError) as error:
            raise ProtocolError(4401) from error
        said = (payload.get("aud"), payload.get("session"), payload.get("challenge"), payload.get("purpose"))
        if message["type"] != purpose or said != (self.origin, self.name, challenge, purpose) or not fresh:
            raise ProtocolError(4401)
        if self.chosen is not None:
            if jose.thumbprint(key) != jose.thumbprint(self.chosen.device_key) or seal_key != self.chosen.seal_key:
                raise ProtocolError(4401)
            return self.chosen
        if payload.get("terms_version") != self.terms_version or payload.get("path") not in ("face", "office"):
            raise ProtocolError(4401)
        language = "en" if message.get("language") == "en" else "fr"
        kind, shown = self._key_kind(message)
        return Chosen(key, seal_key, kind, payload["path"], language, self.clock(), shown)

    def _key_kind(self, message: dict[str, Any]) -> tuple[str, EllipticCurvePublicKey | None]:
        """The kind of the phone's key, and the passkey that shows it. A passkey tells itself whether it may be copied."""
        kind = str(message.get("key_kind"))[:20]
        if kind != passkey.KIND:
            return ("" if kind == passkey.SYNCED else kind), None
        try:
            shown = message["passkey"]
            key, assertion = jose.public_key(shown["public_key"]), passkey.parse(shown["assertion"])
            passkey.check(assertion, key, message["proof"].encode(), self.origin)
        except (BadToken, KeyError, TypeError) as error:
            raise ProtocolError(4401) from error
        return assertion.kind, key

    def _read(self, text: str) -> dict[str, Any]:
        self._messages += 1
        if len(text) > MOST or self._messages > MOST_MESSAGES:
            raise ProtocolError(1009)
        try:
            message = json.loads(text)
        except RecursionError as error:
            raise ProtocolError from error
        if not isinstance(message, dict) or message.get("v") != VERSION:
            raise ProtocolError
        number = message.get("id")
        if not isinstance(number, int) or isinstance(number, bool) or not self._received < number < 1 << 53:
            raise ProtocolError
        self._received = number
        return message

    def _dispatch(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind in FOR_PROCESS and self.process is not None and self._step.get("step") in (3, 4, 5):
            self.process.say(message)
        elif kind == "cancel":
            if self.task is not None:
                self.task.cancel("cancelled")
        elif kind in FOR_STEPS and self.inbox.qsize() < 8:
            self.inbox.put_nowait(message)
        elif kind not in OF_THE_FACE:  # what is still under way when its step is over is no fault
            raise ProtocolError

    def _numbered(self, kind: str, members: dict[str, Any]) -> str:
        self._sent += 1
        return json.dumps({"v": VERSION, "type": kind, "id": self._sent, **members}, ensure_ascii=False)

    async def _send_all(self, socket: WebSocket) -> None:
        while True:
            await socket.send_text(await self._outbox.get())

    async def _flush(self, socket: WebSocket) -> None:
        with contextlib.suppress(RuntimeError, OSError):
            while not self._outbox.empty():
                await socket.send_text(self._outbox.get_nowait())

    async def _fail(self, socket: WebSocket, close_code: int) -> None:
        """A fault on this connection ends it, and the session with it when it was the session's own."""
        if self._socket is socket and self.task is not None and not self.ended:
            self.task.cancel(f"close {close_code}")
        await _close(socket, close_code)

    def _detach(self, socket: WebSocket) -> None:
        if self._socket is not socket:
            return
        self._socket = None
        self.connected.clear()
        if not self.ended and self.task is not None:
            seconds = self._limits.resume_seconds
            if self._position is not None:
                seconds = min(seconds, QUEUE_ABSENCE_SECONDS)
            self._absence = asyncio.get_running_loop().call_later(seconds, self.task.cancel, "away")

    def _cancel_absence(self) -> None:
        if self._absence is not None:
            self._absence.cancel()
            self._absence = None


async def _close(socket: WebSocket, code: int) -> None:
    if socket.application_state is not WebSocketState.DISCONNECTED:
        with contextlib.suppress(RuntimeError, OSError):
            await socket.close(code)

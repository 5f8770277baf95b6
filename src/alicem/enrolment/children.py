"""Session processes as the server sees them: how one is started, what it tells, and how one knows that it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import structlog

from alicem.enrolment.link import LINE

START_SECONDS = 60.0
END_SECONDS = 5.0
MOST_UNREAD, MOST_TOLD = 4 << 20, 16 << 20
"""Bytes that wait for a process to read them, and all that it may ever say."""
ANSWERED = ("open", "mrz", "access_key", "chip_found", "chip_answers", "chip_lost", "face")
"""What a process that works answers at once."""
_INHERITED = ("ALICEM_CACHE", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "XDG_CACHE_HOME")  # fmt: skip
_SET = {"ORT_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # one thread: see zygote.py
_log = structlog.get_logger("alicem.enrolment")


class ProcessDied(Exception):
    """The session process ended before its work was done, or hung and was ended. No try is counted."""


class Child(Protocol):
    """A process that can be ended and waited for."""

    @property
    def pid(self) -> int: ...

    def kill(self) -> None: ...

    async def wait(self) -> object: ...


class Forked:
    """A child of the zygote, held by the descriptor it sent of itself: its number may be another's once it is gone."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid, self._descriptor = pid, descriptor

    def kill(self) -> None:
        signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    async def wait(self) -> None:
        await _readable(self._descriptor)
        os.close(self._descriptor)


class SessionProcess:
    """One process. `told` gives what it tells, `forward` carries its messages for the phone."""

    def __init__(self, child: Child, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._child, self._reader, self._writer = child, reader, writer
        self._tells: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())
        self._hanging: asyncio.TimerHandle | None = None
        self.patience = START_SECONDS
        self.layers: tuple[str, ...] = ()
        self.forward: Callable[[dict[str, Any]], None] = lambda _message: None
        self.ended_at: datetime | None = None

    @classmethod
    async def meet(cls, child: Child, link: socket.socket) -> SessionProcess:
        """A child that was just started, once it is warm and in its sandbox. Raises `ProcessDied`."""
        reader, writer = await asyncio.open_unix_connection(sock=link, limit=LINE)
        process = cls(child, reader, writer)
        try:
            process.layers = tuple((await process.told("warm", within=START_SECONDS))["layers"])
        except BaseException:
            await process.end()
            raise
        return process

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def lives(self) -> bool:
        return not self._reading.done()

    def say(self, message: dict[str, Any]) -> None:
        """An order of the session, or a message of the phone as it came. A process that owes an answer has `patience` to give it.

        What a phone sends far faster than it can be read is lost.
        """
        if self._writer.is_closing() or self._writer.transport.get_write_buffer_size() > MOST_UNREAD:
            return
        self._writer.write(json.dumps(message).encode() + b"\n")
        if self._hanging is None and (message.get("do") or message.get("type")) in ANSWERED:
            self._hanging = asyncio.get_running_loop().call_later(self.patience, self._hangs)

    async def told(self, *names: str, within: float | None = None) -> dict[str, Any]:
        """The next thing the process tells, which must be one of `names`, `refused` or `broken`. Raises `ProcessDied`."""
        try:
            async with asyncio.timeout(within):
                tell = await self._tells.get()
        except TimeoutError:
            self._hangs()
            tell = None
        if tell is None or tell["tell"] not in (*names, "refused", "broken"):
            _log.error("session process died", why=(tell or {}).get("why"))
            raise ProcessDied
        return tell

    async def end(self) -> datetime:
        """End the process, whatever it is doing; when it was gone. Its memory is the kernel's again."""
        if self.ended_at is None:
            self._answered()
            self._kill()
            await asyncio.wait_for(self._child.wait(), END_SECONDS)
            self._writer.close()
            self.ended_at = datetime.now(UTC)
        return self.ended_at

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()

    def _hangs(self) -> None:
        _log.error("session process hangs")
        self._kill()

    def _answered(self) -> None:
        if self._hanging is not None:
            self._hanging.cancel()
            self._hanging = None

    async def _read(self) -> None:
        """Until it says no more. Whoever took the process over may say anything: nonsense, or too much, is its end."""
        told = 0
        try:
            while (line := await self._reader.readline()) and (told := told + len(line)) <= MOST_TOLD:
                self._answered()
                tell = json.loads(line)
                if tell["tell"] == "send":
                    self.forward(dict(tell["message"]))
                else:
                    self._tells.put_nowait(tell)
        except (ValueError, KeyError, TypeError, RecursionError, ConnectionError):
            _log.error("session process talks nonsense")
        self._kill()
        self._tells.put_nowait(None)


@dataclass(frozen=True)
class Program:
    """The modules by which a session process starts by itself, or comes from a zygote."""

    afresh: str
    zygote: str


ENROLMENT = Program("alicem.enrolment.process", "alicem.enrolment.zygote")
CHIP = Program("alicem.enrolment.chip_process", "alicem.enrolment.chip_zygote")
"""Of a sign-in: reads a chip, and knows nothing of faces."""


class Nursery(Protocol):
    """Where session processes come from."""

    async def start(self) -> SessionProcess: ...

    async def close(self) -> None: ...


class Afresh:
    """Each process loads everything by itself: for systems where forking is not sound."""

    def __init__(self, *files: Path, program: Program = ENROLMENT) -> None:
        self._files, self._program = files, program

    async def start(self) -> SessionProcess:
        ours, theirs = socket.socketpair()
        with theirs:
            child = await _run(self._program.afresh, theirs, self._files)
        return await SessionProcess.meet(child, ours)

    async def close(self) -> None:
        """Nothing is kept between two starts."""


class FromZygote:
    """Each process is forked from one that has loaded what it needs, and shares that with it."""

    def __init__(self, *files: Path, program: Program = ENROLMENT) -> None:
        self._files, self._program = files, program
        self._zygote: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None

    async def start(self) -> SessionProcess:
        """Raises `ProcessDied`, when the zygote cannot warm or is gone too; the next start begins another."""
        if self._zygote is None or self._zygote.returncode is not None:
            await self.close()
            await self._begin()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            async with asyncio.timeout(START_SECONDS):
                child = await self._fork(ours, theirs)
        except (OSError, TimeoutError) as error:
            ours.close()
            raise ProcessDied from error
        return await SessionProcess.meet(child, ours)

    async def _begin(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self._zygote = await _run(self._program.zygote, theirs, self._files)

    async def _fork(self, ours: socket.socket, theirs: socket.socket) -> Forked:
        """The child says its number and sends a descriptor of itself, before anything else."""
        assert self._control is not None  # noqa: S101 - begun
        with theirs:
            socket.send_fds(self._control, [b"f"], [theirs.fileno()])
        await _readable(ours.fileno())
        number, descriptors, *_ = socket.recv_fds(ours, 4, 1)
        if not descriptors:
            raise ProcessLookupError
        return Forked(int.from_bytes(number, "big"), descriptors[0])

    async def close(self) -> None:
        """The zygote ends when nobody holds its control socket; what it was forked into ends with it."""
        if self._zygote is not None and self._control is not None:
            self._control.close()
            with contextlib.suppress(ProcessLookupError):
                self._zygote.kill()
            await self._zygote.wait()


def nursery(trust: Path, *, shared: bool, networks: Path | None = None, program: Program = ENROLMENT) -> Nursery:
    """How session processes are started here. `networks`: the operator's file of face networks."""
    files = (trust,) if networks is None else (trust, networks)
    return FromZygote(*files, program=program) if shared and can_fork() else Afresh(*files, program=program)


def can_fork() -> bool:
    """Whether forking is sound here, and a child can be held by its descriptor: on Linux from 5.3 on."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


async def _run(module: str, standard_input: socket.socket, files: Sequence[Path]) -> asyncio.subprocess.Process:
    """Our own program, with little of our environment: the master key may be in it."""
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ} | _SET
    command = (sys.executable, "-P", "-m", module, *(str(one.resolve()) for one in files))
    return await asyncio.create_subprocess_exec(*command, stdin=standard_input.fileno(), env=environment)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)

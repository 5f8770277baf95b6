"""The virtual reader of vsmartcard, from both ends.

`serve` is the card's end: a software chip connects to the driver of a running pcscd, and any PC/SC program of the
machine can read it. `VirtualReader` is the reader's end: it listens as that driver does, so that a card process
(vsmartcard's `vicc`, its Android application that lends a phone's antenna, another `serve`) is read without pcscd.

A frame is a length of two bytes, big-endian, and as many bytes. From the reader, a frame of one byte is a
control and all else a command; the card answers commands and the question for its ATR.
"""

from __future__ import annotations

import contextlib
import socket
from types import TracebackType
from typing import Protocol, Self

from emrtd.errors import DeviceFailure, TagLost

HOST, PORT = "127.0.0.1", 35963
POWER_OFF, POWER_ON, RESET, GIVE_ATR = b"\x00", b"\x01", b"\x02", b"\x04"
FRAME_MAX = 0xFFFF
ATR = bytes.fromhex("3B80800101")  # a contactless card without historical bytes (PC/SC part 3, 3.1.3.2.3.1)
TOO_LONG = b"\x67\x00"  # an answer that no frame can carry: asked in smaller pieces it can


class Chip(Protocol):
    """What is served: a `Transmit` that forgets its state when it leaves the field."""

    def __call__(self, apdu: bytes, /) -> bytes: ...

    def reset(self) -> None: ...


def connect(host: str = HOST, port: int = PORT) -> socket.socket:
    """The line to a waiting virtual reader. Raises DeviceFailure."""
    try:
        return _prompt(socket.create_connection((host, port), timeout=5), None)
    except OSError as error:
        raise DeviceFailure(f"no virtual reader waits at {host}:{port} ({error.strerror or error})") from error


def serve(chip: Chip, line: socket.socket, *, atr: bytes = ATR) -> int:
    """Be the card of the reader at the other end of `line` until it goes away; the number of commands answered.

    TagLost out of `chip` passes through: whoever closes the line then has taken the card off the reader.
    """
    answered = 0
    chip.reset()
    while (frame := _receive(line)) is not None:
        if frame in (POWER_OFF, POWER_ON, RESET):
            chip.reset()
        elif frame == GIVE_ATR:
            _send(line, atr)
        elif len(frame) > 1:  # other controls are unknown and want no answer
            answer = chip(frame)
            _send(line, answer if len(answer) <= FRAME_MAX else TOO_LONG)
            answered += 1
    return answered


class VirtualReader:
    """A reader that waits at an address for a card process; a `Transmit` once `connect` has found one."""

    extended = True

    def __init__(
        self, host: str = HOST, port: int = PORT, *, wait_seconds: float = 60, answer_seconds: float = 20
    ) -> None:
        """Raises DeviceFailure where the address cannot be had. Port 0 takes a free one."""
        self._wait_seconds, self._answer_seconds = wait_seconds, answer_seconds
        self._line: socket.socket | None = None
        try:
            self._server = socket.create_server((host, port), backlog=1)
        except OSError as error:
            raise DeviceFailure(f"cannot wait for a card at {host}:{port} ({error.strerror or error})") from error
        self.address: tuple[str, int] = self._server.getsockname()[:2]

    def connect(self) -> bytes:
        """Wait for a card, power it and give its ATR. Raises DeviceFailure when none comes in time, TagLost."""
        self._drop()
        self._server.settimeout(self._wait_seconds)
        try:
            line, _ = self._server.accept()
        except TimeoutError as error:
            raise DeviceFailure("no card process came to the virtual reader") from error
        self._line = _prompt(line, self._answer_seconds)
        _send_or_lose(self._line, POWER_ON)
        return self._ask(GIVE_ATR)

    def reset(self) -> None:
        """The card forgets its state. Raises TagLost."""
        _send_or_lose(self._card, RESET)
        self._ask(GIVE_ATR)

    def __call__(self, apdu: bytes) -> bytes:
        """One command and its answer. Raises TagLost when the card process is gone or silent."""
        return self._ask(apdu)

    def close(self) -> None:
        self._drop()
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _card(self) -> socket.socket:
        if self._line is None:
            raise TagLost
        return self._line

    def _ask(self, frame: bytes) -> bytes:
        _send_or_lose(self._card, frame)
        try:
            answer = _receive(self._card)
        except OSError as error:
            self._drop()
            raise TagLost from error
        if not answer:
            self._drop()
            raise TagLost
        return answer

    def _drop(self) -> None:
        if self._line is not None:
            with contextlib.suppress(OSError):  # the card process may have gone first
                _send(self._line, POWER_OFF)
            self._line.close()
            self._line = None


def _prompt(line: socket.socket, timeout: float | None) -> socket.socket:
    """Small frames must not wait for one another."""
    line.settimeout(timeout)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line


def _send(line: socket.socket, content: bytes) -> None:
    line.sendall(len(content).to_bytes(2, "big") + content)


def _send_or_lose(line: socket.socket, content: bytes) -> None:
    if len(content) > FRAME_MAX:
        raise DeviceFailure(f"the virtual reader carries no command of {len(content)} bytes")
    try:
        _send(line, content)
    except OSError as error:
        raise TagLost from error


def _receive(line: socket.socket) -> bytes | None:
    """The next frame; None when the other end is gone, in the middle of a frame too."""
    size = _exactly(line, 2)
    return None if size is None else _exactly(line, int.from_bytes(size, "big"))


def _exactly(line: socket.socket, count: int) -> bytes | None:
    content = b""
    while len(content) < count:
        _acknowledge_at_once(line)
        try:
            piece = line.recv(count - len(content))
        except ConnectionError:
            return None
        if not piece:
            return None
        content += piece
    return content


def _acknowledge_at_once(line: socket.socket) -> None:
    """Linux forgets the wish after each read; without it every command waits 40 ms for a delayed acknowledgement."""
    if hasattr(socket, "TCP_QUICKACK"):
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

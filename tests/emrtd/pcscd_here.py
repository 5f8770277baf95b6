"""A pcscd of our own with a virtual reader on a free port, for tests; one at a time on a machine."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from emrtd.errors import DeviceFailure, TagLost
from emrtd.transports import vpcd

DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
SOCKET = Path("/run/pcscd/pcscd.comm")
READER = "Specimen reader"
LOCK = Path(tempfile.gettempdir()) / "emrtd-tests-pcscd.lock"


def missing() -> str:
    """Why no pcscd can be started here; "" where one can."""
    if shutil.which("pcscd") is None:
        return "needs pcscd"
    if not DRIVER.exists():
        return "needs vsmartcard-vpcd"
    return "" if os.access("/run", os.W_OK) else "needs the right to run pcscd"


@dataclass(frozen=True)
class Pcscd:
    """It runs, and its virtual reader waits at `port`."""

    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def running() -> Iterator[Pcscd | None]:
    """pcscd with one virtual reader; None where another pcscd, not ours, holds the machine's socket."""
    with LOCK.open("w") as lock, tempfile.TemporaryDirectory() as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _answers():
            yield None
            return
        port = _free_port()
        (Path(folder) / "vpcd").write_text(
            f'FRIENDLYNAME "{READER}"\nDEVICENAME /dev/null:0x{port:04X}\nLIBPATH {DRIVER}\nCHANNELID 0x{port:04X}\n'
        )
        process = subprocess.Popen(["pcscd", "--foreground", "--config", folder], stdout=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield Pcscd(port)
        finally:
            process.terminate()
            process.wait(10)


def _answers() -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(SOCKET))
    except OSError:
        return False
    return True


def _free_port() -> int:
    """A port, and the one above, since the driver makes two readers."""
    for _ in range(50):
        with socket.create_server(("127.0.0.1", 0)) as first:
            port: int = first.getsockname()[1]
            try:
                with socket.create_server(("127.0.0.1", port + 1)):
                    return port
            except OSError:
                continue
    raise AssertionError("no two free ports in a row")


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            vpcd.connect("127.0.0.1", port).close()
        except DeviceFailure:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("pcscd did not start its virtual reader")


class _Awaited:
    """A chip that tells when the reader has powered it, which pcscd does on finding a card."""

    def __init__(self, chip: vpcd.Chip) -> None:
        self._chip, self._resets, self.powered = chip, 0, threading.Event()

    def __call__(self, apdu: bytes) -> bytes:
        return self._chip(apdu)

    def reset(self) -> None:
        self._chip.reset()
        self._resets += 1
        if self._resets > 1:  # the first is our own, before any reader
            self.powered.set()


@contextmanager
def laid(pcscd: Pcscd, chip: vpcd.Chip) -> Iterator[None]:
    """A chip on the virtual reader. Every time it is lost it is laid again, as a person would; taken off at the end."""
    lines: list[socket.socket] = []
    over, awaited = threading.Event(), _Awaited(chip)

    def lay() -> None:
        while not over.is_set():
            try:
                line = vpcd.connect("127.0.0.1", pcscd.port)
            except DeviceFailure:
                return
            lines.append(line)
            with line:
                try:
                    vpcd.serve(awaited, line)
                except (TagLost, OSError):
                    time.sleep(1.2)  # pcscd looks every 0.4 s whether a card is there
                else:
                    return

    thread = threading.Thread(target=lay)
    thread.start()
    try:
        assert awaited.powered.wait(20), "pcscd does not see the card"
        time.sleep(0.5)  # until it has told its clients
        yield
    finally:
        over.set()
        for line in lines:
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        thread.join(10)
        assert not thread.is_alive()
        time.sleep(1)  # until pcscd has seen that the reader is empty

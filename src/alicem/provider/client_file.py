"""The client file of a running server: read again when it or a file it names was changed, so that a client is known at its next request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from alicem.provider.clients import Client, read
from alicem.settings import SettingsError

PAUSE = 1.0
"""Seconds between two looks at the files."""


class ClientFile(Mapping[str, Client]):
    """Clients by client_id. A file with a fault is handed to `told`, once, and the clients of before go on."""

    def __init__(
        self,
        path: Path,
        told: Callable[[SettingsError], None],
        *,
        loopback: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises `SettingsError`."""
        self._path, self._told, self._loopback, self._monotonic = path, told, loopback, monotonic
        self._clients: Mapping[str, Client] = {}
        self._files: tuple[Path, ...] = (path,)
        self._looked = monotonic()
        self._read()
        self._stamps = self._stamp()

    def __getitem__(self, client_id: str) -> Client:
        return self._held()[client_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held())

    def __len__(self) -> int:
        return len(self._held())

    def _held(self) -> Mapping[str, Client]:
        now = self._monotonic()
        if now - self._looked >= PAUSE:
            self._looked = now
            self._look()
        return self._clients

    def _look(self) -> None:
        stamps = self._stamp()
        if stamps == self._stamps:
            return
        try:
            self._read()
        except SettingsError as error:
            self._told(error)
        self._stamps = self._stamp()

    def _read(self) -> None:
        reading = read(self._path, loopback=self._loopback)
        self._files = reading.files
        if reading.faults:
            raise SettingsError("; ".join(reading.faults))
        self._clients = reading.clients

    def _stamp(self) -> tuple[tuple[int, ...], ...]:
        return tuple(_stamp(file) for file in self._files)


def _stamp(file: Path) -> tuple[int, ...]:
    """Changes with every replacement of the file; empty where there is none, nor can be."""
    try:
        found = file.stat()
    except (OSError, ValueError):
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size

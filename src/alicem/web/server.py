"""uvicorn as the provider runs it: told to end, it lets what is under way come to its end first."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from alicem.settings import Service
from alicem.web.http import BoundedHttp


class Server(uvicorn.Server):
    """On the first SIGTERM `drain` is called, and the server ends when `under_way` is 0 or `seconds` are over; on the second at once."""

    def __init__(
        self, config: uvicorn.Config, drain: Callable[[], None], under_way: Callable[[], int], seconds: float
    ) -> None:
        super().__init__(config)
        self._drain, self._under_way, self._seconds = drain, under_way, seconds
        self._until: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGTERM and self._until is None:
            self._until = time.monotonic() + self._seconds
            self._drain()
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        drained = self._until is not None and (self._under_way() == 0 or time.monotonic() >= self._until)
        return await super().on_tick(counter) or drained


def config_of(app: ASGIApp, service: Service) -> uvicorn.Config:
    host, _, port = service.listen.rpartition(":")
    return uvicorn.Config(
        app,
        host=host.strip("[]"),
        port=int(port),
        log_config=None,
        access_log=False,
        http=BoundedHttp,
        ws_max_size=1 << 18,
        timeout_graceful_shutdown=2,
        server_header=False,
        # Whoever is believed here chooses the address that limits count: nobody, unless the settings name them.
        proxy_headers=bool(service.trusted_proxies),
        forwarded_allow_ips=list(service.trusted_proxies),
    )


def listening_at(listen: str) -> list[socket.socket]:
    """Sockets that listen at an address:port, one for each address of a name. Raises `OSError`, with `listen` as its filename."""
    host, _, port = listen.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return [_listening(family, address) for family, _, _, _, address in found]
    except socket.gaierror as error:
        raise OSError(error.errno, error.strerror, listen) from error
    except OSError as error:  # whose own text has the address in it once more
        raise OSError(error.errno, os.strerror(error.errno or 0), listen) from error


def _listening(family: socket.AddressFamily, address: object) -> socket.socket:
    """Named as TCP, without which asyncio leaves Nagle's delay on each connection: 40 ms an answer."""
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)  # type: ignore[arg-type]
        listening.listen(2048)
    except OSError:
        listening.close()
        raise
    return listening

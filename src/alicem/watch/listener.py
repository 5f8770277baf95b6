"""An address of its own for Prometheus: one page, plain HTTP/1.0, nothing of it on the public origin."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

_HEAD, _SECONDS = 8192, 5.0
_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Listener:
    """Answers `GET /metrics` with what `page` gives. `listen`: address:port."""

    def __init__(self, listen: str, page: Callable[[], Awaitable[bytes]]) -> None:
        host, _, port = listen.rpartition(":")
        self._host, self._port, self._page = host.strip("[]"), int(port), page
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Raises `OSError` where the address is taken."""
        self._server = await asyncio.start_server(self._answer, self._host, self._port, limit=_HEAD)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._response(head.split(b"\r\n", 1)[0].split(b" ")))
                await writer.drain()
        writer.close()

    async def _response(self, line: list[bytes]) -> bytes:
        if line[:2] != [b"GET", b"/metrics"]:
            return b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        body = await self._page()
        return f"HTTP/1.0 200 OK\r\nContent-Type: {_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

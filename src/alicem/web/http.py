"""How the provider speaks HTTP/1.1: uvicorn with the parser of httptools, and the bounds that uvicorn keeps with its slower parser alone."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST = 64 * 1024
"""Bytes a stranger may send without a request's head ending, its body going on, or itself ending: request line, fields, trailers."""
MOST_WAITING = 16
"""Requests that may wait on one connection for the answer to an earlier one."""


class TooManyWaiting(Exception):
    """Requests sent ahead of their answers (RFC 9112 §9.3.2), more than `MOST_WAITING`."""


class BoundedHttp(HttpToolsProtocol):
    """A connection that is ended with 400 where its other side exceeds a bound."""

    _held = 0

    def data_received(self, data: bytes) -> None:
        self._held += len(data)
        super().data_received(data)
        if self._held > MOST and not self.transport.is_closing():
            self.send_400_response("Too much that is no body.")

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MOST_WAITING:
            raise TooManyWaiting  # the parser stops, and uvicorn answers
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._held = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._held = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._held = 0
        super().on_message_complete()

"""Everything a stranger sends is bounded before an application sees it, and what phones and browsers send passes."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.sync.client import connect

from alicem.web.http import MOST, MOST_WAITING, BoundedHttp

ENOUGH = 1024 * MOST
"""More than the buffers of both sides hold: whoever could send all of it was never hung up on."""


async def length(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_bytes(await websocket.receive_bytes())
    await websocket.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    app = Starlette(routes=[Route("/", length, methods=["POST"]), WebSocketRoute("/echo", echo)])
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=BoundedHttp, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield int(listener.getsockname()[1])
    server.should_exit = True
    thread.join()


def accepted(port: int, begin: bytes, more: Callable[[int], bytes]) -> int:
    """How much somebody can send who begins so and goes on until the server hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(begin)
        sent = number = 0
        try:
            while sent < ENOUGH:
                piece = more(number)
                line.sendall(piece)
                sent, number = sent + len(piece), number + 1
        except ConnectionError:
            pass
        return sent


def all_of(line: socket.socket) -> bytes:
    found = b""
    while piece := line.recv(65536):
        found += piece
    return found


CHUNKED = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
ENDLESS = {
    "line": (b"POST /", lambda _: b"a" * 10_000),
    "fields": (b"POST / HTTP/1.1\r\nHost: here\r\n", lambda number: b"x-%d: %b\r\n" % (number, b"y" * 10_000)),
    "value": (b"POST / HTTP/1.1\r\nHost: here\r\nX: ", lambda _: b"y" * 10_000),
    "name": (b"POST / HTTP/1.1\r\nHost: here\r\n", lambda _: b"y" * 10_000),
    "trailers": (CHUNKED, lambda number: b"x-%d: %b\r\n" % (number, b"y" * 10_000)),
    "chunk extension": (CHUNKED[:-3] + b"1;a=", lambda _: b"y" * 10_000),
    "requests ahead": (b"", lambda _: b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n" * 5000),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_has_no_end_is_cut(port: int, what: str) -> None:
    assert accepted(port, *ENDLESS[what]) < ENOUGH


def test_whoever_sends_a_little_too_much_is_told(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nX: " + b"y" * (MOST + 1))
        assert all_of(line).startswith(b"HTTP/1.1 400 ")


def test_a_long_head_and_a_longer_body_pass(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 2000000\r\nX: %b\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(head % (b"y" * (MOST // 2)) + b"b" * 2_000_000)
        assert all_of(line).endswith(b"\r\n\r\n2000000")


def test_a_chunked_body_passes_whatever_its_pieces(port: int) -> None:
    pieces = b"".join(b"1\r\nb\r\n" for _ in range(MOST))
    head = b"POST / HTTP/1.1\r\nHost: here\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(head + pieces + b"0\r\n\r\n")
        assert all_of(line).endswith(b"\r\n\r\n%d" % MOST)


def test_a_few_requests_ahead_are_answered_in_their_order(port: int) -> None:
    some = b"".join(
        b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n%b" % (size, b"b" * size) for size in range(1, 10)
    )
    last = b"POST / HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    assert MOST_WAITING > 10
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(some + last)
        answers = all_of(line).split(b"HTTP/1.1 200 OK")[1:]
    assert [answer[-1:] for answer in answers] == [b"%d" % size for size in [*range(1, 10), 0]]


def test_a_websocket_passes(port: int) -> None:
    with connect(f"ws://127.0.0.1:{port}/echo") as line:
        line.send(b"x" * MOST * 2)
        assert line.recv() == b"x" * MOST * 2

"""The provider's own listening sockets."""

import asyncio
import socket

import pytest

from alicem.web.server import listening_at


def test_answers_wait_for_no_acknowledgement() -> None:
    """asyncio switches Nagle's delay off where a socket says that it is TCP."""

    async def accepted() -> int:
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            told.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        (listening,) = listening_at("127.0.0.1:0")
        async with await asyncio.start_server(serve, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            nodelay = await told
            writer.close()
            return nodelay

    assert asyncio.run(accepted()) != 0


def test_an_address_that_is_taken_is_named() -> None:
    (first,) = listening_at("127.0.0.1:0")
    taken = f"127.0.0.1:{first.getsockname()[1]}"
    with pytest.raises(OSError, match="in use") as refused:
        listening_at(taken)
    assert refused.value.filename == taken
    first.close()

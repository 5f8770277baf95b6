"""Ports nobody uses, seven in a row, as a demonstration wants them."""

import contextlib
import os
import socket


def free_ports(worker: str = os.environ.get("PYTEST_XDIST_WORKER", "gw0")) -> int:
    """The first of seven free ports in a row."""
    start = 21000 + 10_000 * int(worker.removeprefix("gw"))  # workers beside each other must not choose the same
    turn = os.getpid() % 200  # nor two runs of the tests on one machine
    for place in range(200):
        base = start + 50 * ((turn + place) % 200)
        with contextlib.ExitStack() as stack:
            try:
                for port in range(base, base + 7):
                    stack.enter_context(contextlib.closing(socket.socket())).bind(("127.0.0.1", port))
            except OSError:
                continue
        return base
    raise RuntimeError("no seven free ports in a row")

"""Ports nobody uses, six in a row, as a demonstration wants them."""

import contextlib
import os
import socket


def free_ports(worker: str = os.environ.get("PYTEST_XDIST_WORKER", "gw0")) -> int:
    """The first of six free ports in a row."""
    start = 21000 + 10_000 * int(worker.removeprefix("gw"))  # workers beside each other must not choose the same
    for base in range(start, start + 10_000, 50):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(base, base + 6):
                    stack.enter_context(contextlib.closing(socket.socket())).bind(("127.0.0.1", port))
            except OSError:
                continue
        return base
    raise RuntimeError("no six free ports in a row")

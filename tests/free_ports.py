"""Ports nobody uses, six in a row, as a demonstration wants them."""

import contextlib
import socket


def free_ports() -> int:
    """The first of six free ports in a row."""
    for base in range(21000, 60000, 50):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(base, base + 6):
                    stack.enter_context(contextlib.closing(socket.socket())).bind(("127.0.0.1", port))
            except OSError:
                continue
        return base
    raise RuntimeError("no six free ports in a row")

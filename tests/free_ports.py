"""Ports nobody uses, seven in a row, as a demonstration wants them."""

import contextlib
import os
import socket

SHARE, SHARES = 4_400, 5
"""Ports of each worker, from 10000 on: what the system gives to connections by itself begins above (Linux: 32768)."""


def free_ports() -> int:
    """The first of seven free ports in a row. `ALICEM_TEST_PORTS` tells runs beside each other apart."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = (worker + int(os.environ.get("ALICEM_TEST_PORTS", "0"))) % SHARES
    start, places = 10_000 + SHARE * share, SHARE // 50
    turn = os.getpid() % places  # two runs on one machine begin elsewhere
    for place in range(places):
        base = start + 50 * ((turn + place) % places)
        with contextlib.ExitStack() as stack:
            try:
                for port in range(base, base + 7):
                    stack.enter_context(contextlib.closing(socket.socket())).bind(("127.0.0.1", port))
            except OSError:
                continue
        return base
    raise RuntimeError("no seven free ports in a row")

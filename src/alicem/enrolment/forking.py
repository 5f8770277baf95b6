"""What every zygote does once it has loaded what its children will need: it is forked for each session.

It never hears of a person: over its control socket comes one byte and the descriptor of a link, and everything else happens in the child.
It must have one thread, or the child would inherit locks that nobody releases.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path


class ManyThreads(Exception):
    """A library started threads: forking is not sound here. Set `face.shared = false`."""


def breed(live: Callable[[int], None]) -> None:
    """Serve the control socket on standard input until the server is gone; each child lives over the descriptor of its link."""
    if (threads := len(list(Path("/proc/self/task").iterdir()))) != 1:
        raise ManyThreads(f"{threads} threads")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the children
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the server ends its processes itself
    gc.collect()
    gc.freeze()  # a collection in a child would otherwise write to every page
    with socket.socket(fileno=os.dup(0)) as control:
        while links := socket.recv_fds(control, 1, 1)[1]:
            if os.fork() == 0:
                _be_born(links[0], live)
            os.close(links[0])


def _be_born(link: int, live: Callable[[int], None]) -> None:
    """In the child: say who it is, serve one session, then end, whatever came of it."""
    try:
        with socket.socket(fileno=os.dup(link)) as said:
            socket.send_fds(said, [os.getpid().to_bytes(4, "big")], [os.pidfd_open(os.getpid())])
        live(link)
    except BaseException:  # noqa: BLE001 - nothing may go back into the zygote's loop; the hook tells the fault
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)

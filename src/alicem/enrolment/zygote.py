"""The zygote: loads the networks once, and is forked for each session, so that session processes share what it loaded.

It never hears of a person: over its control socket comes one byte and the descriptor of a link, and everything else happens in the child.
It must have one thread, or the child would inherit locks that nobody releases.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from pathlib import Path

from alicem.enrolment import process
from alicem.enrolment.warming import Prepared, warm


class ManyThreads(Exception):
    """A library started threads: forking is not sound here. Set `face.shared = false`."""


def main() -> None:
    """Serve the control socket on standard input until the server is gone. Arguments: the trust folder, the file of the operator's face networks."""
    prepared, trust_folder = warm(*map(Path, sys.argv[2:])), Path(sys.argv[1])
    if (threads := len(list(Path("/proc/self/task").iterdir()))) != 1:
        raise ManyThreads(f"{threads} threads")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the children
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the server ends its processes itself
    gc.collect()
    gc.freeze()  # a collection in a child would otherwise write to every page
    with socket.socket(fileno=os.dup(0)) as control:
        while links := socket.recv_fds(control, 1, 1)[1]:
            if os.fork() == 0:
                _be_born(links[0], prepared, trust_folder)
            os.close(links[0])


def _be_born(link: int, prepared: Prepared, trust_folder: Path) -> None:
    """In the child: say who it is, serve one session, then end, whatever came of it."""
    try:
        with socket.socket(fileno=os.dup(link)) as said:
            socket.send_fds(said, [os.getpid().to_bytes(4, "big")], [os.pidfd_open(os.getpid())])
        process.live(link, prepared, trust_folder)
    except BaseException:  # noqa: BLE001 - nothing may go back into the zygote's loop; the hook tells the fault
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()

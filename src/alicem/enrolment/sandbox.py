"""What a session process may not do once it is warm: everything but computing and talking over its one open link.

Layers that each stop most of it, so that a kernel without one of them is not a process without walls. Which of them hold is told, never
assumed. Only Linux has more than the limits.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from alicem.enrolment import landlock, seccomp
from alicem.enrolment.kernel import call, control, system

LINK = 3
"""The descriptor of the link; 0 to 2 lead nowhere."""
MEMORY_ROOM = 384 << 20
"""Bytes of data a session may take beyond what the warm process has."""
CPU_SECONDS = 300

_PDEATHSIG, _SET_DUMPABLE, _NO_NEW_PRIVS = 1, 4, 38  # <linux/prctl.h>
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # <linux/sched.h>
_LOCK_ALL_ON_FAULT = 1 | 2 | 4  # <sys/mman.h>: MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT
_CAPABILITIES_3 = 0x20080522  # <linux/capability.h>
_CAPSET = {"x86_64": 126, "aarch64": 91}


def keep_only(link: int) -> int:
    """Close every descriptor but `link`, which becomes `LINK`; 0 to 2 lead to the null device."""
    os.dup2(link, LINK, inheritable=False)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(LINK):
        os.dup2(null, descriptor)
    os.closerange(LINK + 1, os.sysconf("SC_OPEN_MAX"))
    return LINK


def close() -> tuple[str, ...]:
    """Lay every layer on this process, which has one thread; the names of those that hold."""
    held = []
    for name, layer in LAYERS:
        with suppress(OSError, ValueError):  # ValueError: Python's word for a limit one may not set
            layer()
            held.append(name)
    return tuple(held)


def _no_swap() -> None:
    """No page of this process is ever written to a swap device. Wants an unlimited `memlock`, or the right to set it."""
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    call("mlockall", _LOCK_ALL_ON_FAULT)


def _limits() -> None:
    """No core dump, no byte to any file, no further process; bounded memory and processor time."""
    for which, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_DATA, _data() + MEMORY_ROOM),
    ):
        resource.setrlimit(which, (most, most))


def _data() -> int:
    """Bytes of data this process has (what RLIMIT_DATA counts)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 1 << 30
    return int(status.read_text("ascii", "replace").split("VmData:")[1].split()[0]) << 10


def _no_network() -> None:
    """A network namespace of its own, in which nothing is up; where that wants privilege, in a user namespace of its own."""
    try:
        call("unshare", _NEW_NETWORK)
    except OSError:
        call("unshare", _NEW_USER | _NEW_NETWORK)


def _no_new_privileges() -> None:
    control(_NO_NEW_PRIVS, 1)


def _no_capabilities() -> None:
    """capset(2), every set empty: root is nobody in particular."""
    if platform.machine() not in _CAPSET:
        raise OSError("no number of capset(2) for this machine")
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_3, 0)
    system(_CAPSET[platform.machine()], ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))


def _not_dumpable() -> None:
    """Nobody but root reads this memory or attaches to the process, nor is it dumped into a program (core(5): there the limit is
    not looked at); and it does not outlive who started it.
    """
    control(_SET_DUMPABLE, 0)
    control(_PDEATHSIG, signal.SIGKILL)


def _no_more_descriptors() -> None:
    """0 to `LINK` are taken, and there are no others."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (LINK + 1, LINK + 1))


LAYERS: tuple[tuple[str, Callable[[], None]], ...] = (
    ("limits", _limits),
    ("no_swap", _no_swap),
    ("no_network", _no_network),
    ("no_new_privileges", _no_new_privileges),
    ("no_capabilities", _no_capabilities),
    ("not_dumpable", _not_dumpable),
    ("landlock", landlock.close),
    ("no_more_descriptors", _no_more_descriptors),
    ("seccomp", seccomp.close),
)
"""In the order they are laid: each may need a call that a later one denies."""
REQUIRED = frozenset({"limits", "seccomp"})
"""Without these a machine is not fit for real people."""


def holding() -> tuple[str, ...]:
    """The layers that hold on this machine, tried in a process made for that."""
    command = [sys.executable, "-P", "-m", "alicem.enrolment.sandbox"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=30)  # noqa: S603 - our own module
    return tuple(json.loads(done.stdout))


if __name__ == "__main__":
    link = keep_only(1)
    os.write(link, json.dumps(close()).encode())

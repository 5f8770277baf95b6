"""The system calls a session process may still make, as a filter the kernel runs before each of them (seccomp-bpf).

What is not listed fails with EPERM: opening anything, sockets, other programs, threads and processes, other processes' memory, signals to
anybody, new privileges. Memory that can be run cannot be had any more. A call of another architecture ends the process.
"""

from __future__ import annotations

import ctypes
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from alicem.enrolment.kernel import system

_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    # the link, and the wait for its next line
    "read": (0, 63),
    "write": (1, 64),
    "poll": (7, None),
    "ppoll": (271, 73),
    # memory
    "brk": (12, 214),
    "madvise": (28, 233),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "munmap": (11, 215),
    # time, chance, locks
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "futex": (202, 98),
    "getrandom": (318, 278),
    "sched_yield": (24, 124),
    # signals to itself, and the end
    "restart_syscall": (219, 128),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "exit": (60, 93),
    "exit_group": (231, 94),
    # harmless questions that libraries ask
    "getpid": (39, 172),
    "gettid": (186, 178),
    "sched_getaffinity": (204, 123),
}
"""Numbers on x86_64 and aarch64 (Linux `unistd_64.h`, `asm-generic/unistd.h`); none where the call does not exist."""


@dataclass(frozen=True)
class Machine:
    """`audit`: AUDIT_ARCH of <linux/audit.h>. `set_filter`: number of seccomp(2)."""

    audit: int
    calls: dict[str, int]
    set_filter: int


MACHINES = {
    "x86_64": Machine(0xC000003E, {name: x for name, (x, _) in _NUMBERS.items() if x is not None}, 317),
    "aarch64": Machine(0xC00000B7, {name: a for name, (_, a) in _NUMBERS.items() if a is not None}, 277),
}

_LOAD, _EQUAL, _ANY_BIT, _RETURN = (
    0x20,
    0x15,
    0x45,
    0x06,
)  # <linux/bpf_common.h>: BPF_LD|W|ABS, BPF_JMP|JEQ, |JSET, BPF_RET
_ALLOW, _EPERM, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # <linux/seccomp.h>: SECCOMP_RET_*, ERRNO with EPERM
_NUMBER, _ARCHITECTURE, _THIRD_ARGUMENT = 0, 4, 32  # struct seccomp_data, little-endian
_PROT_EXEC = 4
_MAPPING = ("mmap", "mprotect")
_SET_MODE_FILTER, _ALL_THREADS = 1, 1


def program(machine: Machine) -> bytes:
    """The filter as an array of `struct sock_filter`."""
    return b"".join(struct.pack("=HBBI", *one) for one in _instructions(machine))


def _instructions(machine: Machine) -> Iterator[tuple[int, int, int, int]]:
    """Code, how many to skip when true, when false, operand."""
    yield _LOAD, 0, 0, _ARCHITECTURE
    yield _EQUAL, 1, 0, machine.audit
    yield _RETURN, 0, 0, _KILL
    yield _LOAD, 0, 0, _NUMBER
    for name, number in machine.calls.items():
        if name in _MAPPING:
            yield _EQUAL, 0, 4, number
            yield _LOAD, 0, 0, _THIRD_ARGUMENT
            yield _ANY_BIT, 0, 1, _PROT_EXEC
            yield _RETURN, 0, 0, _EPERM
        else:
            yield _EQUAL, 0, 1, number
        yield _RETURN, 0, 0, _ALLOW
    yield _RETURN, 0, 0, _EPERM


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def close() -> None:
    """For every thread of this process, for good. Raises `OSError` where the kernel or the machine has no such filter."""
    machine = MACHINES.get(platform.machine())
    if machine is None:
        raise OSError("no table of system calls for this machine")
    instructions = program(machine)
    held = ctypes.create_string_buffer(instructions, len(instructions))
    given = _Program(len(instructions) // 8, ctypes.addressof(held))
    system(machine.set_filter, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(given))

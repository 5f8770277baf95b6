"""System calls of Linux that Python has no name for."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)


def system(number: int, *arguments: Any) -> int:
    """syscall(2). Raises `OSError`."""
    return _checked("syscall", ctypes.c_long(number), *map(_long, arguments))


def control(option: int, value: int) -> None:
    """prctl(2). Raises `OSError`."""
    _checked("prctl", option, *map(_long, (value, 0, 0, 0)))


def call(name: str, *arguments: int) -> None:
    """Any other function of the C library that answers 0 or sets errno. Raises `OSError`."""
    _checked(name, *arguments)


def _checked(name: str, *arguments: Any) -> int:
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    answer: int = getattr(_LIBC, name)(*arguments)
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


def _long(value: Any) -> Any:
    """An integer in the width of a register; anything else as it is."""
    return ctypes.c_long(value) if isinstance(value, int) else value

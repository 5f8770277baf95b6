"""No file, no TCP port, no signal to others, from here on: Landlock, an access control a process lays on itself.

Every right the kernel knows of is claimed and none is granted. What is open stays open.
"""

from __future__ import annotations

import ctypes
import os

from alicem.enrolment.kernel import system

_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # the same numbers on every machine
_ASK_VERSION = 1
_FILES = ((1, 13), (2, 14), (3, 15), (5, 16))  # <linux/landlock.h>: from which version on, how many rights on files
_BIND_AND_CONNECT, _SOCKETS_AND_SIGNALS = 0b11, 0b11


class _Ruleset(ctypes.Structure):
    """`struct landlock_ruleset_attr`; older kernels take its first members alone."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scope", ctypes.c_uint64))


def version() -> int:
    """What the kernel has. Raises `OSError` where it has none, or was started without."""
    return system(_CREATE_RULESET, None, 0, _ASK_VERSION)


def close() -> None:
    """For this thread and its children, for good; wants `no_new_privs`. Raises `OSError`."""
    has = version()
    rights = max(rights for since, rights in _FILES if since <= has)
    network, scope = _BIND_AND_CONNECT if has >= 4 else 0, _SOCKETS_AND_SIGNALS if has >= 6 else 0
    members = 1 + (has >= 4) + (has >= 6)
    asked = _Ruleset((1 << rights) - 1, network, scope)
    ruleset = system(_CREATE_RULESET, ctypes.byref(asked), 8 * members, 0)
    try:
        system(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)

"""What reading a chip will need, loaded before the sandbox closes: afterwards nothing can be read from disk, not even a module.

What is loaded at its first use (by us, by Python, by a library) is named here; tests/enrolment/test_warming.py looks for more of it.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from importlib import import_module

from cryptography.hazmat.backends import default_backend

from alicem import reasons
from emrtd.groups import fields
from emrtd.pki.curves import curves
from emrtd.pki.states import states

TABLES: tuple[Callable[[], object], ...] = (reasons.load, curves, fields, states, default_backend)
MODULES = ("_strptime",)
CODECS = ("ascii", "cp1252", "idna", "latin-1", "punycode", "teletex", "utf-8", "utf-16-be", "utf-16-le", "utf-32-be")


def warm() -> None:
    for table in TABLES:
        table()
    for module in MODULES:
        import_module(module)
    for codec in CODECS:
        codecs.lookup(codec)

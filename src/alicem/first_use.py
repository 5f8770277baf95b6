"""Packages whose names are loaded when they are first used (PEP 562), so that a process holds only the libraries it works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def names(package: str, modules: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """The `__getattr__` of a package. `modules`: what each of its modules gives it."""
    module_of = {name: f"{package}.{module}" for module, given in modules.items() for name in given}

    def at_first_use(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(module_of[name]), name)

    return at_first_use

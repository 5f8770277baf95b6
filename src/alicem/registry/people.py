"""A person with their documents, from a file that an operator wrote."""

from __future__ import annotations

import json
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

from alicem.registry.records import CivilStatus, Document, Person, RegistryError

MOST = 64 * 1024  # bytes of such a file

T = TypeVar("T")


def read_person(file: Path) -> Person:
    """Parse TOML, or JSON where the name ends so: `address`, a table `civil_status`, a list `documents`, `deceased`.

    Members are those of docs/protocols/registry.md. Raises `RegistryError` that names the member at fault, never its value.
    """
    tree = _known(Person, _tree(file), "the file")
    for name, kind in (("address", str), ("documents", list), ("deceased", bool)):
        if not isinstance(tree.get(name, kind()), kind):
            raise RegistryError(f"{name} is not of its form")
    documents = tuple(_made(Document, one, "document") for one in tree.get("documents", []))
    civil_status = _made(
        CivilStatus, {"usage_name": None} | _table(tree["civil_status"], "civil_status"), "civil status"
    )
    return Person(civil_status, tree["address"], documents, tree.get("deceased", False))


def _tree(file: Path) -> Any:
    try:
        text = file.read_text("utf-8")
        if len(text) > MOST:
            raise RegistryError("the file is too large to be one person")
        return json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise RegistryError(f"the file: {error.strerror}") from error
    except (ValueError, RecursionError):
        raise RegistryError("the file is not UTF-8, or neither TOML nor JSON by its name") from None  # would quote it


def _table(given: Any, name: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise RegistryError(f"{name} is not a table")
    return given


def _known(kind: Any, given: Any, name: str) -> dict[str, Any]:
    """`given`, a table with every member that `kind` needs and no other."""
    table = _table(given, name)
    lacks = [one.name for one in fields(kind) if one.default is MISSING and one.name not in table]
    if lacks:
        raise RegistryError(f"{name} lacks {', '.join(lacks)}")
    if table.keys() - {one.name for one in fields(kind)}:
        raise RegistryError(f"{name} has a member that is not known")
    return table


def _made(kind: type[T], given: Any, name: str) -> T:
    table = _known(kind, given, name)
    if any(not isinstance(value, str) for member, value in table.items() if (member, value) != ("usage_name", None)):
        raise RegistryError(f"{name} has a member that is not a text")
    return kind(**table)

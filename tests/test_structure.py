"""Data flows one way: which folder may import which. A folder that is not listed may import nothing of Alicem."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src"

GROUND = {"cog", "evidence", "jose", "reasons", "settings", "log"}
MAY_IMPORT: dict[str, set[str]] = {
    "cog": set(),
    "evidence": set(),
    "first_use": set(),
    "jose": set(),
    "reasons": set(),
    "settings": set(),
    "log": {"settings"},
    "store": set(),
    "pictures": set(),
    "face": {"first_use", "pictures"},
    "mrzscan": {"pictures"},
    "keys": {"jose"},
    "journal": {"jose", "store", "keys"},
    "limits": {"store", "keys"},
    "smtp": {"settings"},
    "web": {"jose", "reasons", "settings"},
    "credential": GROUND | {"store", "keys", "journal", "web"},
    "accounts": GROUND | {"store", "keys", "journal", "limits", "web", "credential"},
    "enrolment": GROUND | {"store", "keys", "journal", "limits", "smtp", "web", "credential", "accounts", "face"},
    "provider": GROUND | {"store", "keys", "journal", "limits", "web", "credential", "accounts", "enrolment"},
    "registry": {"cog", "evidence", "store", "settings"},
    "broker": {"cog", "store", "settings", "smtp", "web", "evidence", "log"},
    "phone": {"cog", "jose", "reasons", "credential", "enrolment"},
    "watch": {"reasons", "store"},
    "standing": {"store", "keys", "journal", "enrolment", "watch"},
    "jobs": {"settings", "store", "journal", "limits", "accounts", "provider"},
    "recovery": {"store", "keys", "journal", "credential", "accounts"},
    "app": {
        *GROUND,
        "jobs",
        "standing",
        "watch",
        "store",
        "keys",
        "journal",
        "web",
        "credential",
        "accounts",
        "enrolment",
        "provider",
        "face",
    },
    "demo": {*GROUND, "first_use", "keys", "web", "face", "phone", "registry", "store"},
    "cli": {
        *GROUND,
        "app",
        "standing",
        "watch",
        "jobs",
        "accounts",
        "recovery",
        "store",
        "keys",
        "journal",
        "face",
        "mrzscan",
        "pictures",
        "enrolment",
        "registry",
        "broker",
        "phone",
        "demo",
        "provider",
        "web",
    },
    "__main__": {"cli"},
}
PHONE_SHARES = {"alicem.credential.sdjwt", "alicem.credential", "alicem.enrolment.seal"}
"""What the phone's side shares with the server's: two codecs, no room."""

PROVIDER_SHARES = {"alicem.enrolment.children", "alicem.enrolment.pool"}
"""What sign-ins share with enrolments: where session processes come from."""


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{one.name}" for one in node.names if node.module == "alicem")


def rooms_of(file: Path) -> set[str]:
    found = (name.split(".") for name in imports(file))
    return {parts[1] for parts in found if parts[0] == "alicem" and len(parts) > 1}


def test_each_room_imports_only_what_lies_below_it() -> None:
    wrong = []
    for file in (SOURCE / "alicem").rglob("*.py"):
        parts = file.relative_to(SOURCE / "alicem").with_suffix("").parts
        room = parts[0]
        if room == "__init__":
            continue
        allowed = MAY_IMPORT.get(room, set()) | {room}
        wrong += [f"{file.relative_to(SOURCE)} imports alicem.{other}" for other in sorted(rooms_of(file) - allowed)]
    assert wrong == []


def test_the_chip_library_stands_alone() -> None:
    wrong = [
        f"{file.relative_to(SOURCE)} imports {name}"
        for file in (SOURCE / "emrtd").rglob("*.py")
        for name in imports(file)
        if name.split(".")[0] == "alicem"
    ]
    assert wrong == []


def test_the_phone_shares_codecs_alone_with_the_server() -> None:
    wrong = [
        f"{file.name} imports {name}"
        for file in (SOURCE / "alicem" / "phone").glob("*.py")
        for name in imports(file)
        if name.startswith(("alicem.credential", "alicem.enrolment")) and name not in PHONE_SHARES
    ]
    assert wrong == []


def test_the_provider_shares_processes_alone_with_enrolment() -> None:
    wrong = [
        f"{file.name} imports {name}"
        for file in (SOURCE / "alicem" / "provider").glob("*.py")
        for name in imports(file)
        if name.startswith("alicem.enrolment") and name not in PROVIDER_SHARES
    ]
    assert wrong == []


def test_every_room_is_listed() -> None:
    package = SOURCE / "alicem"
    rooms = {one.name for one in package.iterdir() if one.is_dir() and any(one.glob("*.py"))}
    rooms |= {one.stem for one in package.glob("*.py")} - {"__init__"}
    assert rooms - MAY_IMPORT.keys() == set()

"""docs/protocols/journal.md lists every event that the code writes, what its content has, and whether it names an account; no other."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from alicem.accounts.states import JOURNAL, Event
from alicem.journal.chain import OF_ACCOUNTS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "protocols" / "journal.md"
OF_APPLY = {"by", "now", "rng"}


def listed() -> dict[str, tuple[bool, set[str]]]:
    """Event → whether it names an account, members of its content."""
    section = PAGE.read_text("utf-8").partition("\n## Events\n")[2]
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \| ([^|]*)\|", section, re.MULTILINE)
    return {event: (account == "yes", set(re.findall(r"`(\w+)`", content))) for event, account, content in rows}


class Writers(ast.NodeVisitor):
    """Every call that writes a row, with the function around it."""

    def __init__(self, module: ast.Module) -> None:
        self.module = module
        self.around: list[ast.AST] = []
        self.found: list[tuple[ast.Call, ast.AST]] = []
        self.applied: set[str] = set()
        self.visit(module)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.around.append(node)
        self.generic_visit(node)
        self.around.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - ast's name

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func)
        if name in ("journal.append", "records.append"):
            self.found.append((node, self.around[-1]))
        elif name in ("life.apply", "apply"):
            self.applied |= {str(one.arg) for one in node.keywords} - OF_APPLY
        self.generic_visit(node)


def events_of(call: ast.Call) -> set[str]:
    """A constant, or what JOURNAL has: of one event, or of any that names, or names no, account."""
    node = call.args[2]
    if isinstance(node, ast.Constant):
        return {str(node.value)}
    assert isinstance(node, ast.Subscript)
    if isinstance(node.slice, ast.Attribute):
        return {JOURNAL[Event[node.slice.attr]]}
    names = {JOURNAL[event] for event in Event if event is not Event.ENROL}
    return {name for name in names if (name in OF_ACCOUNTS) == names_account(call)}


def names_account(call: ast.Call) -> bool:
    return any(one.arg == "account" for one in call.keywords)


def members(call: ast.Call, around: ast.AST, module: ast.Module) -> set[str]:
    content = next((one.value for one in call.keywords if one.arg == "content"), None)
    if content is None:
        return set()
    if isinstance(content, ast.Name):
        content = next(
            node.value
            for node in ast.walk(around)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == content.id
        )
    if isinstance(content, ast.Call):
        made_by = ast.unparse(content.func)
        function = next(n for n in ast.walk(module) if isinstance(n, ast.FunctionDef) and n.name == made_by)
        content = next(node.value for node in ast.walk(function) if isinstance(node, ast.Return))
    assert isinstance(content, ast.Dict), ast.unparse(call)
    return {key.value if isinstance(key, ast.Constant) else "**" for key in content.keys}  # type: ignore[misc]


def modules() -> Iterator[tuple[ast.Module, Writers]]:
    for file in (ROOT / "src" / "alicem").rglob("*.py"):
        module = ast.parse(file.read_text("utf-8"))
        yield module, Writers(module)


@pytest.fixture(scope="module")
def written() -> dict[str, tuple[bool, set[str]]]:
    found: dict[str, tuple[bool, set[str]]] = {}
    keys: dict[str, set[str]] = defaultdict(set)
    applied: set[str] = set()
    for module, writers in modules():
        applied |= writers.applied
        for call, around in writers.found:
            for event in events_of(call):
                keys[event] |= members(call, around, module)
                assert found.get(event, (names_account(call),))[0] == names_account(call), event
                found[event] = (names_account(call), keys[event])
    assert applied == {"notice"}, "life.apply is given more for the journal: list it"
    keys["account_suspended"] |= applied
    for one in keys.values():
        one.discard("**")
    return found


def test_the_page_lists_what_the_code_writes(written: dict[str, tuple[bool, set[str]]]) -> None:
    assert listed() == written


def test_whoever_names_an_account_may(written: dict[str, tuple[bool, set[str]]]) -> None:
    assert {event for event, (account, _) in written.items() if account} == OF_ACCOUNTS
    assert {event for event, (account, _) in listed().items() if account} == OF_ACCOUNTS


def test_a_restore_says_what_verification_asks() -> None:
    assert listed()["restored"] == (False, {"backup_last", "backup_seal", "backup_at"})

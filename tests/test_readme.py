"""The README's list of commands is the program's, both ways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperGroup

from alicem.cli import build

README = Path(__file__).parents[1] / "README.md"


def written() -> set[tuple[str, ...]]:
    """Commands of the README: one word, or two where the first is a subject."""
    block = README.read_text("utf-8").partition("## Commands\n```\n")[2].partition("```")[0]
    return {command for line in block.splitlines() for command in _commands(line)}


def _commands(line: str) -> Iterator[tuple[str, ...]]:
    words = re.split(r"  +", line.removeprefix("alicem "))[0]
    while re.search(r"\[[^][]*\]", words):
        words = re.sub(r"\[[^][]*\]", "", words)
    named = [re.match(r"[a-z-]+(?: [a-z-]+)*", part.strip()) for part in re.split(r" \| (?=[a-z])", words)]
    first, *rest = [one[0].split() for one in named if one is not None]
    subject = first[:-1]
    yield tuple(first)
    yield from (tuple(subject + one) for one in rest)


def known() -> set[tuple[str, ...]]:
    """Commands of the program."""
    program = typer.main.get_command(build())
    assert isinstance(program, TyperGroup)
    return set(_paths(program, ()))


def _paths(group: TyperGroup, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _paths(command, (*above, name))
        else:
            yield (*above, name)


def test_every_command_of_the_readme_is_there() -> None:
    assert written() - known() == set()


def test_every_command_is_in_the_readme() -> None:
    assert known() - written() == set()

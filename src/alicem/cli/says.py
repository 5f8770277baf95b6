"""How commands end: a plain sentence to standard error, and the exit status that goes with it."""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

import typer
from rich.console import Console

from alicem.reasons import Reason

err = Console(stderr=True, highlight=False)

REFUSED, USAGE, TECHNICAL = 1, 2, 3


def out(tree: Any) -> None:
    """JSON to standard output."""
    json.dump(tree, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def fail(sentence: str, status: int = TECHNICAL) -> NoReturn:
    err.print(sentence, style="bold red", markup=False, soft_wrap=True)
    raise typer.Exit(status)


def refuse(reason: Reason) -> NoReturn:
    """End with a row of reasons.toml."""
    err.print(f"{reason.name}: {reason.en.cause} {reason.en.next}", style="bold red", markup=False, soft_wrap=True)
    raise typer.Exit(reason.exit_code)

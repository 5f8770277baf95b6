"""The command line. Exit 0 done, 1 refused, 2 usage, 3 technical. `--json` to standard output, progress to standard error."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer

COMMANDS = {"demo": "demo:demo", "serve": "operate:serve", "check": "operate:check", "status": "operate:status"}
SUBJECTS = {
    "chip": "chip:app",
    "phone": "phone:app",
    "face": "face:app",
    "mrz": "mrz:app",
    "keys": "keys:app",
    "trust": "trust:app",
    "journal": "journal:app",
    "db": "db:app",
    "jobs": "jobs:app",
    "registry": "services:registry_app",
    "broker": "broker:app",
}
"""Word → module of this folder and name in it; only what was asked for is loaded, since all of it takes seconds."""


def build(asked: str | None = None) -> typer.Typer:
    """The whole command line; or, where `asked` is one of its words, that part alone."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Alicem: prove online who you are.")
    app.callback()(lambda: None)  # without one, a single command would lose its name
    for name, place in COMMANDS.items():
        if asked in (name, None):
            app.command(name)(_load(place))
    for name, place in SUBJECTS.items():
        if asked in (name, None):
            app.add_typer(_load(place), name=name)
    return app


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(f"alicem.cli.{module}"), name)


def main() -> None:
    """Entry point of `alicem`."""
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    build(first if first in {**COMMANDS, **SUBJECTS} else None)()

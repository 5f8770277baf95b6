"""The command line. Exit 0 done, 1 refused, 2 usage, 3 technical. `--json` to standard output, progress to standard error."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer

COMMANDS = {
    "demo": ("demo:demo", "Enrol and sign in on this machine, with nothing else to start."),
    "serve": ("operate:serve", "Run the provider."),
    "check": ("operate:check", "Say what makes this machine and these settings unfit for real people."),
    "status": ("operate:status", "How this provider stands, as JSON. Nobody in it."),
}
SUBJECTS = {
    "chip": ("chip:app", "Travel documents: read them, check them, make specimens and lend them."),
    "phone": ("phone:app", "The phone in Python, after docs/protocols."),
    "face": ("face:app", "Face comparison and liveness."),
    "mrz": ("mrz:app", "The machine-readable zone, from pictures of a document."),
    "clients": ("clients:app", "Who may sign people in."),
    "keys": ("keys:app", "The provider's keys."),
    "trust": ("trust:app", "The authorities whose documents are believed."),
    "journal": ("journal:app", "The sealed record of operations."),
    "db": ("db:app", "The provider's database."),
    "jobs": ("jobs:app", "What recurs: expiry and retention."),
    "registry": ("services:registry_app", "The State's document registry, simulated."),
    "broker": ("broker:app", "The broker between services and providers."),
}
"""Word → module of this folder and name in it, and what it is for; only what was asked for is loaded, since all of it takes seconds."""


def build(asked: str | None = None) -> typer.Typer:
    """The whole command line; or, where `asked` is one of its words, that part alone."""
    app = _app()
    for name, (place, _) in COMMANDS.items():
        if asked in (name, None):
            app.command(name)(_load(place))
    for name, (place, about) in SUBJECTS.items():
        if asked in (name, None):
            app.add_typer(_load(place), name=name, help=about)
    return app


def table() -> typer.Typer:
    """Every word and what it is for, nothing behind them: for `--help`, and for a word that is none."""
    app = _app()
    for name, (_, about) in {**COMMANDS, **SUBJECTS}.items():
        app.command(name, help=about)(lambda: None)
    return app


def _app() -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Alicem: prove online who you are.")
    app.callback()(lambda: None)  # without one, a single command would lose its name
    return app


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(f"alicem.cli.{module}"), name)


def main() -> None:
    """Entry point of `alicem`."""
    asked = sys.argv[1:2]
    if asked and asked[0] not in {**COMMANDS, **SUBJECTS}:
        table()()
    else:
        build(*asked)()  # all of it where a shell asks how words go on

"""`alicem registry` and `alicem broker`: applications of their own, with their own settings and databases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alicem import broker, registry
from alicem.cli.says import fail
from alicem.settings import SettingsError

registry_app = typer.Typer(no_args_is_help=True, help="The State's document registry, simulated.")
broker_app = typer.Typer(no_args_is_help=True, help="The broker between services and providers.")


@registry_app.callback()
def _registry() -> None:
    """The State's document registry, simulated."""


@broker_app.callback()
def _broker() -> None:
    """The broker between services and providers."""


@registry_app.command("serve")
def serve_registry(config: Annotated[Path, typer.Option("--config")] = Path("registry.toml")) -> None:
    """Run the simulated registry."""
    try:
        registry.serve(config)
    except SettingsError as error:
        fail(str(error))


@broker_app.command("serve")
def serve_broker(config: Annotated[Path, typer.Option("--config")] = Path("broker.toml")) -> None:
    """Run the broker."""
    try:
        broker.serve(config)
    except SettingsError as error:
        fail(str(error))

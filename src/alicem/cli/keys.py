"""`alicem keys`: make and list the provider's keys."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from alicem.app import master_key, now
from alicem.cli.says import fail, out
from alicem.keys import KeysError, create, open_ring
from alicem.settings import SettingsError, load

app = typer.Typer(no_args_is_help=True, help="The provider's keys.")
Config = Annotated[Path, typer.Option("--config", help="alicem.toml")]


@app.command("create")
def create_keys(config: Config = Path("alicem.toml")) -> None:
    """Make one key of each purpose, encrypted under the master key. Never overwrites."""
    try:
        settings = load(config)
        host = urlsplit(settings.service.origin).hostname or "localhost"
        create(settings.keys.file, master_key(settings), now=now(), rng=secrets.token_bytes, host=host)
    except (KeysError, SettingsError) as error:
        fail(str(error))


@app.command("list")
def list_keys(config: Config = Path("alicem.toml")) -> None:
    """Identifier, purpose and last day of each key, as JSON; never a key."""
    try:
        settings = load(config)
        ring = open_ring(settings.keys.file, master_key(settings))
    except (KeysError, SettingsError) as error:
        fail(str(error))
    rows = [(key.kid, key.purpose, key.use_by) for key in ring.signing_keys]
    rows += [(key.kid, key.purpose, key.use_by) for key in ring.secret_keys]
    out([{"kid": kid, "purpose": purpose, "use_by": use_by and f"{use_by:%Y-%m-%d}"} for kid, purpose, use_by in rows])

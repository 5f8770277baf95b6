"""`alicem serve | check | status`, `alicem db`: what an operator runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvicorn

from alicem import journal
from alicem.app import build, now
from alicem.cli.says import REFUSED, fail, out
from alicem.enrolment import sandbox
from alicem.enrolment.children import can_fork
from alicem.enrolment.pool import places
from alicem.face import models
from alicem.keys import KeysError
from alicem.log import configure
from alicem.settings import Settings, SettingsError, load, production_refusals
from alicem.store import Store, upgrade
from alicem.web.http import BoundedHttp

Config = Annotated[Path, typer.Option("--config", help="alicem.toml")]
db_app = typer.Typer(no_args_is_help=True, help="The provider's database.")


def serve(config: Config = Path("alicem.toml")) -> None:
    """Run the provider."""
    try:
        settings = load(config)
        configure(settings.log)
        if not models.ready():
            fail("the face networks are missing: run `alicem face models build`")
        parts = build(settings)
    except (KeysError, SettingsError) as error:
        fail(str(error))
    host, _, port = settings.service.listen.rpartition(":")
    structlog.get_logger("alicem").info("serving", listen=settings.service.listen, profile=settings.service.profile)
    uvicorn.run(
        parts.app,
        host=host,
        port=int(port),
        log_config=None,
        access_log=False,
        http=BoundedHttp,
        ws_max_size=1 << 18,
        timeout_graceful_shutdown=2,
        server_header=False,
    )


def check(config: Config = Path("alicem.toml")) -> None:
    """Say what a production profile would refuse of these settings, and which walls of a session process this machine lacks."""
    refused = production_refusals(_load(config))
    held = sandbox.holding()
    missing = [name for name, _ in sandbox.LAYERS if name not in held]
    for sentence in (*refused, *(f"session processes lack {name} on this machine" for name in missing)):
        typer.echo(sentence)
    raise typer.Exit(REFUSED if refused or not sandbox.REQUIRED.isdisjoint(missing) else 0)


def status(config: Config = Path("alicem.toml")) -> None:
    """Journal, networks and session processes, as JSON."""
    settings = _load(config)
    store = _store(settings)
    with store.engine.connect() as connection:
        window = journal.window(connection, now())
    store.close()
    out(
        {
            "profile": settings.service.profile,
            "journal": {"sealed": window.sealed, "unsealed": window.rows, "unsealed_seconds": window.seconds},
            "face_models": models.ready(),
            "session_processes": {
                "places": places(settings.limits),
                "shared": settings.face.shared and can_fork(),
                "layers": sandbox.holding(),
            },
        }
    )


@db_app.command("upgrade")
def db_upgrade(config: Config = Path("alicem.toml")) -> None:
    """Bring the database to the newest schema."""
    store = _store(_load(config))
    upgrade(store.engine)
    store.close()


def _load(config: Path) -> Settings:
    try:
        return load(config)
    except SettingsError as error:
        fail(str(error))


def _store(settings: Settings) -> Store:
    return Store(settings.database.url)

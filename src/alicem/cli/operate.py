"""`alicem serve | check | status`, `alicem db`: what an operator runs."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import Annotated

import structlog
import typer

from alicem import journal
from alicem.app import build, now, watchers_of
from alicem.cli.says import REFUSED, TECHNICAL, fail, out
from alicem.enrolment import sandbox
from alicem.enrolment.children import can_fork
from alicem.enrolment.pool import places
from alicem.face import models
from alicem.keys import KeysError
from alicem.log import configure
from alicem.settings import Settings, SettingsError, load, production_refusals
from alicem.store import Store, upgrade
from alicem.watch import tap
from alicem.web.server import Server, config_of

Config = Annotated[Path, typer.Option("--config", help="alicem.toml")]
db_app = typer.Typer(no_args_is_help=True, help="The provider's database.")


def serve(config: Config = Path("alicem.toml")) -> None:
    """Run the provider. SIGTERM lets enrolments under way come to their end, a second one does not; SIGHUP opens the log file again."""
    try:
        settings = load(config)
        watchers = watchers_of(settings)
        reopen = configure(settings.log, *([tap(watchers)] if watchers else []))
        if "enrolment" in settings.service.roles and not models.ready():
            fail("the face networks are missing: run `alicem face models build`")
        parts = build(settings, watchers)
    except (KeysError, SettingsError) as error:
        fail(str(error))
    service = settings.service
    signal.signal(signal.SIGHUP, lambda *_: reopen())
    structlog.get_logger("alicem").info(
        "serving", listen=service.listen, profile=service.profile, worker=service.worker, roles=service.roles
    )
    sessions = parts.sessions
    server = Server(config_of(parts.app, service), parts.drain, lambda: sessions.under_way, service.drain_seconds)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise typer.Exit(TECHNICAL)


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

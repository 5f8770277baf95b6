"""`alicem serve | check | status`, `alicem journal`, `alicem db`: what an operator runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvicorn

from alicem import journal
from alicem.app import build, master_key
from alicem.cli.says import REFUSED, fail, out
from alicem.enrolment import sandbox
from alicem.enrolment.children import can_fork
from alicem.enrolment.pool import places
from alicem.face import models
from alicem.journal.records import unsealed
from alicem.journal.seal import JournalBroken
from alicem.keys import KeysError, open_ring
from alicem.log import configure
from alicem.settings import Settings, SettingsError, load, production_refusals
from alicem.store import Store, upgrade
from alicem.web.http import BoundedHttp

Config = Annotated[Path, typer.Option("--config", help="alicem.toml")]
journal_app = typer.Typer(no_args_is_help=True, help="The sealed record of operations.")
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
        last = journal.last_sealed(connection)
        waiting = len(unsealed(connection, last, 10_000))
    store.close()
    out(
        {
            "profile": settings.service.profile,
            "journal": {"sealed": last, "unsealed": waiting},
            "face_models": models.ready(),
            "session_processes": {
                "places": places(settings.limits),
                "shared": settings.face.shared and can_fork(),
                "layers": sandbox.holding(),
            },
        }
    )


@journal_app.command("verify")
def verify(config: Config = Path("alicem.toml")) -> None:
    """Check every segment of the journal against its rows, its seal and the segment before."""
    settings = _load(config)
    store = _store(settings)
    try:
        ring = open_ring(settings.keys.file, master_key(settings))
        with store.engine.connect() as connection:
            sealed = journal.verify(connection, ring.signing_all("journal"))
    except KeysError as error:
        fail(str(error))
    except JournalBroken as broken:
        fail(str(broken), REFUSED)
    finally:
        store.close()
    out({"sealed_rows": sealed})


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

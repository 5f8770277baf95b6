"""`alicem serve | check | status`: what an operator runs."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from socket import socket
from typing import Annotated

import structlog
import typer
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from alicem import journal, keys
from alicem.accounts.records import count_by_state
from alicem.app import build, master_key, now, watchers_of
from alicem.cli.fitness import findings
from alicem.cli.says import REFUSED, TECHNICAL, fail, out
from alicem.enrolment import sandbox
from alicem.enrolment.children import can_fork
from alicem.enrolment.pool import places
from alicem.face import models
from alicem.keys import KeysError
from alicem.log import configure
from alicem.settings import Settings, SettingsError, load, parse
from alicem.standing import schema_of
from alicem.store import Store
from alicem.store.migrate import UnknownSchema
from alicem.watch import tap
from alicem.web.server import Server, config_of, listening_at

Config = Annotated[Path, typer.Option("--config", help="alicem.toml")]


def serve(config: Config = Path("alicem.toml")) -> None:
    """Run the provider. SIGTERM lets enrolments under way come to their end, a second one does not; SIGHUP opens the log file again."""
    try:
        settings = load(config)
        watchers = watchers_of(settings)
        reopen = configure(settings.log, *([tap(watchers)] if watchers else []))
        listening = _addresses(settings)
        if "enrolment" in settings.service.roles and not models.ready():
            fail("the face networks are missing: run `alicem face models build`")
        parts = build(settings, watchers)
    except (KeysError, SettingsError, UnknownSchema) as error:
        fail(str(error))
    except DBAPIError as error:
        fail(f"the database: {error.orig}")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    service = settings.service
    signal.signal(signal.SIGHUP, lambda *_: reopen())
    structlog.get_logger("alicem").info(
        "serving", listen=service.listen, profile=service.profile, worker=service.worker, roles=service.roles
    )
    sessions = parts.sessions
    server = Server(config_of(parts.app, service), parts.drain, lambda: sessions.under_way, service.drain_seconds)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(listening)
    if not server.started:
        raise typer.Exit(TECHNICAL)


def _addresses(settings: Settings) -> list[socket]:
    """The sockets of `service.listen`. Raises `OSError`, also where the address for Prometheus is not to be had."""
    listening = listening_at(settings.service.listen)
    if settings.metrics.listen is not None:
        for probe in listening_at(settings.metrics.listen):
            probe.close()
    return listening


def check(
    config: Config = Path("alicem.toml"),
    offline: Annotated[bool, typer.Option("--offline", help="ask nobody else: the registry, its clock")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Say what makes this machine and these settings unfit for real people, and what to do about it. Exit 1 where anything does."""
    try:
        found = list(findings(parse(config), now(), offline=offline))
    except SettingsError as error:
        fail(str(error))
    if as_json:
        out([{"text": one.text, "fix": one.fix, "grave": one.grave} for one in found])
    else:
        for one in found:
            typer.echo(f"{'' if one.grave else 'note: '}{one.text}\n    {one.fix}")
    raise typer.Exit(REFUSED if any(one.grave for one in found) else 0)


def status(config: Config = Path("alicem.toml")) -> None:
    """How this provider stands, as JSON: schema, accounts by state, journal, keys, networks, session processes. Nobody in it."""
    settings = _load(config)
    store = _store(settings)
    try:
        with store.engine.connect() as connection:
            found = standing_of(connection)
        troubles = keys.troubles(keys.open_ring(settings.keys.file, master_key(settings)), now())
    except (DBAPIError, KeysError) as error:
        fail(str(getattr(error, "orig", error)))
    finally:
        store.close()
    out(
        {
            "profile": settings.service.profile,
            "worker": {"name": settings.service.worker, "roles": settings.service.roles},
            **found,
            "keys": troubles,
            "face_models": models.ready(),
            "session_processes": {
                "places": places(settings.limits),
                "shared": settings.face.shared and can_fork(),
                "layers": sandbox.holding(),
            },
        }
    )


def standing_of(connection: Connection) -> dict[str, object]:
    window = journal.window(connection, now())
    return {
        "schema": schema_of(connection),
        "accounts": count_by_state(connection),
        "journal": {"sealed": window.sealed, "unsealed": window.rows, "unsealed_seconds": window.seconds},
    }


def _load(config: Path) -> Settings:
    try:
        return load(config)
    except SettingsError as error:
        fail(str(error))


def _store(settings: Settings) -> Store:
    return Store(settings.database.url)

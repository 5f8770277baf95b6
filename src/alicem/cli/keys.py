"""`alicem keys`: make, list, turn and end the provider's keys."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from alicem import journal, keys
from alicem.accounts.reencryption import reencrypt, rows_under
from alicem.app import master_key, now, token_of
from alicem.cli.says import REFUSED, err, fail, out
from alicem.keys import Keys, KeysError, SecretKey, SigningKey
from alicem.settings import Settings, SettingsError, load
from alicem.store import Store

if TYPE_CHECKING:
    from alicem.keys.token import Token

app = typer.Typer(no_args_is_help=True)
Config = Annotated[Path, typer.Option("--config", help="alicem.toml")]
HERE = Path("alicem.toml")


@app.command("create")
def create_keys(
    config: Config = HERE,
    operator: Annotated[bool, typer.Option("--operator", help="certificates come from an authority of yours")] = False,
) -> None:
    """Make one key of each purpose, encrypted under the master key. Never overwrites."""
    with _settings(config) as settings:
        keys.create(
            settings.keys.file,
            master_key(settings),
            now=now(),
            rng=secrets.token_bytes,
            host=_host(settings),
            specimen=not operator,
            token=token_of(settings),
        )


@app.command("list")
def list_keys(config: Config = HERE) -> None:
    """Every key with its times, as JSON, and what is to be done; never a key."""
    with _settings(config) as settings:
        ring = keys.open_ring(settings.keys.file, master_key(settings))
        rows = [_row(ring, key) for key in ring.every]
        out({"keys": rows, "told": list(keys.troubles(ring, now()))})


@app.command("rotate")
def rotate(
    purposes: Annotated[list[str] | None, typer.Argument(help="which keys; none with --due")] = None,
    config: Config = HERE,
    due: Annotated[bool, typer.Option("--due", help="those that end within 30 days")] = False,
    at_once: Annotated[bool, typer.Option("--at-once", help="use it now: the present one is compromised")] = False,
) -> None:
    """Make the next key of each purpose: published now, used in an hour. Running servers see it by themselves."""
    with _settings(config) as settings:
        if bool(purposes) == due:
            fail("name the purposes, or say --due", 2)

        token, host = token_of(settings), _host(settings)

        def step(ring: Keys) -> Keys:
            which = keys.due(ring, now()) if due else purposes or ()
            return keys.rotated(ring, which, now(), secrets.token_bytes, host, at_once=at_once, token=token)

        started = now()
        ring = _change(settings, token, step)
        made = [key for key in ring.every if key.created >= started]
        _note(settings, lambda c: _made(c, made, at_once=at_once))
        out([_row(ring, key) for key in made])


@app.command("request")
def request(kid: str, config: Config = HERE) -> None:
    """A certificate signing request (PEM) for a key that waits for its certificate."""
    with _settings(config) as settings:
        ring = keys.open_ring(settings.keys.file, master_key(settings), token_of(settings))
        typer.echo(keys.request(ring, kid, _host(settings)).decode(), nl=False)


@app.command("install")
def install(
    kid: str,
    chain: Annotated[Path, typer.Argument(help="PEM: the certificate, then its authority's")],
    config: Config = HERE,
    new_authority: Annotated[bool, typer.Option("--new-authority", help="every phone has to enrol again")] = False,
    at_once: Annotated[bool, typer.Option("--at-once", help="use it now: the present one is compromised")] = False,
) -> None:
    """Give a waiting key its certificate; it takes over in an hour, or now where it is the first."""
    with _settings(config) as settings:
        pem = chain.read_bytes()
        token = token_of(settings)
        host, given = _host(settings), {"new_authority": new_authority, "at_once": at_once}
        _change(settings, token, lambda ring: keys.installed(ring, kid, pem, now(), host, **given))
        _note(settings, lambda c: _certified(c, kid, new_authority=new_authority))


@app.command("retire")
def retire(
    kid: str,
    config: Config = HERE,
    compromised: Annotated[bool, typer.Option("--compromised", help="what it signed is believed no more")] = False,
) -> None:
    """Destroy the private part of a key nothing needs any more. Refuses while something does."""
    with _settings(config) as settings:
        store = Store(settings.database.url)
        try:
            rows = asyncio.run(store.read(lambda c: rows_under(c, kid)))
        finally:
            store.close()
        token = token_of(settings)
        _change(settings, token, lambda ring: keys.retired(ring, kid, now(), rows, compromised=compromised))
        if token is not None:
            token.destroy(kid)
        _note(settings, lambda c: _retired(c, kid, compromised=compromised))


@app.command("reencrypt")
def reencrypt_rows(config: Config = HERE) -> None:
    """Encrypt anew what the database holds under an earlier at-rest key. Safe beside running servers."""
    with _settings(config) as settings:
        ring = keys.open_ring(settings.keys.file, master_key(settings))
        store = Store(settings.database.url)
        try:
            out({"phones": asyncio.run(reencrypt(store, ring, now=now(), rng=secrets.token_bytes))})
        finally:
            store.close()


@app.command("rewrap")
def rewrap(
    new: Annotated[Path, typer.Argument(help="file of the new master key; made where there is none")],
    config: Config = HERE,
) -> None:
    """Encrypt the key file under another master key. Cut short, it is typed again."""
    with _settings(config) as settings:
        place = settings.keys.master_key_file
        keys.rewrap(settings.keys.file, lambda: master_key(settings), new, place, secrets.token_bytes)
        _note(settings, _master_key_changed)
        if place is None:
            typer.echo(f"ALICEM_MASTER_KEY is from now on what {new} holds; restart the servers with it")


@contextmanager
def _settings(config: Path) -> Iterator[Settings]:
    """The settings; what goes wrong inside ends the command with its sentence."""
    try:
        yield load(config)
    except keys.KeyRefused as error:
        fail(str(error), REFUSED)
    except (KeysError, SettingsError) as error:
        fail(str(error))
    except DBAPIError as error:
        fail(f"the database: {error.orig}")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")


def _note(settings: Settings, row: Callable[[Connection], None]) -> None:
    """Write down what was done. A stolen key is ended even while the database is away; then the operator is told."""
    store = Store(settings.database.url)
    try:
        asyncio.run(store.write(row))
    except DBAPIError as error:
        err.print(
            f"warning: the journal does not tell of this; the database: {error.orig}", style="yellow", markup=False
        )
    finally:
        store.close()


def _made(connection: Connection, made: Sequence[SigningKey | SecretKey], *, at_once: bool) -> None:
    for key in made:
        content = {"kid": key.kid, "purpose": key.purpose, "at_once": at_once}
        journal.append(connection, now(), "key_made", secrets.token_bytes, content=content)


def _certified(connection: Connection, kid: str, *, new_authority: bool) -> None:
    content = {"kid": kid, "new_authority": new_authority}
    journal.append(connection, now(), "key_certified", secrets.token_bytes, content=content)


def _retired(connection: Connection, kid: str, *, compromised: bool) -> None:
    content = {"kid": kid, "compromised": compromised}
    journal.append(connection, now(), "key_retired", secrets.token_bytes, content=content)


def _master_key_changed(connection: Connection) -> None:
    journal.append(connection, now(), "master_key_changed", secrets.token_bytes)


def _host(settings: Settings) -> str:
    return urlsplit(settings.service.origin).hostname or "localhost"


def _change(settings: Settings, token: Token | None, step: Callable[[Keys], Keys]) -> Keys:
    return keys.change(settings.keys.file, master_key(settings), step, secrets.token_bytes, token)


def _row(ring: Keys, key: SigningKey | SecretKey) -> dict[str, str | None]:
    names = ("created", "used_from", "use_by", "retired")
    times = {name: getattr(key, name) for name in names}
    told = {name: at and f"{at:%Y-%m-%dT%H:%M:%SZ}" for name, at in times.items()}
    return {"kid": key.kid, "purpose": key.purpose, **told, "state": keys.state(ring, key, now())}

"""`alicem db`: bring the database to the newest schema, back it up with the keys, and bring a backup back."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import DBAPIError

from alicem import journal, recovery
from alicem.app import master_key, now
from alicem.cli.says import REFUSED, USAGE, err, fail, out
from alicem.journal import JournalBroken
from alicem.journal.export import NotAnExport
from alicem.keys import KeyRefused, KeysError
from alicem.keys.file import master_of
from alicem.recovery import Lost, NotEmpty, Place, Unmigrated
from alicem.settings import SettingsError, load
from alicem.store import Store, upgrade
from alicem.store.migrate import UnknownSchema
from alicem.store.sealed_file import NotABackup

app = typer.Typer(no_args_is_help=True)
Config = Annotated[Path, typer.Option("--config", help="alicem.toml")]
HERE = Path("alicem.toml")


@app.command("upgrade")
def upgrade_schema(config: Config = HERE) -> None:
    """Bring the database to the newest schema. There is no way down but a backup of before."""
    with _place(config, with_keys=False) as place:
        upgrade(place.engine)


@app.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(help="made anew, readable by you alone", dir_okay=False)],
    config: Config = HERE,
) -> None:
    """Write database and keys of this moment to one file, encrypted under the master key. Safe beside running servers."""
    with _place(config) as place, _counting() as progress:
        recovery.back_up(place, file, now=now(), rng=secrets.token_bytes, progress=progress)
        try:
            with place.engine.execution_options(alicem_writes=True).begin() as connection:
                journal.append(connection, now(), "backup_made", secrets.token_bytes)
        except DBAPIError as error:  # the file is whole all the same
            told = f"warning: {file} is made, and the journal does not tell of it; the database: {error.orig}"
            err.print(told, style="yellow", markup=False, soft_wrap=True)


@app.command("restore")
def restore(
    file: Path,
    config: Config = HERE,
    since: Annotated[
        Path | None, typer.Option("--journal", help="exported since: what it says was suspended or closed is so again")
    ] = None,
    no_journal: Annotated[
        bool, typer.Option("--no-journal", help="there is none: what was suspended or closed since comes back")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="drop the database that is here")] = False,
    tries: Annotated[int, typer.Option("--tries", min=0, max=4, help="left to each phone before it locks")] = 1,
    master: Annotated[
        Path | None, typer.Option("--master-key-file", help="of the time of the backup, where it is another now")
    ] = None,
) -> None:
    """Bring a backup back into an empty database, all of it or nothing. Stop every server first."""
    if (since is None) is not no_journal:
        fail(
            "say --journal FILE, exported after the backup; or --no-journal, and accounts suspended since come back",
            USAGE,
        )
    with _place(config) as place, _counting() as progress:
        restored = recovery.restore(
            place,
            file,
            master=place.master if master is None else master_of(master),
            since=since,
            replace=replace,
            tries=tries,
            now=now(),
            rng=secrets.token_bytes,
            progress=progress,
        )
    at = datetime.fromtimestamp(restored.backup_at, UTC)
    out({**asdict(restored), "backup_at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "tries": tries})


@contextmanager
def _place(config: Path, *, with_keys: bool = True) -> Iterator[Place]:
    """Database and keys of the settings; what goes wrong inside ends the command with its sentence."""
    try:
        settings = load(config)
        store = Store(settings.database.url)
        try:
            yield Place(store.engine, settings.keys.file, master_key(settings) if with_keys else b"")
        finally:
            store.close()
    except (NotABackup, NotEmpty, Unmigrated, UnknownSchema, Lost, JournalBroken, NotAnExport, KeyRefused) as error:
        fail(f"{error}. Nothing was changed", REFUSED)
    except (KeysError, SettingsError) as error:
        fail(str(error))
    except DBAPIError as error:
        fail(f"the database: {error.orig}")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")


@contextmanager
def _counting() -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("{task.completed:,.0f} rows"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda rows: bar.update(task, completed=rows)

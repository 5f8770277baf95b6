"""`alicem journal`: checkpoints of the sealed record, its export, and its verification, which asks for public keys alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from alicem import journal
from alicem.app import master_key, now
from alicem.cli.says import REFUSED, err, fail, out
from alicem.journal import Findings, JournalBroken
from alicem.journal.chain import Part
from alicem.journal.checkpoint import LONGEST
from alicem.journal.export import NotAnExport, lines, read
from alicem.journal.jwks import Known, NotKeys, jwks, known, read_jwks
from alicem.keys import KeysError, open_ring
from alicem.settings import Retention, Settings, SettingsError, load
from alicem.store import Store

_MOST_KEYS = 1 << 20  # bytes of a JWK set
Config = Annotated[Path, typer.Option("--config", help="alicem.toml")]
HERE = Path("alicem.toml")
app = typer.Typer(no_args_is_help=True)


@app.command("verify")
def verify(
    config: Config = HERE,
    against: Annotated[
        list[Path] | None, typer.Option("--against", help="file of checkpoints, one a line; may be repeated")
    ] = None,
    since: Annotated[
        Path | None, typer.Option("--since", help="look only at what came after the newest checkpoint of this file")
    ] = None,
    export: Annotated[Path | None, typer.Option("--export", help="an exported journal, not the database")] = None,
    keys: Annotated[Path | None, typer.Option("--keys", help="JWK set of `alicem journal keys`, not the ring")] = None,
    years: Annotated[int | None, typer.Option("--years", help="rows that are gone were to be kept so long")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the findings as JSON")] = False,
) -> None:
    """Check every row and seal. Exit 0: it holds; 1: it was altered, cut or rolled back; 3: it could not be read."""
    with _told_plainly(as_json):
        settings = load(config) if export is None or keys is None else None
        believed = read_jwks(_bytes_of(keys)) if keys else _ring(settings)
        checkpoints = [one for file in against or () for one in _checkpoints(file, believed)]
        newest = max(_checkpoints(since, believed), key=lambda one: one.segment) if since else None
        checkpoints = [one for one in checkpoints if newest is None or one.segment >= newest.segment]
        kept = settings.retention if settings else Retention
        told = kept.journal_years if years is None else years
        with _parts(settings, export, newest) as (parts, total), _bar(total) as progress:
            found = journal.verify_parts(
                parts, believed.keys, checkpoints=checkpoints, since=newest, years=told, progress=progress
            )
    _tell(found, believed, len(checkpoints), as_json)


@app.command("checkpoint")
def checkpoint(
    config: Config = HERE,
    to: Annotated[
        Path | None, typer.Option("--out", help="file, or folder for a file of each checkpoint; else standard output")
    ] = None,
) -> None:
    """State the last seal, signed, to be kept elsewhere."""
    with _told_plainly(as_json=False):
        settings = load(config)
        ring = open_ring(settings.keys.file, master_key(settings))
        with _connected(settings) as connection:
            said = journal.checkpoint(connection, ring.signing("journal", now()), now())
    if said is None:
        fail("nothing is sealed yet", REFUSED)
    if to is None:
        typer.echo(said)
    else:
        _write(to / f"journal-{now():%Y%m%dT%H%M%SZ}.jws" if to.is_dir() else to, [said + "\n"])


@app.command("export")
def export(file: Annotated[Path, typer.Argument(help="JSON lines")], config: Config = HERE) -> None:
    """Write the journal to a file, for whoever verifies it elsewhere. It names accounts by number: keep it as the database is kept."""
    with _told_plainly(as_json=False), _parts(load(config)) as (parts, total), _bar(total) as progress:
        _write(file, lines(_watched(parts, progress)))


@app.command("keys")
def keys(config: Config = HERE) -> None:
    """The public keys of the journal, those that were retired with them, as a JWK set."""
    with _told_plainly(as_json=False):
        out(jwks(_ring(load(config))))


def _tell(found: Findings, believed: Known, checkpoints: int, as_json: bool) -> None:
    waits = max(int(now().timestamp()) - found.oldest_unsealed, 0) if found.oldest_unsealed is not None else 0
    compromised = sorted(believed.compromised & found.sealed_by.keys())
    if as_json:
        tree = asdict(found) | {"checkpoints": checkpoints, "unsealed_seconds": waits, "compromised": compromised}
        out({"holds": True, **tree})
        return
    typer.echo(
        f"The journal holds: rows to {found.sealed} under {found.segments} seals, {checkpoints} checkpoints met."
    )
    typer.echo(f"Rows whose term was over: those of {found.pruned} segments.")
    typer.echo(f"Rows whose content was erased: {found.erased}; accounts that ended: {found.ended}.")
    typer.echo(f"Rows that no seal covers yet: {found.unsealed}, the oldest {waits} s old.")
    for sentence in (*found.declared, *(f"sealed by a compromised key: {kid}" for kid in compromised)):
        err.print(f"warning: {sentence}", style="yellow", markup=False)


@contextmanager
def _told_plainly(as_json: bool) -> Iterator[None]:
    try:
        yield
    except JournalBroken as broken:
        if as_json:
            out({"holds": False, "segment": broken.segment, "row": broken.row, "message": str(broken)})
        fail(str(broken), REFUSED)
    except journal.NotACheckpoint as error:
        fail(str(error), REFUSED)
    except (KeysError, SettingsError, NotAnExport, NotKeys) as error:
        fail(str(error))
    except DBAPIError as error:
        fail(f"the database: {error.orig}")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")


def _checkpoints(file: Path, believed: Known) -> list[journal.Checkpoint]:
    """Of a file, one at least."""
    with file.open("rb") as stream:
        try:
            found = list(journal.read_checkpoints(iter(lambda: stream.readline(LONGEST), b""), believed.keys))
        except journal.NotACheckpoint as error:
            raise journal.NotACheckpoint(f"{file}: {error}") from error
    if not found:
        raise journal.NotACheckpoint(f"{file}: there is no checkpoint in it")
    return found


def _ring(settings: Settings | None) -> Known:
    assert settings is not None  # noqa: S101 - whoever names no file of keys has settings
    return known(open_ring(settings.keys.file, master_key(settings)).signing_all("journal"))


def _bytes_of(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(_MOST_KEYS)


@contextmanager
def _parts(
    settings: Settings | None, export: Path | None = None, since: journal.Checkpoint | None = None
) -> Iterator[tuple[Iterable[Part], int | None]]:
    """The journal of an exported file or of the database, and its last row where that is known beforehand."""
    begun = 1 if since is None else since.segment
    if export is not None:
        with export.open("rb") as stream:
            yield (part for part in read(stream) if part[0] is None or part[0].number >= begun), None
    elif settings is not None:
        with _connected(settings) as connection:
            yield journal.whole(connection, begun), journal.last_row(connection)


@contextmanager
def _connected(settings: Settings) -> Iterator[Connection]:
    """One moment of the database, however long it is read."""
    store = Store(settings.database.url)
    in_a_file = store.engine.dialect.name == "sqlite"
    moment = store.engine if in_a_file else store.engine.execution_options(isolation_level="REPEATABLE READ")
    try:
        with moment.connect() as connection:
            yield connection
    finally:
        store.close()


@contextmanager
def _bar(total: int | None) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda row: bar.update(task, completed=row)


def _watched(parts: Iterable[Part], progress: Callable[[int], None]) -> Iterator[Part]:
    for segment, rows in parts:
        yield segment, rows
        progress(rows[-1].number if rows else 0)


def _write(file: Path, text: Iterable[str]) -> None:
    """Whole or not at all; read by its owner alone."""
    temporary = file.with_name(file.name + ".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.writelines(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)

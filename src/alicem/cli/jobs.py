"""`alicem jobs run`: what the server does by itself each minute and each day, once and now."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.exc import DBAPIError

from alicem import jobs
from alicem.cli.says import REFUSED, err, fail, out
from alicem.settings import Settings, SettingsError, load
from alicem.store import Store

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _jobs() -> None:
    """What recurs: expiry and retention."""


@app.command("run")
def run(
    config: Annotated[Path, typer.Option("--config", help="alicem.toml")] = Path("alicem.toml"),
    whatever_share: Annotated[
        bool, typer.Option("--all", help="erase what is due even if it is a great share of all accounts")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the report as JSON")] = False,
) -> None:
    """Drop what has expired, and erase accounts that were kept for their term. Safe beside a running server."""
    now = datetime.now(UTC)
    try:
        report = asyncio.run(_run(load(config), now, whatever_share))
    except SettingsError as error:
        fail(str(error))
    except jobs.TooMany as error:
        fail(f"{error}. If the clock is right ({now:%d %B %Y}), run this again with --all; nothing was erased", REFUSED)
    except jobs.TooManyRows as error:
        fail(f"{error}. If the clock is right ({now:%d %B %Y}), run this again with --all; none was dropped", REFUSED)
    except DBAPIError as error:
        fail(f"the database: {error.orig}")
    if as_json:
        out({"retention": asdict(report)})
    else:
        for what, count in asdict(report).items():
            typer.echo(f"{_WORDS[what]}: {count}")


_WORDS = {
    "identity_check": "accounts erased, the identity check too long ago",
    "idle": "accounts erased, not used for too long",
    "unfinished": "accounts erased, never activated",
    "phones": "phones removed, never activated",
    "journal_rows": "rows of the journal dropped, their seals kept",
}


async def _run(settings: Settings, now: datetime, whatever_share: bool) -> jobs.Report:
    store = Store(settings.database.url)
    columns = (TextColumn("accounts and rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
            task = bar.add_task("", total=None)
            await jobs.sweep(store, settings.retention, now)
            return await jobs.retain(
                store,
                settings.retention,
                now=now,
                rng=secrets.token_bytes,
                whatever_share=whatever_share,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    finally:
        store.close()

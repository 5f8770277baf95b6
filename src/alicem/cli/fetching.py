"""What the commands fetch before they work: the face networks, the portraits of the demonstration."""

from __future__ import annotations

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from alicem.cli.says import err, fail
from alicem.demo import portraits
from alicem.face import models


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

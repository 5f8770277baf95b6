"""The command line. Exit 0 done, 1 refused, 2 usage, 3 technical. `--json` to standard output, progress to standard error."""

from __future__ import annotations

import typer

from alicem.cli import chip, demo, face, keys, operate, phone, services, trust

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Alicem: prove online who you are.")
app.command("demo")(demo.demo)
app.command("serve")(operate.serve)
app.command("check")(operate.check)
app.command("status")(operate.status)
app.add_typer(chip.app, name="chip")
app.add_typer(phone.app, name="phone")
app.add_typer(face.app, name="face")
app.add_typer(keys.app, name="keys")
app.add_typer(trust.app, name="trust")
app.add_typer(operate.journal_app, name="journal")
app.add_typer(operate.db_app, name="db")
app.add_typer(services.registry_app, name="registry")
app.add_typer(services.broker_app, name="broker")


def main() -> None:
    """Entry point of `alicem`."""
    app()

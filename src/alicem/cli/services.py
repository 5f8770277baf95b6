"""`alicem registry`: an application of its own, with its own settings and database."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection

from alicem import registry
from alicem.cli.says import REFUSED, USAGE, fail, out
from alicem.enrolment.registry_client import DocumentQuery, connect
from alicem.enrolment.registry_probe import Outcome, probe, promises
from alicem.settings import Registry, SettingsError, load, read, secret
from alicem.store.migrate import UnknownSchema

registry_app = typer.Typer(no_args_is_help=True)
RegistryConfig = Annotated[Path, typer.Option("--config", help="registry.toml")]


@registry_app.callback()
def _registry() -> None:
    """The State's document registry, simulated."""


@registry_app.command("serve")
def serve_registry(config: RegistryConfig = Path("registry.toml")) -> None:
    """Run the simulated registry."""
    try:
        registry.serve(config)
    except (SettingsError, UnknownSchema) as error:
        fail(str(error))


@registry_app.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="TOML, or JSON where the name ends so", show_default=False)],
    config: RegistryConfig = Path("registry.toml"),
) -> None:
    """Add a person with their documents."""
    try:
        person = registry.read_person(file)
    except registry.RegistryError as error:
        fail(str(error), USAGE)
    _write(config, lambda connection: registry.add(connection, person))


def _write(config: Path, work: Callable[[Connection], object]) -> None:
    """One transaction in the registry's database, beside the registry that runs."""
    try:
        store = registry.open_store(read(registry.RegistrySettings, config))
        try:
            asyncio.run(store.write(work))
        finally:
            store.close()
    except (SettingsError, UnknownSchema) as error:
        fail(str(error))
    except registry.RegistryError as error:
        fail(str(error), REFUSED)


DECLARATIONS = {
    "lost": "Declare a document lost. The provider is told.",
    "stolen": "Declare a document stolen. The provider is told.",
    "found": "Declare a lost or stolen document found again: it is valid. The provider is not told.",
    "cancelled": "Declare that the State cancelled a document. The provider is told.",
    "deceased": "Declare that the holder of a document is deceased. The provider is told of each of their documents.",
}


def _declaration(word: str) -> Callable[..., None]:
    # Several words are one number: a word too many would be quoted by the parser, and numbers are never quoted.
    def declare(
        number: Annotated[list[str] | None, typer.Argument(help="of the document; asked where it is not given")] = None,
        issuer: Annotated[str, typer.Option("--issuer", help="the State of the document, as on it")] = "FRA",
        config: RegistryConfig = Path("registry.toml"),
    ) -> None:
        given = "".join(number or typer.prompt("Number of the document", err=True)).replace(" ", "").upper()
        if not re.fullmatch(r"[A-Z0-9]{1,22}", given) or not re.fullmatch(r"[A-Z]{1,3}", issuer):
            fail("a number is 1 to 22 letters and digits, an issuer 1 to 3 letters", USAGE)
        now = datetime.now(UTC)
        _write(config, lambda c: registry.declare(c, given, word, at=now, rng=secrets.token_bytes, issuer=issuer))

    return declare


for _word, _help in DECLARATIONS.items():
    registry_app.command(_word, help=_help)(_declaration(_word))


@registry_app.command("conform")
def conform(
    config: Annotated[Path, typer.Option("--config", help="alicem.toml, whose registry is asked")] = Path(
        "alicem.toml"
    ),
    document: Annotated[
        Path | None,
        typer.Option(help="TOML with the five members of a check: a valid document the State gave for tests"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="each promise and how it turned out")] = False,
) -> None:
    """Ask the attached registry what docs/protocols/registry.md promises. Concerns no person; writes no letter."""
    try:
        settings = load(config).registry
        given = None if document is None else read(DocumentQuery, document)
        told = asyncio.run(_conform(settings, given, quiet=as_json))
    except SettingsError as error:
        fail(str(error))
    if as_json:
        out([asdict(one) for one in told])
    if not all(one.kept for one in told):
        raise typer.Exit(REFUSED)


async def _conform(settings: Registry, document: DocumentQuery | None, quiet: bool) -> list[Outcome]:
    told = []
    asked = promises(secrets.token_hex(11).upper(), secrets.token_hex(16), document)
    token = secret(settings.token_file, "ALICEM_REGISTRY_TOKEN")
    async with connect(settings) as client:
        async for one in probe(client, token, settings.timeout_seconds, asked):
            told.append(one)
            if not quiet:
                typer.echo(f"{'kept  ' if one.kept else 'BROKEN'} {one.name} ({one.said}, {one.milliseconds} ms)")
    return told

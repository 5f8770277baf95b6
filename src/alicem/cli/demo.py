"""`alicem demo`: everything on this machine, with nothing else to start; in a browser, or headless."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from alicem.cli.fetching import build_with_progress
from alicem.cli.says import REFUSED, USAGE, err, fail, out
from alicem.demo import headless, personas, town
from alicem.demo.personas import Persona
from alicem.demo.search import SearchIsBlind
from alicem.demo.services import SERVICES
from alicem.reasons import load

WRONG = ("face", "document", "code", "chip")


def demo(
    headless_: Annotated[bool, typer.Option("--headless", help="without a browser, to the end")] = False,
    json_: Annotated[bool, typer.Option("--json", help="the report, to standard output (with --headless)")] = False,
    persona: Annotated[str, typer.Option("--persona", help="who enrols (with --headless)")] = "zoe",
    wrong: Annotated[
        str, typer.Option("--wrong", help="what goes wrong: face, document, code or chip (with --headless)")
    ] = "",
    service: Annotated[
        str, typer.Option("--service", help=f"where to sign in: {', '.join(SERVICES)} (with --headless)")
    ] = "demarches",
    port: Annotated[int, typer.Option("--port", help="first of seven ports in a row", min=1024, max=65528)] = 8000,
    provider_only: Annotated[
        bool, typer.Option("--provider-only", help="no broker and no services: to connect a client of one's own")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="keep everything here (default: a temporary folder)")
    ] = None,
) -> None:
    """Enrol and sign in on this machine: a simulated State, generated people, a software chip, real protocols."""
    people = personas.load()
    if persona not in people:
        fail(f"no such persona: {persona}. There are {', '.join(sorted(people))}", USAGE)
    if wrong and wrong not in WRONG:
        fail(f"--wrong is one of {', '.join(WRONG)}", USAGE)
    if service not in SERVICES:
        fail(f"--service is one of {', '.join(SERVICES)}", USAGE)
    if headless_ and provider_only:
        fail("--headless signs in at a service: it needs them all", USAGE)
    build_with_progress()
    with _folder(folder) as place:
        here = town.Town(place, port, town.AROUND_THE_PROVIDER if provider_only else frozenset())
        try:
            town.check_ports(here)
            town.found(here, tuple(people.values()))
            if headless_:
                asyncio.run(_headless(here, people[persona], wrong, service, json_))
            else:
                asyncio.run(_in_browser(here, kept=folder is not None))
        except (town.TownFailed, SearchIsBlind) as failed:
            fail(str(failed))


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """The folder given, which must be empty, or a temporary one that is gone afterwards."""
    if given is None:
        with tempfile.TemporaryDirectory(prefix="alicem-demo-") as name:
            yield Path(name)
        return
    given.mkdir(parents=True, exist_ok=True)
    if any(given.iterdir()):
        fail(f"{given} is not empty: name another folder, or remove this one", USAGE)
    yield given.resolve()


async def _headless(here: town.Town, persona: Persona, wrong: str, service: str, as_json: bool) -> None:
    display = Display(persona, wrong)
    async with town.running(here):
        with display:
            report = await headless.journey(here, persona, wrong, display.show, service)
    if as_json:
        out(report.to_json())
    display.conclude(report)
    if not report.ok:
        reason = load().get(report.refused_because or "internal")
        raise typer.Exit(
            REFUSED if report.refused_because is None or reason is None else max(REFUSED, reason.exit_code)
        )


async def _in_browser(here: town.Town, *, kept: bool) -> None:
    stop = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    async with town.running(here) as children:
        lines = _for_developers(here) if here.without else _welcome(here, os.environ.get("SSH_CONNECTION", ""))
        ends = f"Ctrl-C ends it; its files stay in {here.folder}." if kept else "Ctrl-C ends it and erases it."
        for line in (*lines, f"\n  {ends}"):
            err.print(line, soft_wrap=True)
        stopped = asyncio.create_task(stop.wait())
        fallen = asyncio.create_task(town.first_to_fall(here, children))
        await asyncio.wait((stopped, fallen), return_when=asyncio.FIRST_COMPLETED)
        if fallen.done():
            raise town.TownFailed(fallen.result())
        fallen.cancel()
        err.print("\nEnding.")


def _welcome(here: town.Town, ssh_connection: str) -> Iterator[str]:
    """What to open, and what it is. `ssh_connection`: the variable of that name (sshd(8)): client and server, address and port."""
    yield f"\n  Open  [bold]{here.stage}/[/bold]\n"
    yield "  A demonstration of Alicem: a simulated State, generated people, nothing real."
    if ssh_connection:
        server = [*ssh_connection.split(" "), "HOST", "HOST", "HOST"][2]
        forwards = " ".join(f"-L {number}:127.0.0.1:{number}" for number in here.visited_ports)
        yield "\n  You are here over ssh. Type this on the machine where your browser is, then open the same address:"
        yield f"  ssh {forwards} {server}"


def _for_developers(here: town.Town) -> Iterator[str]:
    """Where the provider is, where its clients are written, who may sign in."""
    yield f"\n  Issuer         [bold]{here.alicem}[/bold]"
    yield f"  Discovery      {here.alicem}/.well-known/openid-configuration"
    yield f"  Clients        {here.provider_folder}/clients.toml (read again while it runs)"
    yield f"  Somebody       alicem phone enrol --state phone --origin {here.alicem} --stage {here.stage}"
    yield f"  Letters, faces {here.stage}/"
    yield "\n  A provider of specimens, nothing real: docs/integrate.md says what to do next."


class Display:
    """Steps and times while they happen, on standard error."""

    def __init__(self, persona: Persona, wrong: str) -> None:
        self._title = f"{persona.shown_name}{f', with a wrong {wrong}' if wrong else ''}"
        self._rows: dict[str, tuple[float, bool]] = {}
        self._live = Live(console=err, refresh_per_second=8)

    def __enter__(self) -> Display:
        self._live.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        self._live.update(self._table())
        self._live.__exit__(None, None, None)

    def show(self, name: str, seconds: float, over: bool) -> None:
        self._rows[name] = (seconds, over)
        self._live.update(self._table())

    def conclude(self, report: headless.Report) -> None:
        """One last line: who the service saw, or why not."""
        err.print()
        if report.service is not None:
            seen = ", ".join(f"{name} {value}" for name, value in report.service["claims"].items())
            err.print(f"The service sees {seen}; level {report.service['acr']}.", markup=False, soft_wrap=True)
        if report.refused_because is not None:
            reason = load()[report.refused_because]
            err.print(f"Refused: {reason.name}. {reason.en.cause} {reason.en.next}", markup=False)
        found = report.store.get("identity_found", [])
        err.print(f"In the provider's files: {len(found)} personal data found.", markup=False)
        face = report.store.get("face", {"found": [], "processes": 0})
        err.print(
            f"In its files and in the memory of its {face['processes']} processes: {len(face['found'])} traces of the face found.",
            markup=False,
        )

    def _table(self) -> Table:
        table = Table(title=self._title, title_justify="left", show_header=False, box=None)
        for name, (seconds, over) in self._rows.items():
            table.add_row("✓" if over else "…", name.replace("_", " "), f"{seconds:6.2f} s" if over else "")
        return table

"""The whole journey without a browser: enrol a persona, sign in to a service through the broker, then search the provider's files.

Live display on standard error; the report is data. Exit status 0 only if the service received the identity that chip and registry hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from alicem.demo import portraits, traces
from alicem.demo.personas import Persona
from alicem.demo.search import LEAST, proven
from alicem.demo.services import SERVICES, expected
from alicem.demo.town import Town, TownFailed
from alicem.demo.visitor import VisitFailed, visit
from alicem.reasons import load

PERSON_SECONDS = 150.0
SIGN_IN, QUEUE = "sign_in", "queue"
Show = Callable[[str, float, bool], None]
"""Told of each step: its name, its seconds so far, whether it is over."""


@dataclass
class Report:
    """What `alicem demo --headless --json` prints."""

    ok: bool = False
    refused_because: str | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    chip: dict[str, int] = field(default_factory=dict)
    face: dict[str, Any] = field(default_factory=dict)
    receipt: dict[str, Any] | None = None
    service: dict[str, Any] | None = None
    store: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Clock:
    """Times the steps as they are told."""

    def __init__(self, report: Report, show: Show) -> None:
        self._report, self._show = report, show
        self._name, self._began = "", time.monotonic()

    def step(self, name: str) -> None:
        """This step begins; the one before is over."""
        if name == self._name:
            return
        self.end()
        self._name, self._began = name, time.monotonic()
        self._show(name, 0.0, False)

    def end(self) -> None:
        if self._name:
            seconds = round(time.monotonic() - self._began, 2)
            self._report.steps.append({"name": self._name, "seconds": seconds})
            self._show(self._name, seconds, True)
            self._name = ""


class Phone:
    """The person's process."""

    def __init__(self, child: asyncio.subprocess.Process, clock: Clock) -> None:
        self._child, self._clock = child, clock

    async def order(self, **order: Any) -> dict[str, Any]:
        """Have the person do something; what came of it. Raises `TownFailed` when the phone itself fails."""
        assert self._child.stdin is not None and self._child.stdout is not None  # noqa: S101 - started with pipes
        self._child.stdin.write(json.dumps(order).encode() + b"\n")
        while line := await asyncio.wait_for(self._child.stdout.readline(), PERSON_SECONDS):
            told: dict[str, Any] = json.loads(line)
            if told["tell"] == "message":
                self._follow(told)
            elif told["tell"] == "failed":
                raise TownFailed(f"the phone failed: {told['why']}")
            else:
                return told
        raise TownFailed("the phone stopped")

    def _follow(self, told: dict[str, Any]) -> None:
        if told["message"]["type"] == "step":
            self._clock.step(told["message"]["name"])
        elif told["message"]["type"] == "queue":
            self._clock.step(QUEUE)


@contextlib.asynccontextmanager
async def phone_of(town: Town, persona: Persona, wrong: str, clock: Clock, state: Path) -> AsyncIterator[Phone]:
    """Start the person's process, its phone's folder being `state`; end it afterwards."""
    command = ["-m", "alicem.demo.person", "--state", str(state), "--origin", town.alicem]
    command += ["--stage", town.stage, "--persona", persona.name, "--wrong", wrong]
    with (town.folder / "phone.log").open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=1 << 22,
        )
    try:
        yield Phone(child, clock)
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        await child.wait()


async def journey(town: Town, persona: Persona, wrong: str, show: Show, service: str = "demarches") -> Report:
    """Enrol, sign in at a sample service, search. Raises `TownFailed` for what is nobody's refusal."""
    report = await way_in(town, persona, wrong, show, town.folder / "phone", service)
    report.store = examine(town, [persona])
    report.ok = report.ok and not report.store["identity_found"] and not report.store["face"]["found"]
    return report


async def way_in(
    town: Town, persona: Persona, wrong: str, show: Show, phone: Path, service: str = "demarches"
) -> Report:
    """Enrol and sign in; what is left behind is not looked for. `phone`: the phone's folder. Raises `TownFailed`."""
    report = Report()
    clock = Clock(report, show)
    async with phone_of(town, persona, wrong, clock, phone) as person:
        told = await person.order(do="enrol")
        _note_measurements(report, told)
        if told["tell"] == "enrolled":
            report.receipt = told["receipt"]
            clock.step(SIGN_IN)
            await _sign_in(f"{town.services}/{service}", person, report)
        else:
            report.refused_because = told["reason"]
        clock.end()
    learned = None if report.service is None else report.service["claims"]
    report.ok = learned is not None and learned == expected(
        SERVICES[service], persona.expected, datetime.now(UTC).date()
    )
    return report


async def _sign_in(service: str, phone: Phone, report: Report) -> None:
    refused: list[str] = []

    async def approve(link: str, number: str) -> None:
        told = await phone.order(do="approve", link=link, number=number)
        if told["tell"] == "refused":
            refused.append(told["reason"])

    try:
        visited = await visit(service, approve)
    except VisitFailed as failed:
        known = failed.reason if failed.reason in load() else "internal"
        report.refused_because = refused[0] if refused else known
    except httpx.HTTPError as error:
        raise TownFailed(f"an application stopped answering: {type(error).__name__}") from error
    else:
        report.service = {"claims": dict(visited.claims), "acr": visited.acr}


def _note_measurements(report: Report, told: dict[str, Any]) -> None:
    measured = told.get("measurements") or {}
    report.chip = measured.get("chip", {})
    report.face = {name: measured[name] for name in ("scores", "thresholds", "missed") if name in measured}


def examine(town: Town, people: Sequence[Persona]) -> dict[str, Any]:
    """What the provider holds, table by table; where a personal datum of one of `people` was found, on disk; and anything of their faces."""
    hits = [
        hit
        for one in people
        for hit in proven([town.provider_folder], personal_data(one), portraits.portrait(one.face))
    ]
    return {
        "rows": rows_of(town.provider_folder / "alicem.db"),
        "identity_found": hits,
        "searched": sorted({datum for one in people for datum in personal_data(one)}),
        "face": traces.of_faces([one.face for one in people], town.provider_folder),
    }


def personal_data(persona: Persona) -> dict[str, str]:
    """What names or tells this person, by name of the datum."""
    document, held = persona.document, persona.registry
    named = {
        "surname": document.surname,
        "given_names": document.given_names,
        "family_name": held.family_name,
        "usage_name": held.usage_name or "",
        "first_given_name": held.given_names.split(" ")[0],
        "birthdate": held.birthdate,
        "document_number": document.number,
        "email": persona.email,
        "address": held.address.split("\n")[0],
    }
    return {name: text for name, text in named.items() if len(text) >= LEAST}


def rows_of(database: Path) -> dict[str, list[dict[str, Any]]]:
    """Every table's rows, as another program sees the database now: bytes in hexadecimal where they are no text, long values cut."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute("select name from sqlite_master where type = 'table' order by name")
        names = [row["name"] for row in found if not row["name"].startswith(("sqlite_", "alembic_"))]
        return {name: _rows(connection, name) for name in names}


def _rows(connection: sqlite3.Connection, name: str) -> list[dict[str, Any]]:
    rows = connection.execute(f'select * from "{name}" limit 100')  # noqa: S608 - a name out of the schema itself
    return [{column: _shown(row[column]) for column in row.keys()} for row in rows]  # noqa: SIM118 - a row iterates values


def _shown(value: Any) -> Any:
    text = value
    if isinstance(value, bytes):
        text = (
            value.decode("ascii") if value and value.isascii() and value.decode("ascii").isprintable() else value.hex()
        )
    return f"{text[:64]}…" if isinstance(text, str) and len(text) > 64 else text

"""`alicem phone`: the Python phone by hand and by script, against any server that allows software keys."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from alicem.cli.says import err, fail, out, refuse
from alicem.demo import personas
from alicem.demo.person import Person
from alicem.jose import BadToken
from alicem.phone.approve import approve as approve_request
from alicem.phone.approve import fetch
from alicem.phone.approve import refuse as refuse_request
from alicem.phone.enrol import queue_text
from alicem.phone.instruct import Device
from alicem.phone.state import Phone, PhoneHasForgotten, Storage, new_phone
from alicem.reasons import Refused

app = typer.Typer(no_args_is_help=True, help="The phone in Python, after docs/protocols.")
State = Annotated[Path, typer.Option("--state", help="folder of phone.json and vault.bin")]
CodeFile = Annotated[Path | None, typer.Option("--code-file", help="file with the six digits (else asked)")]


@app.command("enrol")
def enrol(
    state: State,
    persona: Annotated[str, typer.Option("--persona", help="whose document and face")] = "zoe",
    origin: Annotated[str, typer.Option("--origin", help="the provider")] = "http://localhost:8000",
    stage: Annotated[
        str, typer.Option("--stage", help="the demonstration's chips and mail box")
    ] = "http://127.0.0.1:8003",
) -> None:
    """Enrol a persona at a provider of the demo profile."""
    people = personas.load()
    if persona not in people:
        fail(f"no such persona: {persona}. There are {', '.join(people)}", 2)

    async def work(device: Device) -> None:
        def show(_who: str, message: dict[str, Any]) -> None:
            if message["type"] == "queue":
                err.print(queue_text(message["position"], device.phone.language))

        told = await Person(people[persona], device, stage, "", show).enrol()
        out(told["receipt"])

    storage = Storage(state)
    _run(storage, origin, work)


@app.command("approve")
def approve(
    state: State,
    link: Annotated[str, typer.Option("--link", help="what the QR of the sign-in page says")],
    number: Annotated[str, typer.Option("--number", help="the two digits of the sign-in page")],
    code_file: CodeFile = None,
) -> None:
    """Approve a sign-in."""

    async def work(device: Device) -> None:
        await approve_request(device, await fetch(device, link), number, _code(code_file))

    _run(Storage(state), None, work)


@app.command("refuse")
def refuse_(
    state: State,
    link: Annotated[str, typer.Option("--link")],
    not_mine: Annotated[bool, typer.Option("--not-mine", help="report a request you did not start")] = False,
) -> None:
    """Refuse a sign-in."""

    async def work(device: Device) -> None:
        await refuse_request(device, await fetch(device, link), not_mine=not_mine)

    _run(Storage(state), None, work)


@app.command("suspend")
def suspend(state: State, code_file: CodeFile = None) -> None:
    """Suspend the account, effective on the next request."""

    async def work(device: Device) -> None:
        await device.instruct(_code(code_file), "suspend", b"suspend")

    _run(Storage(state), None, work)


@app.command("delete")
def delete(state: State, code_file: CodeFile = None) -> None:
    """Erase the account on both sides; prints the signed receipt."""

    async def work(device: Device) -> None:
        answer = await device.instruct(_code(code_file), "close", b"close")
        device.storage.wipe()
        out({"receipt": answer.receipt})

    _run(Storage(state), None, work)


def _run(storage: Storage, origin: str | None, work: Callable[[Device], Awaitable[None]]) -> None:
    """With the phone of this folder; a new one where `origin` says whose it will be."""
    try:
        phone = storage.load() if origin is None else _fresh(storage, origin)
    except PhoneHasForgotten:
        fail("this phone has forgotten: enrol again, or come to an office", 1)

    async def main() -> None:
        async with httpx.AsyncClient(base_url=phone.origin, timeout=20, trust_env=False) as http:
            await work(Device(storage, http, lambda: datetime.now(UTC), secrets.token_bytes, phone))

    try:
        asyncio.run(main())
    except Refused as refusal:
        refuse(refusal.reason)
    except (httpx.HTTPError, OSError, BadToken) as error:
        fail(f"{type(error).__name__}: {error}")


def _fresh(storage: Storage, origin: str) -> Phone:
    phone = new_phone(origin, "fr", secrets.token_bytes)
    storage.save(phone)
    return phone


def _code(file: Path | None) -> str:
    if file is not None:
        return file.read_text("ascii").strip()
    code: str = typer.prompt("Security code", hide_input=True)
    return code

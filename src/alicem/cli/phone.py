"""`alicem phone`: the Python phone by hand and by script, against any server that allows software keys."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer

from alicem.cli.chip_files import load_document
from alicem.cli.says import err, fail, out, refuse
from alicem.demo import personas
from alicem.demo.person import Chip, Person
from alicem.jose import BadToken
from alicem.phone import manage
from alicem.phone.approve import approve as approve_request
from alicem.phone.approve import fetch
from alicem.phone.approve import refuse as refuse_request
from alicem.phone.chip import LayDocument
from alicem.phone.enrol import queue_text
from alicem.phone.instruct import AccountClosed, Device
from alicem.phone.state import Phone, PhoneHasForgotten, Storage, UnknownVersion, new_phone
from alicem.reasons import Refused
from emrtd.errors import EmrtdError
from emrtd.exchange import Transmit
from emrtd.transports import pcsc
from emrtd.transports.software import SoftwareCard

app = typer.Typer(no_args_is_help=True)
State = Annotated[Path, typer.Option("--state", help="folder of phone.json and vault.bin")]
Stage = Annotated[str, typer.Option("--stage", help="the demonstration's chips and mail box")]
STAGE = "http://127.0.0.1:8003"
CodeFile = Annotated[Path | None, typer.Option("--code-file", help="file with the six digits (else asked)")]


@app.command("enrol")
def enrol(
    state: State,
    persona: Annotated[str, typer.Option("--persona", help="whose document and face")] = "zoe",
    origin: Annotated[str, typer.Option("--origin", help="the provider")] = "http://localhost:8000",
    stage: Stage = STAGE,
    keep_phones: Annotated[bool, typer.Option("--keep-phones", help="the identity's other phones stay")] = False,
    renewing: Annotated[
        Path | None,
        typer.Option("--renewing", help="file with today's code: a renewed document continues this phone's identity"),
    ] = None,
) -> None:
    """Enrol a persona at a provider of the demo profile; again, for another code, phone or document."""
    people = personas.load()
    if persona not in people:
        fail(f"no such persona: {persona}. There are {', '.join(people)}", 2)

    async def work(device: Device) -> None:
        def show(_who: str, message: dict[str, Any]) -> None:
            if message["type"] == "queue":
                err.print(queue_text(message["position"], device.phone.language))

        today = None if renewing is None else _code(renewing)
        told = await Person(people[persona], device, stage, "", show, keep_phones, today).enrol()
        out({"receipt": told["receipt"], "suspension_code": told["suspension_code"]})

    storage = Storage(state)
    _run(storage, origin, work)


@app.command("approve")
def approve(
    state: State,
    link: Annotated[str, typer.Option("--link", help="what the QR of the sign-in page says")],
    number: Annotated[str, typer.Option("--number", help="the two digits of the sign-in page")],
    code_file: CodeFile = None,
    chip: Annotated[
        str,
        typer.Option(
            "--chip", help="where the document lies if it is asked for: pcsc, a specimen's file, or a persona"
        ),
    ] = "",
    stage: Stage = STAGE,
) -> None:
    """Approve a sign-in; at the highest level the document is read again."""

    async def work(device: Device) -> None:
        lay_document = _document_at(chip, stage) if chip else None
        await approve_request(device, await fetch(device, link), number, _code(code_file), lay_document)

    _run(Storage(state), None, work)


def _document_at(chip: str, stage: str) -> LayDocument:
    """A document on a PC/SC reader, in a file of `alicem chip specimen`, or a persona's at the demonstration."""
    if chip in personas.load():
        return lambda: Chip(stage, chip, "").transmit
    card = pcsc.Card() if chip == "pcsc" else SoftwareCard(load_document(Path(chip)), secrets.token_bytes)

    def lay() -> Transmit:
        card.connect()
        return card

    return lay


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


@app.command("change-code")
def change_code(
    state: State,
    code_file: CodeFile = None,
    new_code_file: Annotated[Path | None, typer.Option("--new-code-file", help="file with the new six digits")] = None,
) -> None:
    """Choose another security code; finishes a change that was cut."""

    async def work(device: Device) -> None:
        if device.phone.next_salt is not None:
            await manage.finish_change(device, _code(new_code_file, "New security code (the change was not finished)"))
            return
        code = _code(code_file)
        await manage.change_code(device, code, _code(new_code_file, "New security code"))

    _run(Storage(state), None, work)


@app.command("suspension-code")
def suspension_code(state: State, code_file: CodeFile = None) -> None:
    """Draw a new suspension code, to be written down; the earlier one ends."""

    async def work(device: Device) -> None:
        drawn = await manage.new_suspension_code(device, _code(code_file))
        out({"suspension_code": " ".join(drawn[i : i + 4] for i in range(0, 20, 4))})

    _run(Storage(state), None, work)


@app.command("remove-others")
def remove_others(state: State, code_file: CodeFile = None) -> None:
    """Remove every other phone of the account."""
    _run(Storage(state), None, lambda device: manage.remove_others(device, _code(code_file)))


@app.command("copy")
def copy(state: State, code_file: CodeFile = None) -> None:
    """Print a link by which a wallet of another maker fetches a copy of the identity, where the service allows it."""

    async def work(device: Device) -> None:
        offer = json.dumps(await manage.order_copy(device, _code(code_file)))
        out({"credential_offer": f"openid-credential-offer://?credential_offer={quote(offer)}"})

    _run(Storage(state), None, work)


@app.command("history")
def history(
    state: State,
    code_file: CodeFile = None,
    erase: Annotated[bool, typer.Option("--erase", help="and erase it here, where alone it is")] = False,
) -> None:
    """Print the uses of this phone as JSON."""

    async def work(device: Device) -> None:
        out(await manage.history(device, _code(code_file), erase=erase))

    _run(Storage(state), None, work)


@app.command("record")
def record(
    state: State,
    code_file: CodeFile = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="as the server told it, values of every column whole")
    ] = False,
) -> None:
    """Print what the server holds of this account: every row, column by column (docs/data.md says what they are)."""

    async def work(device: Device) -> None:
        told = await manage.record(device, _code(code_file))
        if as_json:
            out(told)
        else:
            _print_record(told)

    _run(Storage(state), None, work)


def _print_record(told: dict[str, Any]) -> None:
    for table, rows in told["tables"].items():
        typer.echo(f"{table}: {told['rows'][table]}")
        for row in rows:
            typer.echo("  - " + "\n    ".join(f"{name}: {_shown(value)}" for name, value in row.items()))
    for table, reasons in told["withheld"].items():
        for column, reason in reasons.items():
            typer.echo(f"not told: {table}.{column}: {reason}")
    typer.echo(f"not held: {', '.join(told['not_held'])}")


def _shown(value: Any) -> str:
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@app.command("suspend")
def suspend(state: State, code_file: CodeFile = None) -> None:
    """Suspend the account, effective on the next request."""
    _run(Storage(state), None, lambda device: manage.suspend(device, _code(code_file)))


@app.command("delete")
def delete(state: State, code_file: CodeFile = None) -> None:
    """Erase the account on both sides; prints the signed receipt."""

    async def work(device: Device) -> None:
        out({"receipt": await manage.delete(device, _code(code_file))})

    _run(Storage(state), None, work)


def _run(storage: Storage, origin: str | None, work: Callable[[Device], Awaitable[None]]) -> None:
    """With the phone of this folder; where `origin` is given, a phone that may still be new."""
    try:
        phone = _known_or_new(storage, origin) if origin is not None else storage.load()
    except PhoneHasForgotten:
        fail("this phone has forgotten: enrol again, or come to an office", 1)
    except UnknownVersion as error:
        fail(str(error))

    async def main() -> None:
        async with httpx.AsyncClient(base_url=phone.origin, timeout=20, trust_env=False) as http:
            await work(Device(storage, http, lambda: datetime.now(UTC), secrets.token_bytes, phone))

    try:
        asyncio.run(main())
    except Refused as refusal:
        refuse(refusal.reason)
    except AccountClosed:
        fail("this account was closed; everything here is erased", 1)
    except (httpx.HTTPError, OSError, BadToken, EmrtdError) as error:
        fail(f"{type(error).__name__}: {error}")


def _known_or_new(storage: Storage, origin: str) -> Phone:
    """The phone that is to be enrolled again, whose identity stays until the new one is there; else a new one, kept by nobody yet."""
    try:
        phone = storage.load()
    except PhoneHasForgotten:
        return new_phone(origin, "fr", secrets.token_bytes)
    return phone if phone.origin == origin else new_phone(origin, "fr", secrets.token_bytes)


def _code(file: Path | None, asked: str = "Security code") -> str:
    if file is not None:
        return file.read_text("ascii").strip()
    code: str = typer.prompt(asked, hide_input=True)
    return code

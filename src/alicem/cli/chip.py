"""`alicem chip`: read a travel document, check a folder of its files, lend a specimen to any PC/SC program."""

from __future__ import annotations

import contextlib
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from alicem.cli import chip_specimen
from alicem.cli.chip_files import load_document, load_raw, load_trust, save_raw, write_private
from alicem.cli.chip_key import access_key
from alicem.cli.chip_reading import Reading, Source, read_chip
from alicem.cli.chip_verdict import check, exit_status, genuine, lines, refused
from alicem.cli.says import USAGE, err, fail, out
from emrtd.errors import EmrtdError, TagLost
from emrtd.transports import pcsc, vpcd
from emrtd.transports.replay import Recorder
from emrtd.transports.software import SoftwareCard

AWAY_SECONDS = 1.5  # how long a served document stays off the reader when it is lost: pcscd looks every 0.4 s
VIRTUAL_READER = f"{vpcd.HOST}:{vpcd.PORT}"

app = typer.Typer(no_args_is_help=True)
app.command("specimen")(chip_specimen.specimen)
app.command("specimens")(chip_specimen.listing)

TrustFolder = Annotated[Path, typer.Option("--trust", help="folder of the States' certificates and revocation lists")]
Json = Annotated[bool, typer.Option("--json", help="the result as JSON, to standard output")]
Slow = Annotated[
    int | None,
    typer.Option(
        "--slow", help="milliseconds each answer of the specimen takes (default: as described)", min=0, max=60_000
    ),
]
Lost = Annotated[
    int | None,
    typer.Option(
        "--lost-after", help="bytes after which the specimen leaves the reader (default: as described)", min=0
    ),
]


@app.command("readers")
def readers(json_: Json = False) -> None:
    """List the PC/SC readers of this machine."""
    with _ending(False):
        found = pcsc.readers()
    if json_:
        out(list(found))
    else:
        typer.echo("\n".join(found) or "No reader is connected.")


@app.command("read")
def read(
    trust: TrustFolder,
    reader: Annotated[str, typer.Option("--reader", help="PC/SC reader, by its name or a part of it")] = "",
    vpcd_: Annotated[str, typer.Option("--vpcd", help="HOST:PORT to wait at for a card process of vsmartcard")] = "",
    software: Annotated[
        Path | None, typer.Option("--software", help="file of a specimen, for no reader at all")
    ] = None,
    can_file: Annotated[Path | None, typer.Option("--can-file", help="file of the card's six digits")] = None,
    mrz_file: Annotated[
        Path | None, typer.Option("--mrz-file", help="file of the zone, or of number, birth date and expiry date")
    ] = None,
    save: Annotated[Path | None, typer.Option("--save", help="new folder for all that was read: personal data")] = None,
    record: Annotated[
        Path | None, typer.Option("--record", help="new file for the shapes of what passed, without contents")
    ] = None,
    short: Annotated[bool, typer.Option("--short", help="never use extended length")] = False,
    wait: Annotated[float, typer.Option("--wait", help="seconds to wait for the document", min=0)] = 30,
    slow: Slow = None,
    lost_after: Lost = None,
    json_: Json = False,
) -> None:
    """Read a document and say what is proven of it. What opens it comes from a file or a prompt, never from here."""
    if sum(map(bool, (reader, vpcd_, software))) > 1:
        fail("one of --reader, --vpcd and --software says where the document is", USAGE)
    for target in (save, record):
        if target is not None and target.exists():
            fail(f"{target} is there already", USAGE)
    trusted, key = load_trust(trust), access_key(can_file, mrz_file)
    begun = time.monotonic()
    with _ending(json_), contextlib.closing(_source(reader, vpcd_, software, wait, slow, lost_after)) as source:
        recorder = Recorder(source, time.monotonic)
        try:
            reading = read_chip(source, key, transmit=recorder, extended=not short)
        finally:
            if record is not None:
                write_private(record, recorder.to_bytes())
        if save is not None:
            save_raw(save, reading.raw)
        took = _took(reading, recorder, time.monotonic() - begun)
        checked = check(reading.raw, trusted, datetime.now(UTC), live=True)
        _say(genuine(checked) | {"reading": took}, lines(checked, live=True), json_)
        err.print("Read {commands} commands and {bytes} bytes in {seconds} s, lost {lost} times.".format(**took))


@app.command("verify")
def verify(
    files: Annotated[Path, typer.Argument(metavar="DIR", help="folder of elementary files, by name or identifier")],
    trust: TrustFolder,
    at: Annotated[
        datetime | None, typer.Option("--at", formats=["%Y-%m-%d"], help="the day to check for (default: now)")
    ] = None,
    json_: Json = False,
) -> None:
    """Check the files of a document against what its State signed."""
    trusted = load_trust(trust)
    moment = datetime.now(UTC) if at is None else at.replace(hour=12, tzinfo=UTC)
    with _ending(json_):
        checked = check(load_raw(files), trusted, moment, live=False)
        _say(genuine(checked), lines(checked, live=False), json_)


@app.command("serve")
def serve(
    document: Annotated[Path, typer.Option("--document", help="file of a specimen")],
    vpcd_: Annotated[str, typer.Option("--vpcd", help="HOST:PORT of the virtual reader")] = VIRTUAL_READER,
    slow: Slow = None,
    lost_after: Lost = None,
) -> None:
    """Lay a specimen on the virtual reader of a running pcscd, for any PC/SC program, until interrupted."""
    chip = SoftwareCard(load_document(document), secrets.token_bytes, milliseconds=slow, lost_after=lost_after)
    host, port = _address(vpcd_)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _ending(False), contextlib.suppress(KeyboardInterrupt):
        while _lay(chip, host, port):
            err.print("The document left the reader.")
            time.sleep(AWAY_SECONDS)
        err.print("The virtual reader went away.")


def _lay(chip: SoftwareCard, host: str, port: int) -> bool:
    """Serve until the document is lost (True) or the reader gone (False)."""
    with vpcd.connect(host, port) as line:
        chip.connect()
        err.print(f"The document lies on the virtual reader at {host}:{port}. Ctrl-C takes it away.", soft_wrap=True)
        try:
            vpcd.serve(chip, line)
        except TagLost:
            return True
        return False


def _source(
    reader: str, vpcd_: str, software: Path | None, wait: float, slow: int | None, lost_after: int | None
) -> Source:
    if software is not None:
        return SoftwareCard(load_document(software), secrets.token_bytes, milliseconds=slow, lost_after=lost_after)
    if not vpcd_:
        return pcsc.Card(reader, wait_seconds=wait)
    waiting = vpcd.VirtualReader(*_address(vpcd_), wait_seconds=wait)
    err.print(f"Waiting for a card process at {waiting.address[0]}:{waiting.address[1]}.")
    return waiting


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 0xFFFF:
        fail("an address is written HOST:PORT", USAGE)
    return host, int(port)


def _took(reading: Reading, recorder: Recorder, seconds: float) -> dict[str, Any]:
    return {
        "round_trips": reading.traffic.round_trips,
        "commands": len(recorder.shapes),
        "bytes": sum(shape.sent + shape.received for shape in recorder.shapes),
        "seconds": round(seconds, 2),
        "lost": reading.losses,
    }


def _say(tree: dict[str, Any], words: list[str], as_json: bool) -> None:
    if as_json:
        out(tree)
    else:
        typer.echo("\n".join(words))


@contextlib.contextmanager
def _ending(as_json: bool) -> Iterator[None]:
    """What went wrong becomes a sentence and an exit status."""
    try:
        yield
    except EmrtdError as error:
        if as_json:
            out(refused(error))
        name = type(error).__name__
        fail(f"{name}: {error}{f' ({error.clause})' if error.clause else ''}", exit_status(error))
    except KeyboardInterrupt:
        fail("Interrupted: no verdict.")
    except OSError as error:
        fail(f"{error.filename or ''}: {error.strerror or error}")

"""Reading a chip to the end: progress while it goes on, patience when the document slips."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self, TypeVar

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from alicem.cli.says import err
from emrtd.contact import first_contact
from emrtd.errors import TagLost
from emrtd.exchange import Answers, Batch, Traffic, Transmit, run_async, run_batch
from emrtd.exchange import Protocol as ChipProtocol
from emrtd.keys import Access
from emrtd.passive import RawDocument
from emrtd.reading import read_document

LOSSES_MAX, FRUITLESS_MAX = 50, 4
NOTES = {"contact": "Finding the chip", "access": "Opening the chip", "reading": "Reading", "proof": "Is it a copy?"}

T = TypeVar("T")


class Source(Protocol):
    """Where a document lies: on a reader, behind a virtual reader, in memory."""

    @property
    def extended(self) -> bool: ...

    def connect(self) -> bytes: ...

    def __call__(self, apdu: bytes, /) -> bytes: ...

    def close(self) -> None: ...


@dataclass
class Reading:
    """What was read, and what it took."""

    raw: RawDocument = field(repr=False)
    traffic: Traffic
    losses: int


class Bar:
    """Progress on standard error; a batch tells its part of the whole, the commands done where in it we are."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        self._progress = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._task = self._progress.add_task(NOTES["contact"], total=1.0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def counted(self, batch: Batch, transmit: Transmit) -> Transmit:
        """`transmit`, each of whose answers moves the bar."""
        start, end = batch.progress
        step = (end - start) / len(batch.commands)
        self._progress.update(self._task, description=NOTES.get(batch.note, batch.note), completed=start)

        def send(apdu: bytes) -> bytes:
            answer = transmit(apdu)
            self._progress.advance(self._task, step)
            return answer

        return send

    def slipped(self) -> None:
        self._progress.console.print("The document left the reader. Lay it back: the reading goes on where it was.")


def read_chip(
    source: Source,
    access: Access,
    *,
    transmit: Transmit | None = None,
    extended: bool = True,
    rng: Callable[[int], bytes] = secrets.token_bytes,
) -> Reading:
    """Read what lies on `source`, however often it slips; commands go through `transmit` where one stands before it.

    Raises the errors of `read_document`, DeviceFailure.
    """
    traffic, lost, fruitless, through = Traffic(), TagLost(), 0, transmit or source
    with Bar() as bar:
        for losses in range(LOSSES_MAX):
            source.connect()
            try:
                contact = _run(first_contact(), through, traffic, bar)
                able = extended and source.extended
                reading = read_document(access, contact=contact, rng=rng, extended=able, resume=lost.read)
                return Reading(_run(reading, through, traffic, bar), traffic, losses)
            except TagLost as again:
                fruitless = 0 if _length(again) > _length(lost) else fruitless + 1
                if fruitless == FRUITLESS_MAX:
                    raise
                lost = again if again.read else lost
                bar.slipped()
    raise lost


def _length(lost: TagLost) -> int:
    return sum(len(piece) for pieces in lost.read.values() for piece in pieces.values())


def _run(protocol: ChipProtocol[T], transmit: Transmit, traffic: Traffic, bar: Bar) -> T:
    async def exchange(batch: Batch) -> Answers:
        return run_batch(batch, bar.counted(batch, transmit))

    return asyncio.run(run_async(protocol, exchange, traffic))

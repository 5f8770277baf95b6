"""A chip far away: batches over any link that carries messages.

Beside the chip, `lend` runs the first contact by itself and then every batch that comes; at the other end a
`FarChip` is what `exchange.run_async` drives. Keys stay with the terminal: what passes the link is what passes
the air, protected by the chip's own channel. Who may speak over the link is the link's affair (TLS, a pairing).

Messages are JSON, with the members that docs/protocols/enrolment.md gives `chip_batch` and `chip_answers`, so
that one reading device serves both. A link is two coroutines: a websocket has them, `framed` makes them of a
byte stream, two queues do for a test.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from emrtd.apdu import RESPONSE_MAX
from emrtd.contact import FIRST_CONTACT
from emrtd.errors import LinkEnded, MalformedMessage, Misuse, TagLost
from emrtd.exchange import BATCH_COMMANDS_MAX, Answers, Batch, Command, Transmit, run_batch

MESSAGE_MAX = 1 << 21
NOTE_MAX = 64

T = TypeVar("T")


@dataclass(frozen=True)
class Link:
    """Whole messages both ways. Either raises LinkEnded once the other end is gone."""

    send: Callable[[bytes], Awaitable[None]]
    receive: Callable[[], Awaitable[bytes]]


# --- messages ---------------------------------------------------------------------------------------


def pack_batch(batch: Batch) -> bytes:
    commands = [
        {"apdu": _text(command.apdu), "allowed": [f"{status:04X}" for status in command.allowed]}
        for command in batch.commands
    ]
    return json.dumps({"commands": commands, "progress": list(batch.progress), "note": batch.note}).encode()


def unpack_batch(message: bytes) -> Batch:
    """What the terminal asks. Raises MalformedMessage."""
    tree = _tree(message)
    try:
        start, end = tree["progress"]
        commands = tuple(_command(one) for one in _listed(tree["commands"], BATCH_COMMANDS_MAX))
        return Batch(commands, str(tree["note"])[:NOTE_MAX], (_fraction(start), _fraction(end)))
    except (KeyError, TypeError, ValueError, Misuse) as error:
        raise MalformedMessage(f"not a batch: {type(error).__name__}") from error


def pack_answers(answers: Answers, *, lost: bool = False) -> bytes:
    """What the chip said; `lost` when it left the field before the batch was over."""
    return json.dumps({"answers": [_text(answer) for answer in answers], "lost": lost}).encode()


def unpack_answers(message: bytes) -> Answers:
    """What the chip said. Raises TagLost with the answers that came before it left, MalformedMessage."""
    tree = _tree(message)
    try:
        answers = tuple(_bytes(one) for one in _listed(tree["answers"], BATCH_COMMANDS_MAX))
        lost = tree.get("lost", False)
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedMessage(f"not answers: {type(error).__name__}") from error
    if not all(2 <= len(answer) <= RESPONSE_MAX for answer in answers):
        raise MalformedMessage("an answer has 2 to 65538 bytes")
    if lost:
        raise TagLost(answers)
    return answers


def _tree(message: bytes) -> dict[str, Any]:
    if len(message) > MESSAGE_MAX:
        raise MalformedMessage(f"a message of {len(message)} bytes")
    try:
        tree = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage("not JSON") from error
    if not isinstance(tree, dict):
        raise MalformedMessage("not a JSON object")
    return tree


def _command(one: dict[str, Any]) -> Command:
    return Command(_bytes(one["apdu"]), tuple(_status(status) for status in _listed(one["allowed"], 1 << 10)))


def _listed(value: object, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise TypeError("a list is expected, and not a long one")
    return value


def _status(text: str) -> int:
    status = bytes.fromhex(text)
    if len(status) != 2:
        raise ValueError("a status word has two bytes")
    return int.from_bytes(status, "big")


def _fraction(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("a fraction lies between 0 and 1")
    return float(value)


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
    except (AttributeError, binascii.Error) as error:
        raise ValueError("bytes are base64url") from error


# --- both ends --------------------------------------------------------------------------------------


class FarChip:
    """The chip beside the other end of `link`, as the terminal sees it.

    After a silence of `answer_seconds` the link is given up, for what comes late would answer another question.
    """

    def __init__(self, link: Link, answer_seconds: float = 30.0) -> None:
        self._link, self._answer_seconds = link, answer_seconds
        self.ended = False

    async def found(self) -> Answers:
        """The answers to `FIRST_CONTACT`, once a chip is there. Raises TagLost, MalformedMessage."""
        return await self._answers(None)

    async def exchange(self, batch: Batch) -> Answers:
        """For `exchange.run_async`. Raises TagLost for a chip or a link that is gone, MalformedMessage."""
        if not self.ended:
            await self._until_ended(self._link.send(pack_batch(batch)))
        return await self._answers(self._answer_seconds)

    async def _answers(self, seconds: float | None) -> Answers:
        if self.ended:
            raise TagLost
        return unpack_answers(await self._until_ended(asyncio.wait_for(self._link.receive(), seconds)))

    async def _until_ended(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except (LinkEnded, TimeoutError) as error:
            self.ended = True
            raise TagLost from error


async def lend(link: Link, lay: Callable[[], Transmit]) -> None:
    """Lend a chip to the other end of `link` until it ends. Raises MalformedMessage for what is no batch.

    `lay` waits for a document and gives its `Transmit`; it is called again after each loss. It and what it gives
    may block: they run in a thread.
    """
    try:
        while True:
            transmit = await asyncio.to_thread(lay)
            if not await _run(link, FIRST_CONTACT, transmit):
                continue
            while await _run(link, unpack_batch(await link.receive()), transmit):
                pass
    except LinkEnded:
        return


async def _run(link: Link, batch: Batch, transmit: Transmit) -> bool:
    """Send what the chip answers to `batch`; False when it left the field."""
    try:
        answers = await asyncio.to_thread(run_batch, batch, transmit)
    except TagLost as lost:
        await link.send(pack_answers(lost.answers, lost=True))
        return False
    await link.send(pack_answers(answers))
    return True


def framed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Link:
    """A link of a byte stream: each message behind its length in four bytes, big-endian."""

    async def send(message: bytes) -> None:
        writer.write(len(message).to_bytes(4, "big") + message)
        try:
            await writer.drain()
        except OSError as error:
            raise LinkEnded from error

    async def receive() -> bytes:
        try:
            size = int.from_bytes(await reader.readexactly(4), "big")
            if size > MESSAGE_MAX:
                raise MalformedMessage(f"a message of {size} bytes")
            return await reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise LinkEnded from error

    return Link(send, receive)

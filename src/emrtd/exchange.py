"""Protocols compute, somebody else sends.

A chip protocol is a generator: it yields a `Batch` of commands and is sent back the `Answers`. Nothing in
it knows whether the chip is on the desk, behind a phone or in memory. A driver carries batches: `run`
with a `Transmit`, `run_async` with anything that takes a batch and gives its answers.

`run_batch` is all that a phone has to do, and what its own code must do in the same way: send each
command, ask for the rest of a long answer (61xx), stop after the first status word not allowed.

Progress needs no second channel: a batch carries a `note` (what it does) and the fractions of the whole
at its start and end; the one who runs it shows start + (end - start) * commands done / commands.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

from emrtd.apdu import COMMAND_MAX, OK, RESPONSE_MAX
from emrtd.errors import MalformedApdu, Misuse, TagLost

BATCH_COMMANDS_MAX = 512
BATCH_BYTES_MAX = 1 << 20
MORE_DATA = 0x61
GET_RESPONSES_MAX = 260

T = TypeVar("T")
Answers = tuple[bytes, ...]
Transmit = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Command:
    """One command APDU and the status words after which the batch goes on."""

    apdu: bytes
    allowed: tuple[int, ...] = (OK,)


@dataclass(frozen=True)
class Batch:
    """Commands to run one after the other, without asking back. Raises Misuse beyond its bounds."""

    commands: tuple[Command, ...]
    note: str = ""
    progress: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        sizes = [len(command.apdu) for command in self.commands]
        if not 1 <= len(sizes) <= BATCH_COMMANDS_MAX or sum(sizes) > BATCH_BYTES_MAX:
            raise Misuse(f"a batch of {len(sizes)} commands, {sum(sizes)} bytes")
        if not all(4 <= size <= COMMAND_MAX for size in sizes):
            raise Misuse("a command APDU has 4 to 65544 bytes")


Protocol = Generator[Batch, Answers, T]


@dataclass
class Traffic:
    """Counts what passed: one round trip a batch."""

    round_trips: int = 0
    commands: int = 0
    bytes: int = 0

    def count(self, batch: Batch, answers: Answers) -> None:
        self.round_trips += 1
        self.commands += len(answers)
        self.bytes += sum(len(command.apdu) for command in batch.commands) + sum(map(len, answers))


def run_batch(batch: Batch, transmit: Transmit) -> Answers:
    """Run a batch as a phone does. Raises TagLost with the answers that arrived before."""
    answers: list[bytes] = []
    for command in batch.commands:
        try:
            answer = _transmit_whole(command.apdu, transmit)
        except TagLost:
            raise TagLost(tuple(answers)) from None
        answers.append(answer)
        if int.from_bytes(answer[-2:], "big") not in command.allowed:
            break
    return tuple(answers)


def _transmit_whole(apdu: bytes, transmit: Transmit) -> bytes:
    """One command and its whole answer: 61xx says that xx more bytes wait (ISO/IEC 7816-4 5.3.4)."""
    answer = transmit(apdu)
    data = b""
    for _ in range(GET_RESPONSES_MAX):  # a chip that promises more for ever must not hold us
        if len(answer) < 2 or answer[-2] != MORE_DATA:
            break
        data += answer[:-2]
        answer = transmit(bytes((apdu[0] & 0x03, 0xC0, 0, 0, answer[-1])))
    answer = data + answer
    if not 2 <= len(answer) <= RESPONSE_MAX:
        raise MalformedApdu(f"an answer of {len(answer)} bytes")
    return answer


def check_answers(batch: Batch, answers: Answers) -> Answers:
    """Bounds on what a far phone sent back for `batch`. Raises MalformedApdu."""
    if not 1 <= len(answers) <= len(batch.commands):
        raise MalformedApdu(f"{len(answers)} answers to {len(batch.commands)} commands")
    if not all(2 <= len(answer) <= RESPONSE_MAX for answer in answers):
        raise MalformedApdu("an answer has 2 to 65538 bytes")
    return answers


def run(protocol: Protocol[T], transmit: Transmit, traffic: Traffic | None = None) -> T:
    """Drive `protocol` to its end over `transmit`. A lost tag is thrown into the protocol, which decides."""
    try:
        batch = next(protocol)
        while True:
            try:
                answers = run_batch(batch, transmit)
            except TagLost as lost:
                batch = protocol.throw(lost)
                continue
            if traffic:
                traffic.count(batch, answers)
            batch = protocol.send(check_answers(batch, answers))
    except StopIteration as end:
        result: T = end.value
        return result


async def run_async(
    protocol: Protocol[T],
    exchange: Callable[[Batch], Awaitable[Answers]],
    traffic: Traffic | None = None,
) -> T:
    """Drive `protocol` to its end; `exchange` carries a batch to the chip and may raise TagLost."""
    try:
        batch = next(protocol)
        while True:
            try:
                answers = await exchange(batch)
            except TagLost as lost:
                batch = protocol.throw(lost)
                continue
            if traffic:
                traffic.count(batch, answers)
            batch = protocol.send(check_answers(batch, answers))
    except StopIteration as end:
        result: T = end.value
        return result

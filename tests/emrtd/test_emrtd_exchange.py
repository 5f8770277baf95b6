"""Batches and their drivers."""

from __future__ import annotations

import asyncio

import pytest

from emrtd.errors import MalformedApdu, Misuse, TagLost
from emrtd.exchange import Answers, Batch, Command, Protocol, Traffic, run, run_async, run_batch

READ = bytes.fromhex("00B0000004")


def chip_of(*answers: str):  # type: ignore[no-untyped-def]
    """A chip that gives these answers one after the other, and the commands it got."""
    waiting, got = [bytes.fromhex(answer) for answer in answers], []

    def transmit(apdu: bytes) -> bytes:
        got.append(apdu)
        if not waiting:
            raise TagLost()
        return waiting.pop(0)

    return transmit, got


def test_a_batch_stops_after_the_first_status_not_allowed() -> None:
    transmit, got = chip_of("019000", "6282", "6B00", "029000")
    commands = (Command(READ), Command(READ, (0x9000, 0x6282)), Command(READ), Command(READ))
    assert run_batch(Batch(commands), transmit) == (b"\x01\x90\0", b"\x62\x82", b"\x6b\0")
    assert len(got) == 3


def test_get_response_collects_a_long_answer() -> None:
    transmit, got = chip_of("01026102", "03046101", "059000")
    assert run_batch(Batch((Command(READ),)), transmit) == (bytes.fromhex("01020304059000"),)
    assert got[1:] == [bytes.fromhex("00C0000002"), bytes.fromhex("00C0000001")]


def test_a_chip_that_promises_more_for_ever_is_left() -> None:
    answers = run_batch(Batch((Command(READ),)), lambda _: b"\x61\xff")
    assert answers == (b"\x61\xff",)


def test_a_lost_tag_keeps_the_answers_before_it() -> None:
    transmit, _ = chip_of("019000", "029000")
    with pytest.raises(TagLost) as lost:
        run_batch(Batch((Command(READ),) * 3), transmit)
    assert lost.value.answers == (b"\x01\x90\0", b"\x02\x90\0")


@pytest.mark.parametrize("answer", [b"", b"\x90", bytes(70_000)])
def test_an_answer_without_status_is_refused(answer: bytes) -> None:
    with pytest.raises(MalformedApdu):
        run_batch(Batch((Command(READ),)), lambda _: answer)


@pytest.mark.parametrize("commands", [(), (Command(READ),) * 513, (Command(b"\0"),), (Command(bytes(70_000)),)])
def test_bounds_of_a_batch(commands: tuple[Command, ...]) -> None:
    with pytest.raises(Misuse):
        Batch(commands)


def two_batches() -> Protocol[list[Answers]]:
    first = yield Batch((Command(READ),), "one", (0.0, 0.5))
    try:
        second = yield Batch((Command(READ),) * 2, "two", (0.5, 1.0))
    except TagLost as lost:
        second = lost.answers
    return [first, second]


def test_drivers_agree_and_count() -> None:
    traffic, far = Traffic(), Traffic()
    transmit, _ = chip_of("019000", "029000", "039000")
    here = run(two_batches(), transmit, traffic)
    transmit, _ = chip_of("019000", "029000", "039000")

    async def exchange(batch: Batch) -> Answers:
        return run_batch(batch, transmit)

    there = asyncio.run(run_async(two_batches(), exchange, far))
    assert here == there == [(b"\x01\x90\0",), (b"\x02\x90\0", b"\x03\x90\0")]
    assert traffic == far == Traffic(round_trips=2, commands=3, bytes=3 * 5 + 3 * 3)


def test_a_lost_tag_reaches_the_protocol_in_both_drivers() -> None:
    transmit, _ = chip_of("019000", "029000")
    assert run(two_batches(), transmit)[1] == (b"\x02\x90\0",)
    transmit, _ = chip_of("019000", "029000")

    async def exchange(batch: Batch) -> Answers:
        return run_batch(batch, transmit)

    assert asyncio.run(run_async(two_batches(), exchange))[1] == (b"\x02\x90\0",)


@pytest.mark.parametrize("answers", [(), (b"\x90\0",) * 2, (b"\x90",)])
def test_a_far_phone_cannot_send_what_was_not_asked(answers: Answers) -> None:
    async def exchange(_: Batch) -> Answers:
        return answers

    with pytest.raises(MalformedApdu):
        asyncio.run(run_async(two_batches(), exchange))

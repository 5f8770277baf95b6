"""A chip lent over a link, over TCP and over queues: the same result, the same round trips, every loss told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrtd.contact import FIRST_CONTACT
from emrtd.errors import EmrtdError, LinkEnded, MalformedMessage, TagLost
from emrtd.exchange import Batch, Command, Traffic, Transmit, run_async
from emrtd.passive import RawDocument
from emrtd.reading import read_document
from emrtd.rng import seeded
from emrtd.softchip import ChipDocument, SoftChip
from emrtd.softchip.faults import lost_after
from emrtd.transports import relay
from emrtd.transports.relay import FarChip, Link

T = TypeVar("T")


async def over_tcp(lay: Callable[[], Transmit], work: Callable[[FarChip], Awaitable[T]]) -> T:
    """`work` at the terminal's end of a TCP connection, the chip lent at the other."""
    lending: list[asyncio.Task[None]] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lending.append(asyncio.create_task(relay.lend(relay.framed(reader, writer), lay)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    try:
        return await work(FarChip(relay.framed(reader, writer), answer_seconds=5))
    finally:
        writer.close()
        await asyncio.wait_for(asyncio.gather(*lending), 5)  # the chip's end notices and ends too
        server.close()


def test_the_whole_reading_in_the_round_trips_of_its_batches(document: ChipDocument) -> None:
    traffic = Traffic()

    async def work(chip: FarChip) -> RawDocument:
        found = await chip.found()
        reading = read_document(document.access, contact=found, rng=seeded(b"t"))
        return await run_async(reading, chip.exchange, traffic)

    raw = asyncio.run(over_tcp(lambda: SoftChip(document, seeded(b"s")), work))
    assert raw.groups[2] == document.files[0x0102]
    assert raw.response
    assert traffic.round_trips == 3


def test_a_lost_tag_is_laid_again_and_the_reading_goes_on(document: ChipDocument) -> None:
    async def work(chip: FarChip) -> tuple[RawDocument, int]:
        lost = TagLost()
        for losses in range(30):
            found = await chip.found()
            reading = read_document(document.access, contact=found, rng=seeded(b"t"), resume=lost.read)
            try:
                return await run_async(reading, chip.exchange), losses
            except TagLost as again:
                lost = again
        raise lost

    raw, losses = asyncio.run(over_tcp(lambda: lost_after(SoftChip(document, seeded(b"s")), 4000), work))
    assert raw.groups[2] == document.files[0x0102]
    assert losses >= 3


def test_a_link_that_ends_is_a_lost_tag(document: ChipDocument) -> None:
    async def work() -> FarChip:
        async def ended(*_: bytes) -> bytes:
            raise LinkEnded

        chip = FarChip(Link(ended, ended))  # type: ignore[arg-type]
        for attempt in (chip.found, lambda: chip.exchange(FIRST_CONTACT)):
            with pytest.raises(TagLost):
                await attempt()
        return chip

    assert asyncio.run(work()).ended


def test_an_answer_too_late_is_never_taken_for_another(document: ChipDocument) -> None:
    async def work() -> None:
        messages: asyncio.Queue[bytes] = asyncio.Queue()

        async def send(_: bytes) -> None: ...

        chip = FarChip(Link(send, messages.get), answer_seconds=0.02)
        with pytest.raises(TagLost):
            await chip.exchange(FIRST_CONTACT)
        messages.put_nowait(relay.pack_answers((b"\x90\x00",)))
        with pytest.raises(TagLost):
            await chip.exchange(FIRST_CONTACT)

    asyncio.run(work())


def test_nonsense_ends_the_lending_with_its_name(document: ChipDocument) -> None:
    async def work() -> None:
        asked: asyncio.Queue[bytes] = asyncio.Queue()

        async def send(_: bytes) -> None: ...

        asked.put_nowait(b'{"commands": []}')
        with pytest.raises(MalformedMessage):
            await relay.lend(Link(send, asked.get), lambda: SoftChip(document, seeded(b"s")))

    asyncio.run(work())


def test_a_frame_beyond_all_bounds_is_not_read() -> None:
    async def work() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data((relay.MESSAGE_MAX + 1).to_bytes(4, "big"))
        with pytest.raises(MalformedMessage):
            await relay.framed(reader, None).receive()  # type: ignore[arg-type]
        reader = asyncio.StreamReader()
        reader.feed_data(b"\x00\x00\x00\x09half")
        reader.feed_eof()
        with pytest.raises(LinkEnded):
            await relay.framed(reader, None).receive()  # type: ignore[arg-type]

    asyncio.run(work())


commands = st.builds(
    Command, st.binary(min_size=4, max_size=80), st.lists(st.integers(0, 0xFFFF), max_size=4).map(tuple)
)
batches = st.builds(
    Batch,
    st.lists(commands, min_size=1, max_size=6).map(tuple),
    st.text(max_size=20),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
answers = st.lists(st.binary(min_size=2, max_size=60), max_size=8).map(tuple)


@given(batches)
def test_a_batch_comes_out_as_it_went_in(batch: Batch) -> None:
    assert relay.unpack_batch(relay.pack_batch(batch)) == batch


@given(answers)
def test_answers_come_out_as_they_went_in(given: tuple[bytes, ...]) -> None:
    assert relay.unpack_answers(relay.pack_answers(given)) == given
    with pytest.raises(TagLost) as lost:
        relay.unpack_answers(relay.pack_answers(given, lost=True))
    assert lost.value.answers == given


trees = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("commands", "progress", "note", "answers", "lost", "apdu", "allowed")), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(trees.map(lambda tree: json.dumps(tree).encode()) | st.binary(max_size=40))
def test_nonsense_has_a_name(message: bytes) -> None:
    for unpack in (relay.unpack_batch, relay.unpack_answers):
        try:
            unpack(message)
        except EmrtdError as error:
            assert isinstance(error, MalformedMessage | TagLost)

"""The virtual reader's both ends, against one another, over real sockets. A real pcscd: test_emrtd_transports_pcscd."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from emrtd.contact import first_contact
from emrtd.errors import DeviceFailure, TagLost
from emrtd.exchange import run
from emrtd.reading import read_document
from emrtd.rng import seeded
from emrtd.softchip import ChipDocument, SoftChip
from emrtd.softchip.faults import lost_after
from emrtd.transports import vpcd


class Losing:
    """A chip that leaves the field after so many bytes, each time it is laid."""

    def __init__(self, chip: SoftChip, count: int) -> None:
        self._chip, self._send = chip, lost_after(chip, count)

    def __call__(self, apdu: bytes) -> bytes:
        return self._send(apdu)

    def reset(self) -> None:
        self._chip.reset()


@contextmanager
def laid(reader: vpcd.VirtualReader, chip: vpcd.Chip) -> Iterator[list[int]]:
    """A card process in a thread; the list holds how many commands it answered, once it has ended."""
    line, answered = vpcd.connect(*reader.address), []

    def work() -> None:
        with line:
            try:
                answered.append(vpcd.serve(chip, line))
            except TagLost:
                answered.append(-1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield answered
    finally:
        reader.close()
        thread.join(5)
        assert not thread.is_alive()


@pytest.fixture
def reader() -> Iterator[vpcd.VirtualReader]:
    with vpcd.VirtualReader(port=0, wait_seconds=5, answer_seconds=5) as reader:
        yield reader


def read(document: ChipDocument, reader: Callable[[bytes], bytes]) -> dict[int, bytes]:
    found = run(first_contact(), reader)
    raw = run(read_document(document.access, contact=found, rng=seeded(b"t")), reader)
    return dict(raw.groups)


def test_a_card_process_is_read_again_and_again(document: ChipDocument, reader: vpcd.VirtualReader) -> None:
    with laid(reader, SoftChip(document, seeded(b"s"))) as answered:
        assert reader.connect() == vpcd.ATR
        first = read(document, reader)
        for _ in range(3):
            reader.reset()  # the channel is gone: a protected read is refused, a new reading goes through
            assert reader(bytes.fromhex("0CB0000000"))[-2:] == b"\x69\x82"
            assert read(document, reader) == first
    assert set(first) == {1, 2, 11, 14, 15}
    assert answered[0] > 100


def test_a_command_takes_no_forty_milliseconds(document: ChipDocument, reader: vpcd.VirtualReader) -> None:
    with laid(reader, SoftChip(document, seeded(b"s"))):
        reader.connect()
        begun = time.monotonic()
        for _ in range(100):
            reader(bytes.fromhex("00A4000C023F00"))
        assert time.monotonic() - begun < 2  # delayed acknowledgements would make it four


def test_a_lost_tag_is_a_card_taken_off(document: ChipDocument, reader: vpcd.VirtualReader) -> None:
    with laid(reader, Losing(SoftChip(document, seeded(b"s")), 3000)) as answered:
        reader.connect()
        with pytest.raises(TagLost) as lost:
            read(document, reader)
        assert sum(len(piece) for pieces in lost.value.read.values() for piece in pieces.values()) > 500
        with pytest.raises(TagLost):  # nothing lies there any more
            reader(bytes.fromhex("00A4000C023F00"))
    assert answered == [-1]


def test_laid_again_the_reading_goes_on(document: ChipDocument) -> None:
    so_far: dict[int, dict[int, bytes]] = {}
    losses = 0
    with vpcd.VirtualReader(port=0, wait_seconds=5, answer_seconds=5) as reader:
        for _ in range(20):
            chip = Losing(SoftChip(document, seeded(b"s")), 4000)
            line = vpcd.connect(*reader.address)
            thread = threading.Thread(target=_serve_until_lost, args=(chip, line))
            thread.start()
            reader.connect()
            try:
                reading = read_document(document.access, contact=(), rng=seeded(b"t"), resume=so_far)
                raw = run(reading, reader)
                break
            except TagLost as lost:
                so_far = {key: dict(value) for key, value in lost.read.items()}
                losses += 1
    thread.join(5)
    assert losses >= 3
    assert raw.groups[2] == document.files[0x0102]


def _serve_until_lost(chip: vpcd.Chip, line: socket.socket) -> None:
    with line:
        try:
            vpcd.serve(chip, line)
        except TagLost:
            return


def test_the_reader_goes_away_in_the_middle_of_a_frame(document: ChipDocument) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"\x00\x05\x00\xa4")
    theirs.close()
    with ours:
        assert vpcd.serve(SoftChip(document, seeded(b"s")), _as_tcp(ours)) == 0


def test_controls_that_nobody_knows_want_no_answer(document: ChipDocument) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        line = vpcd.connect(*server.getsockname())
        thread = threading.Thread(target=vpcd.serve, args=(SoftChip(document, seeded(b"s")), line))
        thread.start()
        reader, _ = server.accept()
        with reader:
            for control in (b"\x00\x01\x07", b"\x00\x00", b"\x00\x01\x01", b"\x00\x01\x02"):
                reader.sendall(control)
            reader.sendall(b"\x00\x01\x04")
            assert reader.recv(100) == b"\x00\x05" + vpcd.ATR
        thread.join(5)
        line.close()
        assert not thread.is_alive()


def test_an_answer_beyond_a_frame_is_a_length_that_is_not_taken() -> None:
    class Long:
        def __call__(self, apdu: bytes) -> bytes:
            return bytes(65_536) + b"\x90\x00"

        def reset(self) -> None:
            pass

    with vpcd.VirtualReader(port=0, wait_seconds=5) as reader, laid(reader, Long()):
        reader.connect()
        assert reader(bytes.fromhex("00B0000000")) == b"\x67\x00"
        with pytest.raises(DeviceFailure):
            reader(bytes(65_540))


def test_nobody_there() -> None:
    with vpcd.VirtualReader(port=0, wait_seconds=0.05) as reader:
        with pytest.raises(DeviceFailure, match="no card process"):
            reader.connect()
        with pytest.raises(DeviceFailure, match="cannot wait"):
            vpcd.VirtualReader(*reader.address)
        address = reader.address
    with pytest.raises(DeviceFailure, match="no virtual reader waits"):
        vpcd.connect(*address)


def test_a_silent_card_is_a_lost_one() -> None:
    with (
        vpcd.VirtualReader(port=0, wait_seconds=5, answer_seconds=0.1) as reader,
        socket.create_connection(reader.address),
        pytest.raises(TagLost),
    ):
        reader.connect()


def _as_tcp(line: socket.socket) -> socket.socket:
    """`serve` asks a TCP line for prompt acknowledgements; this one has none to give."""

    class Line(socket.socket):
        def setsockopt(self, *_: object) -> None:  # type: ignore[override]
            pass

    return Line(fileno=line.detach())

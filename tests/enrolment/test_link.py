"""The session process's link over real pipes: lines of any cut, frames at the wrong moment, an end without a word."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from alicem.enrolment.link import Interrupted, Link, TooLate
from alicem.enrolment.process import wait_for_face
from alicem.enrolment.seal import Seal
from alicem.face import Camera
from alicem.jose import BadToken

OURS, THEIRS = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


class Pipe:
    """A link and the writing end that feeds it."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.out_reader, out = os.pipe()
        self.link = Link(self.reader, out)
        self.link.seal = Seal(OURS, THEIRS.public_key(), "session")
        self.phone = Seal(THEIRS, OURS.public_key(), "session")

    def feed(self, *messages: object) -> None:
        os.write(self.writer, b"".join(json.dumps(one).encode() + b"\n" for one in messages))

    def sealed(self, kind: str, number: int, plain: bytes) -> dict[str, object]:
        return {"v": 1, "type": kind, "id": number, "sealed": self.phone.seal(kind, number, plain)}


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    for descriptor in (made.reader, made.writer, made.out_reader):
        try:
            os.close(descriptor)
        except OSError:
            continue


def test_frames_around_a_try_are_passed_over(pipe: Pipe) -> None:
    about = json.dumps({"label": "Front", "device": True, "width": 640, "height": 480, "frame_rate": 30}).encode()
    pipe.feed(pipe.sealed("frame", 1, b"x"), {"do": "resumed"}, pipe.sealed("camera", 2, about), {"do": "face"})
    order, camera = wait_for_face(pipe.link, None)
    assert order == {"do": "face"} and camera == Camera("Front", True, 640, 480, 30.0)
    for wrong in (pipe.sealed("mrz", 3, b"x"), pipe.sealed("camera", 4, b"{}")):
        pipe.feed(wrong)
        with pytest.raises(BadToken):
            wait_for_face(pipe.link, camera)


def test_a_newer_picture_that_waits_is_seen_from_afar(pipe: Pipe) -> None:
    pipe.feed(*(pipe.sealed(kind, number, b"x") for number, kind in enumerate(("frame", "eyes", "frame"), 1)))
    assert pipe.link.wait_for("frame") == ("frame", b"x")
    assert pipe.link.waits("frame") and pipe.link.waits("eyes")
    assert pipe.link.wait_for("eyes") == ("eyes", b"x")
    assert pipe.link.waits("frame") and not pipe.link.waits("eyes")
    assert pipe.link.wait_for("frame") == ("frame", b"x")
    assert not pipe.link.waits("frame")


def test_a_line_may_come_in_pieces(pipe: Pipe) -> None:
    whole = json.dumps(pipe.sealed("mrz", 1, b"hello")).encode() + b"\n" + b'{"do": "resumed"}\n'
    for cut in range(0, len(whole), 7):
        os.write(pipe.writer, whole[cut : cut + 7])
    assert pipe.link.wait_for("mrz") == ("mrz", b"hello")
    with pytest.raises(Interrupted):
        pipe.link.wait_for("mrz")


def test_ids_rise_and_seals_hold(pipe: Pipe) -> None:
    pipe.feed(pipe.sealed("frame", 5, b"a"), pipe.sealed("frame", 5, b"b"))
    assert pipe.link.wait_for("frame") == ("frame", b"a")
    with pytest.raises(BadToken):
        pipe.link.wait_for("frame")
    for flaw in ({"id": 7}, {"type": "mrz"}, {"sealed": "AAAA"}, {"id": "6"}, {"sealed": None}):
        pipe.feed(pipe.sealed("frame", 6, b"c") | flaw)
        with pytest.raises(BadToken):
            pipe.link.wait_for("frame", "mrz")


def test_a_lost_chip_brings_what_was_read(pipe: Pipe) -> None:
    pipe.feed(pipe.sealed("chip_lost", 1, b'{"answers": []}'), {"v": 1, "type": "chip_lost", "id": 2})
    with pytest.raises(Interrupted) as lost:
        pipe.link.wait_for("chip_answers")
    assert lost.value.plain == b'{"answers": []}'
    with pytest.raises(Interrupted) as silent:
        pipe.link.wait_for("chip_answers")
    assert silent.value.plain == b""


def test_silence_and_the_end_are_told_apart(pipe: Pipe) -> None:
    with pytest.raises(TooLate):
        pipe.link.wait_for("frame", seconds=0.05)
    os.close(pipe.writer)
    with pytest.raises(EOFError):
        pipe.link.wait_for("frame")


def test_a_line_without_end_is_the_end(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    with pytest.raises(EOFError):
        while True:
            with contextlib.suppress(BlockingIOError):
                os.write(pipe.writer, b"x" * 60_000)
            try:
                pipe.link.line(seconds=0.01)
            except TooLate:
                continue


def test_each_session_has_a_key_of_its_own() -> None:
    one, other = Seal(OURS, THEIRS.public_key(), "a"), Seal(THEIRS, OURS.public_key(), "b")
    with pytest.raises(BadToken):
        other.open("frame", 1, one.seal("frame", 1, secrets.token_bytes(9)))

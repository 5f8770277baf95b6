"""Recordings: shapes that give nothing away, and whole specimens that play again."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count

import pytest
from emrtd_specimens import DESCRIPTION, NOW, make_document, make_state
from hypothesis import given, settings
from hypothesis import strategies as st

from emrtd import active_authentication
from emrtd.contact import first_contact
from emrtd.errors import MalformedMessage, TagLost, TranscriptMismatch, WrongAccessKey
from emrtd.exchange import Transmit, run
from emrtd.keys import Access, Can
from emrtd.passive import RawDocument, passive_authentication
from emrtd.reading import read_document
from emrtd.rng import seeded
from emrtd.softchip import ChipDocument, SoftChip
from emrtd.softchip.faults import lost_after
from emrtd.transports.replay import Recorder, Replay, SpecimenRecorder, SpecimenTranscript

SEED = b"terminal"
SMALL = replace(DESCRIPTION, portrait=DESCRIPTION.portrait[:900])


def ticking() -> float:
    return 0.0


def read(transmit: Transmit, access: Access) -> RawDocument:
    found = run(first_contact(), transmit)
    return run(read_document(access, contact=found, rng=seeded(SEED)), transmit)


def recorded(document: ChipDocument) -> tuple[SpecimenTranscript, RawDocument]:
    recorder = SpecimenRecorder(SoftChip(document, seeded(b"s")), ticking, access=document.access, seed=SEED)
    raw = read(recorder, document.access)
    return recorder.transcript, raw


def test_a_whole_recording_reads_the_same_document() -> None:
    document = make_document(SMALL)
    transcript, raw = recorded(document)
    again = SpecimenTranscript.from_bytes(transcript.to_bytes())
    assert again == transcript
    replay = Replay(again)
    replayed = read(replay, again.access)
    assert replayed == raw
    assert replay.finished
    authentic = passive_authentication(replayed, make_state().trust, at=NOW)
    active_authentication.verify(authentic, replayed)
    assert authentic.full_name == "Zoë Anaïs Lefèvre-Dœuil"


def test_a_whole_recording_says_what_it_is() -> None:
    transcript, _ = recorded(make_document(SMALL))
    assert json.loads(transcript.to_bytes())["what"].startswith("SPECIMEN")
    assert "24AA12345" not in repr(transcript)
    assert "24AA12345" not in repr(SpecimenTranscript(Can("123456"), b"", ()))


def test_a_lost_tag_is_lost_again() -> None:
    document = make_document(SMALL)
    chip = lost_after(SoftChip(document, seeded(b"s")), 1200)
    recorder = SpecimenRecorder(chip, ticking, access=document.access, seed=SEED)
    with pytest.raises(TagLost) as lost:
        read(recorder, document.access)
    replay = Replay(SpecimenTranscript.from_bytes(recorder.transcript.to_bytes()))
    with pytest.raises(TagLost) as again:
        read(replay, document.access)
    assert again.value.read == lost.value.read
    assert replay.finished


def test_another_question_has_no_answer() -> None:
    document = make_document(SMALL)
    transcript, _ = recorded(document)
    found = run(first_contact(), Replay(transcript))
    assert found
    replay = Replay(transcript)
    with pytest.raises(TranscriptMismatch) as mismatch:
        other = read_document(document.access, contact=(), rng=seeded(b"another seed"))
        run(first_contact(), replay)
        run(other, replay)
    assert mismatch.value.index >= 3
    with pytest.raises(TranscriptMismatch, match="the recording ends before"):
        Replay(replace(transcript, exchanges=()))(bytes(4))


def test_shapes_hold_nothing_of_the_document() -> None:
    """Neither a protected message, nor a challenge, nor what the chip signs: only lengths, words and times."""
    document = make_document(SMALL)
    ticks = count()
    recorder = Recorder(SoftChip(document, seeded(b"s")), lambda: next(ticks) * 0.004)
    passed: list[bytes] = []

    def listen(apdu: bytes) -> bytes:
        answer = recorder(apdu)
        passed.extend((apdu[5:], answer[:-2]))
        return answer

    raw = read(listen, document.access)
    file = recorder.to_bytes().decode("ascii")
    names = ("a0000002471001", "3f00", "011c", "")
    contents = [content.hex() for content in passed if len(content) > 7 and content[:7].hex() not in names]
    assert len(contents) > 30
    held = [content for content in contents if content in file]
    assert held == []
    for secret in (raw.challenge, raw.response, *(content[:24] for content in raw.groups.values())):
        assert secret.hex() not in file
    rows = json.loads(file)["exchanges"]
    assert len(rows) == len(recorder.shapes) == len(passed) // 2
    assert ["00a4040c", 12, 2, "9000", 4, "a0000002471001"] in rows
    assert {row[4] for row in rows} == {4}


def test_shapes_tell_a_lost_tag_and_do_not_swallow_it() -> None:
    recorder = Recorder(lost_after(SoftChip(make_document(SMALL), seeded(b"s")), 0), ticking)
    with pytest.raises(TagLost):
        recorder(bytes.fromhex("00A4000C023F00"))
    (shape,) = recorder.shapes
    assert (shape.header, shape.sent, shape.received, shape.status) == ("00a4000c", 7, 0, 0)


def test_a_refusal_is_replayed_as_it_was() -> None:
    document = make_document(SMALL)
    wrong = replace(document.access, document_number="24AA12346")
    recorder = SpecimenRecorder(SoftChip(document, seeded(b"s")), ticking, access=wrong, seed=SEED)
    with pytest.raises(WrongAccessKey):
        read(recorder, wrong)
    with pytest.raises(WrongAccessKey):
        read(Replay(recorder.transcript), wrong)


@settings(max_examples=150)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_a_file_of_another_kind_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        SpecimenTranscript.from_bytes(data)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"what": "eMRTD transcript"},
        {"access": ["12345"]},
        {"access": ["X", "900517"]},
        {"access": 5},
        {"seed": "zz"},
        {"exchanges": [["00", "9000", 1]]},
        {"exchanges": [["00a40000", "90", 1]]},
        {"exchanges": [["00a40000", "9000"]]},
        {"exchanges": {}},
        {"exchanges": [[1, 2, 3]]},
    ],
    ids=str,
)
def test_a_transcript_with_a_flaw_is_refused(change: dict[str, object]) -> None:
    transcript, _ = recorded(make_document(SMALL))
    tree = json.loads(transcript.to_bytes()) | change
    with pytest.raises(MalformedMessage):
        SpecimenTranscript.from_bytes(json.dumps(tree).encode())

"""Worked transcripts: each whole recorded reading, played again without a chip, comes to the same document.

Where one fails because a terminal now sends something else on purpose: tests/emrtd/make_transcripts.py.
"""

from __future__ import annotations

import tomllib

import pytest
from make_transcripts import FOLDER, READINGS, SEED, outcome, read

from emrtd.transports.replay import Replay, SpecimenTranscript

OUTCOMES = tomllib.loads((FOLDER / "outcomes.toml").read_text("utf-8"))


def transcript(name: str) -> SpecimenTranscript:
    return SpecimenTranscript.from_bytes((FOLDER / f"{name}.json").read_bytes())


@pytest.mark.parametrize("name", READINGS)
def test_a_recorded_reading_comes_to_the_same_document(name: str) -> None:
    recorded = transcript(name)
    assert recorded.seed == SEED
    replay = Replay(recorded)
    raw = read(replay, recorded.access)
    assert replay.finished
    assert tomllib.loads(f"it = {outcome(raw)}")["it"] == OUTCOMES[name]


def test_a_chip_that_changes_one_byte_is_noticed() -> None:
    """Every recorded answer counts: one bit of any of them and the reading does not come to the same end."""
    recorded = transcript("pace-gm-and-chip-authentication")
    expected = OUTCOMES["pace-gm-and-chip-authentication"]
    same = []
    for index, exchange in enumerate(recorded.exchanges):
        if len(exchange.answer) <= 2:  # a status word alone
            continue
        answer = bytes((exchange.answer[0] ^ 1,)) + exchange.answer[1:]
        changed = [*recorded.exchanges]
        changed[index] = type(exchange)(exchange.command, answer, 0)
        try:
            raw = read(Replay(SpecimenTranscript(recorded.access, recorded.seed, tuple(changed))), recorded.access)
            same += [index] if tomllib.loads(f"it = {outcome(raw)}")["it"] == expected else []
        except Exception as refused:  # noqa: BLE001 - what is raised is looked at
            assert type(refused).__module__ == "emrtd.errors"
    assert same == []


def test_transcripts_are_marked_and_small() -> None:
    files = sorted(FOLDER.glob("*.json"))
    assert [file.stem for file in files] == sorted(READINGS)
    for file in files:
        assert b"SPECIMEN" in file.read_bytes()[:100]
        assert file.stat().st_size < 40_000

"""The software chip by itself, its file, and what the library may import."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest
from emrtd_specimens import DESCRIPTION, make_document
from hypothesis import given
from hypothesis import strategies as st

import emrtd
from emrtd.apdu import CommandApdu
from emrtd.errors import Malformed, MalformedMrz, TagLost
from emrtd.exchange import run
from emrtd.files import COM, read_binary, select_application, select_file, select_master_file
from emrtd.rng import seeded
from emrtd.softchip import ChipDocument, ChipProfile, SoftChip
from emrtd.softchip.faults import lost_after
from emrtd.steps import Step
from emrtd.terminal import open_with_bac

GET_CHALLENGE = CommandApdu(0, 0x84, 0, 0, le=8)


def chip_of(document: ChipDocument, **profile: object) -> SoftChip:
    return SoftChip(replace(document, profile=ChipProfile(**profile)), seeded(b"silicon"))  # type: ignore[arg-type]


def status(chip: SoftChip, command: CommandApdu) -> int:
    return int.from_bytes(chip.transmit(command.encode())[-2:], "big")


def test_nothing_is_open_without_authentication(document: ChipDocument) -> None:
    chip = chip_of(document)
    assert status(chip, select_file(COM.file_id)) == 0x6982
    assert status(chip, GET_CHALLENGE) == 0x6982
    assert status(chip, select_application()) == 0x9000
    assert status(chip, select_file(COM.file_id)) == 0x6982
    assert status(chip, read_binary(0, 4)) == 0x6986
    assert status(chip, CommandApdu(0, 0x88, 0, 0, bytes(8), 256)) == 0x6982
    assert status(chip, CommandApdu(0x0C, 0xB0, 0, 0, b"\x8e\x08" + bytes(8), 256)) == 0x6982


def test_one_try_for_one_challenge(document: ChipDocument) -> None:
    chip = chip_of(document)
    attempt = CommandApdu(0, 0x82, 0, 0, bytes(40), 40)
    status(chip, select_application())
    assert status(chip, attempt) == 0x6985
    status(chip, GET_CHALLENGE)
    assert status(chip, attempt) == 0x6300
    assert status(chip, attempt) == 0x6985


def test_a_plain_command_ends_the_channel(document: ChipDocument) -> None:
    chip = chip_of(document)
    terminal = run(open_with_bac(document.access, b"", seeded(b"t"), extended=False), chip)
    batch = terminal.protect((Step(select_file(COM.file_id)),), "", (0, 1))
    assert status(chip, select_file(COM.file_id)) == 0x6982
    assert chip.transmit(batch.commands[0].apdu) == b"\x69\x82"


def test_a_replayed_command_ends_the_channel(document: ChipDocument) -> None:
    chip = chip_of(document)
    terminal = run(open_with_bac(document.access, b"", seeded(b"t"), extended=False), chip)
    command = terminal.protect((Step(select_file(COM.file_id)),), "", (0, 1)).commands[0]
    assert chip.transmit(command.apdu)[-2:] == b"\x90\0"
    assert chip.transmit(command.apdu) == b"\x69\x88"
    assert chip.transmit(command.apdu) == b"\x69\x82"


def test_leaving_the_field_forgets_all(document: ChipDocument) -> None:
    chip = chip_of(document)
    run(open_with_bac(document.access, b"", seeded(b"t"), extended=True), chip)
    chip.reset()
    assert status(chip, GET_CHALLENGE) == 0x6982


def test_short_file_identifiers(document: ChipDocument) -> None:
    chip = chip_of(document)
    terminal = run(open_with_bac(document.access, b"", seeded(b"t"), extended=False), chip)
    steps = (Step(CommandApdu(0, 0xB0, 0x80 | 0x1E, 0, le=4)), Step(read_binary(4, 4)))
    batch = terminal.protect(steps, "", (0, 1))
    opened = terminal.open(steps, tuple(chip.transmit(command.apdu) for command in batch.commands))
    assert b"".join(answer.data for answer in opened) == document.files[COM.file_id][:8]


def test_without_extended_length(document: ChipDocument) -> None:
    chip = chip_of(document, extended=False)
    status(chip, select_application())
    assert status(chip, replace(GET_CHALLENGE, extended=True)) == 0x6700
    assert status(chip, GET_CHALLENGE) == 0x9000


def test_master_file(document: ChipDocument) -> None:
    assert status(chip_of(document), select_master_file()) == 0x9000
    assert status(chip_of(document, answers_master_file=0x6A86), select_master_file()) == 0x6A86


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_get_an_answer(commands: list[bytes]) -> None:
    chip = SoftChip(make_document(), seeded(b"silicon"))
    for command in commands:
        assert len(chip.transmit(command)) >= 2


def test_lost_after(document: ChipDocument) -> None:
    send = lost_after(chip_of(document), 12)
    assert send(select_application().encode()) == b"\x90\0"
    with pytest.raises(TagLost):
        send(GET_CHALLENGE.encode())
    with pytest.raises(TagLost):
        send(GET_CHALLENGE.encode())


def test_document_file_round_trip(document: ChipDocument) -> None:
    saved = document.to_bytes()
    assert ChipDocument.from_bytes(saved) == document
    assert b"SPECIMEN" in saved


@pytest.mark.parametrize(
    "change",
    [
        {"what": "passport"}, {"version": 2}, {"files": []}, {"files": {"xyz": ""}}, {"files": {"0101": "*"}},
        {"access": ["1"]}, {"access": {}}, {"profile": {"colour": "red"}}, {"private_key": 7},
    ],
    ids=str,
)  # fmt: skip
def test_document_file_flaws(document: ChipDocument, change: dict[str, object]) -> None:
    content = json.loads(document.to_bytes()) | change
    with pytest.raises(Malformed):
        ChipDocument.from_bytes(json.dumps(content).encode())


@given(st.binary(max_size=100) | st.just(b"[" * 100_000) | st.just(b"null"))
def test_document_file_of_any_bytes(data: bytes) -> None:
    with pytest.raises(Malformed):
        ChipDocument.from_bytes(data)


def test_names_that_no_zone_can_hold() -> None:
    with pytest.raises(MalformedMrz):
        make_document(replace(DESCRIPTION, surname="Юлия"))


FORBIDDEN = {"alicem", "time", "random", "secrets", "os", "socket", "ssl", "http", "httpx", "pathlib", "subprocess"}


def test_the_library_stands_alone() -> None:
    """No service, no clock, no global randomness, no network, no file: all of it comes in as arguments."""
    root = Path(emrtd.__file__).parent
    for source in root.rglob("*.py"):
        if "transports" in source.parts:
            continue
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            used = {name.split(".")[0] for name in names} & FORBIDDEN
            assert not used, f"{source.relative_to(root)} imports {used}"
            clock = isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today")
            assert not clock, f"{source.relative_to(root)} reads a clock"

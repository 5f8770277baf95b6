"""A real pcscd, real PC/SC programs, and a foreign reader of travel documents; each skips where it is not installed.

The foreign reader is JMRTD: `JMRTD` names a folder of its jars, as tests/emrtd/peers/pom.xml gets them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pcscd_here import READER, Pcscd, laid, missing, running
from typer.testing import CliRunner

from alicem.cli import build
from emrtd.contact import first_contact
from emrtd.errors import DeviceFailure, TagLost
from emrtd.exchange import Transmit, run
from emrtd.passive import RawDocument
from emrtd.reading import read_document
from emrtd.rng import seeded
from emrtd.softchip import ChipDocument, SoftChip
from emrtd.softchip.specimen_file import (
    Chip,
    Specimen,
    examples,
    issue,
    make_state,
    parse_specimen,
    specimen_portrait,
)
from emrtd.transports import pcsc
from emrtd.transports.software import SoftwareCard

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "")
pyscard = pytest.mark.skipif(importlib.util.find_spec("smartcard") is None, reason="needs pyscard: tools/setup pcsc")
JARS = os.environ.get("JMRTD", "")
PEERS = Path(__file__).parent / "peers"
PCSC_LIBRARIES = ("/usr/lib/x86_64-linux-gnu/libpcsclite.so.1", "/usr/lib/aarch64-linux-gnu/libpcsclite.so.1")


@pytest.fixture(scope="module")
def pcscd() -> Iterator[Pcscd]:
    with running() as found:
        if found is None:
            pytest.skip("another pcscd runs on this machine")
        yield found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pcscd-specimens")
    for name in examples():
        assert CliRunner().invoke(build("chip"), ["chip", "specimen", name, "--into", str(place)]).exit_code == 0
    return place


def specimen(place: Path, name: str) -> ChipDocument:
    return ChipDocument.from_bytes((place / f"{name}.json").read_bytes())


def read(document: ChipDocument, transmit: Transmit) -> RawDocument:
    contact = run(first_contact(), transmit)
    return run(read_document(document.access, contact=contact, rng=seeded(b"t")), transmit)


# --- programs that know nothing of travel documents -------------------------------------------------


@pytest.mark.skipif(shutil.which("opensc-tool") is None, reason="needs opensc")
def test_opensc_sends_commands_to_the_software_chip(pcscd: Pcscd, place: Path) -> None:
    commands = ("00A4040C07A0000002471001", "0084000008", "0CB0000000")
    sent = [part for command in commands for part in ("--send-apdu", command)]
    with laid(pcscd, SoftChip(specimen(place, "plain-old-passport"), seeded(b"s"))):
        done = subprocess.run(
            ["opensc-tool", "--reader", "0", "--atr", *sent], capture_output=True, text=True, timeout=30, check=False
        )
    assert done.returncode == 0, done.stderr
    assert "3b:80:80:01:01" in done.stdout
    assert done.stdout.count("SW1=0x90, SW2=0x00") == 2
    assert "SW1=0x69, SW2=0x82" in done.stdout  # nothing is read without a channel


@pytest.mark.skipif(shutil.which("scriptor") is None, reason="needs pcsc-tools")
def test_scriptor_does_the_first_contact(pcscd: Pcscd, place: Path, tmp_path: Path) -> None:
    script = tmp_path / "contact.apdu"
    script.write_text("reset\n00 A4 00 0C 02 3F 00\n00 A4 02 0C 02 01 1C\n00 B0 00 00 70\n")
    document = specimen(place, "french-passport")
    with laid(pcscd, SoftChip(document, seeded(b"s"))):
        done = subprocess.run(
            ["scriptor", "-r", f"{READER} 00 00", str(script)], capture_output=True, text=True, timeout=30, check=False
        )
    received = "".join(done.stdout.split())
    assert document.files[0x011C].hex().upper() in received, done.stdout + done.stderr


# --- our reader through pcscd -----------------------------------------------------------------------


@pyscard
def test_readers_are_listed_and_named(pcscd: Pcscd) -> None:
    assert pcsc.readers() == (f"{READER} 00 00", f"{READER} 00 01")
    assert pcsc.named(pcsc.readers(), "00 01") == (f"{READER} 00 01",)
    assert pcsc.named(("A reader", "A reader 2"), "A reader") == ("A reader",)
    with pytest.raises(DeviceFailure, match="no reader is called 'Omnikey'"):
        pcsc.Card("Omnikey")
    with pytest.raises(DeviceFailure, match="no reader is connected"):
        pcsc.named((), "")


@pyscard
@pytest.mark.parametrize("name", examples())
def test_a_document_is_read_twice_and_left_closed(pcscd: Pcscd, place: Path, name: str) -> None:
    document = specimen(place, name)
    with laid(pcscd, SoftChip(document, seeded(b"s"))):
        for _ in range(2):
            with pcsc.Card(READER.lower(), wait_seconds=5) as card:
                assert card.connect().hex() == "3b80800101"
                assert card.extended
                assert read(document, card).groups[2] == document.files[0x0102]
        with pcsc.Card(wait_seconds=5) as card:  # whoever comes next finds no open channel
            card.connect()
            assert card(bytes.fromhex("0CB0000000"))[-2:] == b"\x69\x82"


@pyscard
def test_no_document_in_time(pcscd: Pcscd) -> None:
    with pcsc.Card(wait_seconds=0.3) as card:
        with pytest.raises(TagLost):
            card(b"\0\xa4\0\x0c")
        with pytest.raises(DeviceFailure, match="no document was laid"):
            card.connect()


@pyscard
def test_one_program_at_a_time(pcscd: Pcscd, place: Path) -> None:
    with (
        laid(pcscd, SoftChip(specimen(place, "french-passport"), seeded(b"s"))),
        pcsc.Card(wait_seconds=5) as first,
        pcsc.Card(wait_seconds=5) as second,
    ):
        first.connect()
        with pytest.raises(DeviceFailure, match="another program holds the document"):
            second.connect()


@pyscard
def test_a_document_taken_off_in_mid_read_is_waited_for(pcscd: Pcscd, place: Path) -> None:
    document = specimen(place, "french-passport")
    chip = SoftwareCard(document, seeded(b"s"), lost_after=8000)
    losses, lost = 0, TagLost()
    with laid(pcscd, _Relaid(chip)), pcsc.Card(wait_seconds=10) as card:
        while True:
            card.connect()
            contact = run(first_contact(), card)
            reading = read_document(document.access, contact=contact, rng=seeded(b"t"), resume=lost.read)
            try:
                raw = run(reading, card)
                break
            except TagLost as again:
                losses, lost = losses + 1, again
    assert raw.groups[2] == document.files[0x0102]
    assert losses >= 2


class _Relaid:
    """The specimen is laid anew whenever the reader begins: power, reset."""

    def __init__(self, chip: SoftwareCard) -> None:
        self._chip, self._gone = chip, True

    def __call__(self, apdu: bytes) -> bytes:
        try:
            return self._chip(apdu)
        except TagLost:
            self._gone = True
            raise

    def reset(self) -> None:
        if self._gone:
            self._chip.connect()
            self._gone = False
        self._chip.reset()


@pyscard
def test_the_command_reads_what_lies_on_the_reader(pcscd: Pcscd, place: Path) -> None:
    key = ["--can-file", str(place / "french-residence-permit.can")]
    arguments = ["chip", "read", "--reader", "specimen", *key, "--trust", str(place / "trust"), "--json"]
    with laid(pcscd, SoftChip(specimen(place, "french-residence-permit"), seeded(b"s"))):
        done = CliRunner().invoke(build("chip"), arguments)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["proven"]["not_a_copy"] == ["CA-ECDH-AES-128"]
    assert CliRunner().invoke(build("chip"), ["chip", "readers"]).stdout.startswith(READER)


# --- a foreign reader against our chip --------------------------------------------------------------


@pytest.fixture(scope="module")
def jmrtd(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs the foreign reader."""
    if not JARS or shutil.which("javac") is None:
        pytest.skip("needs JMRTD and a JDK")
    library = next((one for one in PCSC_LIBRARIES if Path(one).exists()), "")
    classes = tmp_path_factory.mktemp("jmrtd")
    subprocess.run(["javac", "-nowarn", "-cp", f"{JARS}/*", "-d", str(classes), PEERS / "ReadChip.java"], check=True)
    return ["java", f"-Dsun.security.smartcardio.library={library}", "-cp", f"{classes}:{JARS}/*"]


BASE = parse_specimen(examples()["french-passport"])
WAYS = {
    "french-passport": BASE,
    "permit": parse_specimen(examples()["french-residence-permit"]),
    "long-number": replace(BASE, document=replace(BASE.document, format="TD1", code="I", number="D23145890734")),
    **{
        way: replace(BASE, chip=Chip(pace=(way,), active_authentication="none"))
        for way in ("ECDH-GM-3DES/8", "ECDH-GM-AES-192/18", "ECDH-IM-AES-256/15", "DH-GM-AES-128/2", "DH-IM-3DES/0")
    },
    **{
        f"CA-{way}": replace(BASE, chip=Chip(pace=("ECDH-GM-AES-128/13",), chip_authentication=(way,)))
        for way in ("ECDH-AES-256/brainpoolP512r1", "ECDH-3DES/secp256r1", "DH-AES-128/0")
    },
}


@pytest.mark.parametrize(
    ("way", "opened"), [*((way, "pace") for way in WAYS), ("french-passport", "bac"), ("long-number", "bac")]
)
def test_jmrtd_reads_our_chip(pcscd: Pcscd, jmrtd: list[str], way: str, opened: str) -> None:
    described = WAYS[way]
    document = _made(described)
    key = document.access
    words = [opened, "mrz", key.document_number, key.birth_date, key.expiry_date]
    with laid(pcscd, SoftChip(document, seeded(b"s"))):
        done = subprocess.run([*jmrtd, "ReadChip", *words], capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert said[0].startswith(f"opened {opened.upper()}")
    assert f"number {described.document.number}" in said
    assert "signature right" in said
    assert not [line for line in said if "ALTERED" in line or "WRONG" in line]
    assert any(line.startswith("chip authentication") for line in said) == bool(described.chip.chip_authentication)
    assert ("active authentication right" in said) == (described.chip.active_authentication == "secp256r1")


def _made(described: Specimen) -> ChipDocument:
    now, rng = datetime.now(UTC), seeded(b"foreign")
    authority = make_state(described.state, at=now, rng=rng)
    return issue(described, authority, specimen_portrait(), at=now, rng=rng).document


@pytest.mark.parametrize("most", [256, 2000])
def test_jmrtd_reads_short_and_extended(pcscd: Pcscd, jmrtd: list[str], place: Path, most: int) -> None:
    document = specimen(place, "french-passport")
    key = document.access
    words = ["pace", "mrz", key.document_number, key.birth_date, key.expiry_date]
    with laid(pcscd, SoftChip(document, seeded(b"s"))):
        done = subprocess.run(
            [*jmrtd, f"-Dmost={most}", "ReadChip", *words], capture_output=True, text=True, timeout=60, check=False
        )
    assert "group 2 as signed" in done.stdout.splitlines(), done.stdout + done.stderr

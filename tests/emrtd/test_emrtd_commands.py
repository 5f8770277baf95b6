"""`alicem chip` as typed: verdicts and exit statuses, files and keys, what is told and what never is."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alicem.cli import build
from alicem.cli.chip_key import from_text, short_date
from alicem.cli.chip_verdict import in_words
from emrtd.errors import MalformedMrz, Misuse
from emrtd.keys import MrzKey
from emrtd.softchip.specimen_file import examples

ALICEM = [sys.executable, "-m", "alicem", "chip"]
CHIP = build("chip")


def chip(*arguments: object) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    done = CliRunner().invoke(CHIP, ["chip", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, " ".join(done.stderr.split())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three examples, made, with the trust in their States."""
    place = tmp_path_factory.mktemp("specimens")
    for name in examples():
        assert chip("specimen", name, "--into", place)[0] == 0
    return place


def described(place: Path, name: str, text: str) -> Path:
    """A document made in `place` from the French passport, with `text` behind its description."""
    file = place / f"{name}.toml"
    file.write_text(examples()["french-passport"] + text, "utf-8")
    assert chip("specimen", file, "--into", place)[0] == 0
    return place / f"{name}.json"


def read(place: Path, document: Path | str, *more: object) -> tuple[int, str, str]:
    path = place / f"{document}.json" if isinstance(document, str) else document
    key = () if "--can-file" in more else ("--mrz-file", path.with_suffix(".mrz"))
    return chip("read", "--software", path, *key, "--trust", place / "trust", *more)


# --- genuine ----------------------------------------------------------------------------------------

GENUINE = {
    "french-passport": ("PACE-ECDH-GM-AES-256", ["CA-ECDH-3DES", "AA-ECDSA"], "Lefèvre-Dœuil", []),
    "french-residence-permit": ("PACE-ECDH-GM-AES-128", ["CA-ECDH-AES-128"], "Wibowo", []),
    "plain-old-passport": ("BAC", ["AA-RSA"], "ERIKSSON", ["sha1"]),
}


@pytest.mark.parametrize("name", GENUINE)
def test_a_genuine_document(place: Path, name: str) -> None:
    status, out, _ = read(place, name, "--json")
    tree = json.loads(out)
    protocol, proofs, surname, warnings = GENUINE[name]
    assert status == 0
    assert tree["verdict"] == "genuine"
    assert tree["proven"]["opened_with"] == protocol
    assert tree["proven"]["not_a_copy"] == proofs
    assert tree["not_proven"] == []
    assert tree["document"]["surname"] == surname
    assert tree["document"]["portrait"] == {"format": "jp2", "bytes": 15866}
    assert tree["warnings"] == warnings
    assert tree["reading"]["lost"] == 0


def test_the_six_digits_of_the_card_open_it_too(place: Path) -> None:
    status, out, _ = read(
        place, "french-residence-permit", "--can-file", place / "french-residence-permit.can", "--json"
    )
    assert (status, json.loads(out)["verdict"]) == (0, "genuine")


def test_in_words_what_is_proven_and_what_is_not(place: Path) -> None:
    status, out, err = read(place, "french-passport")
    assert status == 0
    assert out.startswith("Genuine: a document that FR signed.")
    assert "Zoë Anaïs Lefèvre-Dœuil, born 1990-05-17" in out
    assert "proven the chip was no copy: CA-ECDH-3DES, AA-ECDSA" in " ".join(out.split())
    assert "not checked that the person holding it" in out
    assert "lost 0 times" in err


def test_a_document_that_cannot_prove_its_chip_is_genuine_and_says_so(place: Path) -> None:
    file = place / "keyless.toml"
    file.write_text(examples()["plain-old-passport"].replace('"rsa-1024"', '"none"'), "utf-8")
    chip("specimen", file, "--into", place)
    status, out, _ = read(place, "keyless", "--json")
    tree = json.loads(out)
    assert (status, tree["proven"]["not_a_copy"]) == (0, [])
    assert tree["not_proven"] == ["its State gave it no key to prove itself with"]
    assert "NOT proven that the chip is no copy" in " ".join(read(place, "keyless")[1].split())


def test_a_document_that_slips_is_read_to_its_end(place: Path) -> None:
    status, out, err = read(place, "french-passport", "--json", "--lost-after", 6000)
    assert (status, json.loads(out)["verdict"]) == (0, "genuine")
    assert json.loads(out)["reading"]["lost"] >= 2
    assert "the reading goes on where it was" in err


def test_short_commands_alone_when_asked(place: Path) -> None:
    long = json.loads(read(place, "french-passport", "--json")[1])["reading"]
    short = json.loads(read(place, "french-passport", "--json", "--short")[1])["reading"]
    assert short["commands"] > 2 * long["commands"]


def test_every_warning_is_a_sentence() -> None:
    for name in (
        "sha1",
        "no_revocation_list",
        "document_expired",
        "dg2_image_displaced",
        "com_tag_list",
        "something_new",
    ):
        sentence = in_words(name)
        assert sentence.endswith(".")
        assert "_" not in sentence
    assert in_words("dg2_image_displaced") == "DG2 is written in a way of its own (image displaced)."


# --- refused ----------------------------------------------------------------------------------------

REFUSED = {
    "forged": ('[flaws]\nforged_surname = "CONTREFACON"', "DataGroupAltered"),
    "wrong-hash": ("[flaws]\naltered_group = 2", "DataGroupAltered"),
    "copied": ("[flaws]\ncopied = true", "ChipIsCopy"),
    "mute": ("[flaws]\nmute = true", "ChipIsCopy"),
    "revoked": ('[flaws]\nsigner = "revoked"', "SignerRevoked"),
    "expired": ('[flaws]\nsigner = "expired"', "SignerExpired"),
    "unknown": ('[flaws]\nsigner = "unknown"', "NotSignedByTrustedAuthority"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_document_that_is_not_genuine(tmp_path: Path, name: str) -> None:
    text, reason = REFUSED[name]
    status, out, err = read(tmp_path, described(tmp_path, name, text), "--json")
    tree = json.loads(out)
    assert (status, tree["verdict"], tree["reason"]) == (1, "refused", reason)
    assert tree["clause"].startswith("ICAO 9303-1")
    assert f"{reason}: " in err
    assert "24AA12345" not in out + err


def test_what_is_revoked_stays_revoked_when_more_is_made(tmp_path: Path) -> None:
    first = described(tmp_path, "first", '[flaws]\nsigner = "revoked"')
    second = described(tmp_path, "second", "")
    assert read(tmp_path, first)[0] == 1
    assert read(tmp_path, second)[0] == 0


def test_a_wrong_key_is_told_with_its_clause(place: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("111111\n")
    status, out, err = read(place, "french-residence-permit", "--can-file", wrong, "--json")
    assert (status, json.loads(out)["reason"]) == (1, "WrongAccessKey")
    assert "4.4.4.4" in err
    status, out, _ = read(place, "plain-old-passport", "--can-file", wrong, "--json")
    assert (status, json.loads(out)["reason"]) == (1, "AccessNumberNeedsPace")


# --- technical, and usage ---------------------------------------------------------------------------


def test_a_chip_that_is_lost_for_good_is_no_verdict(place: Path) -> None:
    status, out, err = read(place, "french-passport", "--json", "--lost-after", 60)
    assert (status, json.loads(out)["verdict"], json.loads(out)["reason"]) == (3, "failed", "TagLost")
    assert "Genuine" not in out + err


def test_nobody_comes_to_the_virtual_reader(place: Path) -> None:
    key = ("--mrz-file", place / "french-passport.mrz")
    status, out, err = chip(
        "read", "--vpcd", "127.0.0.1:0", "--wait", "0.1", *key, "--trust", place / "trust", "--json"
    )
    assert (status, json.loads(out)["reason"]) == (3, "DeviceFailure")
    assert "no card process came" in err


def test_without_pyscard_the_way_to_it_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard.scard", None)  # as Python marks what cannot be imported
    status, _, err = chip("readers")
    assert (status, "docs/chip.md says how to get it" in err) == (3, True)
    key = ("--mrz-file", place / "french-passport.mrz")
    status, out, _ = chip("read", *key, "--trust", place / "trust", "--json")
    assert (status, json.loads(out)["reason"]) == (3, "DeviceFailure")


def test_an_interrupted_reading_is_no_verdict(place: Path) -> None:
    """Ctrl-C while the card process is waited for."""
    arguments = [*ALICEM, "read", "--vpcd", "127.0.0.1:0", "--mrz-file", str(place / "french-passport.mrz")]
    process = subprocess.Popen([*arguments, "--trust", str(place / "trust")], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "Waiting for a card process" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 3
    assert "no verdict" in process.stderr.read()


def test_no_virtual_reader_to_lay_a_document_on(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    status, _, err = chip("serve", "--document", place / "french-passport.json", "--vpcd", f"127.0.0.1:{port}")
    assert status == 3
    assert "no virtual reader waits" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--can-file", "{place}/french-residence-permit.can"), "not both"),
        (("--save", "{place}"), "is there already"),
        (("--record", "{place}/french-passport.json"), "is there already"),
        (("--reader", "any"), "says where the document is"),
        (("--vpcd", "nowhere"), "says where the document is"),
        (("--trust", "{place}/nothing"), "No such file"),
    ],
)
def test_usage(place: Path, arguments: tuple[str, ...], said: str) -> None:
    path = place / "french-passport.json"
    more = [argument.format(place=place) for argument in arguments]
    status, _, err = chip(
        "read", "--software", path, "--mrz-file", path.with_suffix(".mrz"), "--trust", place / "trust", *more
    )
    assert status == 2
    assert said in err


def test_usage_of_serving_and_of_addresses(place: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    assert chip("serve", "--document", other)[0] == 2
    assert chip("serve", "--document", tmp_path / "none")[0] == 2
    assert "HOST:PORT" in chip("serve", "--document", place / "french-passport.json", "--vpcd", "here")[2]
    empty = tmp_path / "empty"
    empty.mkdir()
    path = place / "french-passport.json"
    status, _, err = chip("read", "--software", path, "--mrz-file", path.with_suffix(".mrz"), "--trust", empty)
    assert (status, "no certificate of any State" in err) == (2, True)


# --- keys -------------------------------------------------------------------------------------------

KEY = MrzKey("24AA12345", "900517", "340228")


@pytest.mark.parametrize(
    "text",
    [
        "P<FRALEFEVRE<DOEUIL<<ZOE<ANAIS<<<<<<<<<<<<<<\n24AA123459FRA9005178F3402281<<<<<<<<<<<<<<<0\n",
        "24AA12345 900517 340228",
        "24AA12345\n1990-05-17\n2034-02-28\n",
        "  24aa12345<<  900517 2034-02-28",
    ],
)
def test_a_key_file_holds_the_zone_or_number_and_dates(text: str) -> None:
    assert from_text(text) == KEY


def test_unknown_parts_of_a_date() -> None:
    assert short_date("1984-00-00") == "84<<<<"
    assert short_date("84<<<<") == "84<<<<"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("P<FRALEFEVRE<DOEUIL<<ZOE<ANAIS<<<<<<<<<<<<<<\n24AA123458FRA9005178F3402281<<<<<<<<<<<<<<<0\n", MalformedMrz),
        ("24AA12345 900517", ValueError),
        ("24AA12345 17.05.1990 340228", ValueError),
        ("24AA12345! 900517 340228", Misuse),
        ("", ValueError),
    ],
)
def test_a_key_file_of_another_form(text: str, kind: type[Exception], place: Path, tmp_path: Path) -> None:
    with pytest.raises(kind):
        from_text(text)
    file = tmp_path / "key"
    file.write_text(text)
    status, out, err = chip(
        "read", "--software", place / "french-passport.json", "--mrz-file", file, "--trust", place / "trust"
    )
    assert status == 2
    assert "24AA12345" not in out + err
    assert "DOEUIL" not in out + err


def test_without_a_file_or_a_terminal_there_is_nobody_to_ask(place: Path) -> None:
    status, _, err = chip("read", "--software", place / "french-passport.json", "--trust", place / "trust")
    assert (status, "nobody to ask" in err) == (2, True)


def test_a_typed_key_is_not_shown(place: Path) -> None:
    """At a terminal: the number typed opens the document, and never stands on the screen or among the arguments."""
    permit = place / "french-residence-permit.json"
    ours, theirs = pty.openpty()
    arguments = [*ALICEM, "read", "--software", str(permit), "--trust", str(place / "trust")]
    process = subprocess.Popen(arguments, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen = _until(ours, b"Document number")
    os.write(ours, b"\n")
    seen += _until(ours, b"Card access number")
    os.write(ours, b"428913\n")
    seen += _until(ours, b"Genuine")
    assert process.wait(20) == 0
    os.close(ours)
    assert b"428913" not in seen


def _until(terminal: int, expected: bytes) -> bytes:
    seen, deadline = b"", time.monotonic() + 30
    while expected not in seen and time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 4096)
    assert expected in seen
    return seen


# --- files ------------------------------------------------------------------------------------------


def test_what_is_saved_is_private_and_is_checked_again(place: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    status, _, err = read(place, "french-passport", "--save", kept)
    assert status == 0
    assert "They are personal data" in err
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept.iterdir()} == {0o600}
    assert {file.name for file in kept.iterdir()} == {
        "EF.COM", "EF.SOD", "EF.CardAccess", "EF.DG1", "EF.DG2", "EF.DG11", "EF.DG14", "EF.DG15", "evidence.json",
    }  # fmt: skip
    status, out, _ = chip("verify", kept, "--trust", place / "trust", "--json")
    tree = json.loads(out)
    assert (status, tree["verdict"]) == (0, "genuine")
    assert tree["proven"]["not_a_copy"] == ["CA-ECDH-3DES", "AA-ECDSA"]
    assert "when it was read" in chip("verify", kept, "--trust", place / "trust")[1]


def test_files_without_evidence_are_authentic_and_no_more(place: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    read(place, "french-passport", "--save", kept)
    (kept / "evidence.json").unlink()
    (kept / "EF.DG1").rename(kept / "Datagroup1.bin")
    (kept / "EF.SOD").rename(kept / "011D")
    status, out, _ = chip("verify", kept, "--trust", place / "trust", "--json")
    tree = json.loads(out)
    assert (status, tree["verdict"], tree["proven"]["not_a_copy"]) == (0, "genuine", [])
    assert tree["not_proven"] == ["the folder holds no proof that the chip gave while it was read"]


def test_a_changed_file_is_refused(place: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    read(place, "french-passport", "--save", kept)
    changed = kept / "EF.DG1"
    changed.write_bytes(changed.read_bytes().replace(b"DOEUIL", b"MARTIN"))
    status, out, err = chip("verify", kept, "--trust", place / "trust", "--json")
    assert (status, json.loads(out)["reason"]) == (1, "DataGroupAltered")
    assert "data group 1 does not have the hash its State signed (ICAO 9303-11 5.1)" in err


def test_a_check_for_another_day(place: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    read(place, "french-passport", "--save", kept)
    status, out, _ = chip("verify", kept, "--trust", place / "trust", "--json", "--at", "2010-01-01")
    assert (status, json.loads(out)["reason"]) == (1, "AuthorityExpired")


def test_an_expired_document_is_genuine_and_expired(tmp_path: Path) -> None:
    file = tmp_path / "old.toml"
    file.write_text(examples()["plain-old-passport"].replace("2034-04-15", "2024-04-15"), "utf-8")
    chip("specimen", file, "--into", tmp_path)
    status, out, _ = read(tmp_path, "old", "--json")
    assert (status, "document_expired" in json.loads(out)["warnings"]) == (0, True)
    assert "The document has expired." in read(tmp_path, "old")[1]


def test_a_folder_that_is_none(place: Path, tmp_path: Path) -> None:
    assert chip("verify", tmp_path / "nothing", "--trust", place / "trust")[0] == 2
    status, out, _ = chip("verify", tmp_path, "--trust", place / "trust", "--json")
    assert (status, json.loads(out)["reason"]) == (1, "MalformedFolder")


def test_a_recording_of_the_command_has_shapes_alone(place: Path, tmp_path: Path) -> None:
    record = tmp_path / "shapes.json"
    status, out, _ = read(place, "french-passport", "--record", record, "--json")
    tree = json.loads(record.read_text("ascii"))
    assert status == 0
    assert len(tree["exchanges"]) == json.loads(out)["reading"]["commands"]
    assert tree["what"].startswith("eMRTD transcript: shapes")
    assert stat.S_IMODE(record.stat().st_mode) == 0o600


def test_a_failed_reading_is_recorded_too(place: Path, tmp_path: Path) -> None:
    record = tmp_path / "shapes.json"
    assert read(place, "french-passport", "--record", record, "--lost-after", 60)[0] == 3
    assert json.loads(record.read_text("ascii"))["exchanges"][-1][3] == "0000"


# --- lending ----------------------------------------------------------------------------------------


def test_a_served_document_is_read_by_another_process_and_ends_when_told(place: Path) -> None:
    """Both commands as typed, over the virtual reader's own protocol, without pcscd; the document slips in between."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    document = place / "french-passport.json"
    key = ["--mrz-file", str(document.with_suffix(".mrz"))]
    address = ["--vpcd", f"127.0.0.1:{port}"]
    trust = ["--trust", str(place / "trust"), "--json"]
    reading = subprocess.Popen([*ALICEM, "read", *address, *key, *trust], stdout=subprocess.PIPE, text=True)
    serving = _served(document, address)
    out, _ = reading.communicate(timeout=60)
    tree = json.loads(out)
    assert (reading.returncode, tree["verdict"]) == (0, "genuine")
    assert tree["reading"]["lost"] >= 1
    assert serving.wait(20) == 0
    assert "The virtual reader went away." in (serving.stderr.read() if serving.stderr else "")


def _served(document: Path, address: list[str]) -> subprocess.Popen[str]:
    """`alicem chip serve`, begun again until the reader is there."""
    arguments = [*ALICEM, "serve", "--document", str(document), *address, "--lost-after", "9000"]
    for _ in range(10):
        process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            return process
        if process.returncode == 0:
            return process
    raise AssertionError("the reader never came")


@pytest.mark.parametrize("end", ["terminate", "interrupt"])
def test_serving_ends_at_a_signal(place: Path, end: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reader:
        address = f"127.0.0.1:{reader.getsockname()[1]}"
        arguments = [*ALICEM, "serve", "--document", str(place / "french-passport.json"), "--vpcd", address]
        process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
        reader.settimeout(30)
        line, _ = reader.accept()
        with line:
            line.sendall(b"\x00\x01\x04")
            assert line.recv(100)[:2] == b"\x00\x05"
            process.send_signal(signal.SIGTERM if end == "terminate" else signal.SIGINT)
            assert process.wait(10) == 0
            assert line.recv(1) == b""

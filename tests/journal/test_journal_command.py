"""`alicem journal`: what an operator and an auditor type, what is told, and how it ends."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from journals import SETTINGS, write
from typer.testing import CliRunner, Result

from alicem import jose, journal, keys
from alicem.cli import build
from alicem.journal.records import erase_content
from alicem.keys.file import write as write_ring
from alicem.store import Store

MASTER = b"m" * 32


@pytest.fixture
def folder(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings, keys and a database with three seals and two rows that wait, two minutes old."""
    monkeypatch.setenv("ALICEM_MASTER_KEY", base64.b64encode(MASTER).decode())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alicem.toml").write_text(SETTINGS.format(url=database_url))
    begun = datetime.now(UTC) - timedelta(minutes=5)
    ring = keys.create(tmp_path / "keys.bin", MASTER, now=begun, rng=secrets.token_bytes, host="localhost")
    do(database_url, lambda c: write(c, ring.signing("journal", begun), at=begun))
    return tmp_path


def do(url: str, work: Any) -> None:
    store = Store(url)
    with store.engine.execution_options(alicem_writes=True).begin() as connection:
        work(connection)
    store.close()


def sql(url: str, statement: str) -> None:
    do(url, lambda c: c.exec_driver_sql(statement))


def run(*words: object) -> Result:
    return CliRunner().invoke(build("journal"), ["journal", *map(str, words)])


def told(*words: object) -> Any:
    result = run(*words)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_journal_that_holds(folder: Path, database_url: str) -> None:
    do(database_url, lambda c: erase_content(c, 2))
    found = told("verify", "--json")
    assert found["holds"] is True
    assert {name: found[name] for name in ("sealed", "segments", "erased", "ended", "unsealed", "pruned")} == {
        "sealed": 15,
        "segments": 3,
        "erased": 7,
        "ended": 0,
        "unsealed": 2,
        "pruned": 0,
    }
    assert 100 < found["unsealed_seconds"] < 200
    result = run("verify")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "The journal holds: rows to 15 under 3 seals, 0 checkpoints met."
    assert result.stderr == ""


def test_a_journal_that_was_altered(folder: Path, database_url: str) -> None:
    sql(database_url, "update journal set account = 3 where number = 6")
    result = run("verify")
    assert result.exit_code == 1
    assert result.stderr == "row 6: its content or its account was changed\n"
    as_json = run("verify", "--json")
    assert as_json.exit_code == 1
    said = {"holds": False, "segment": None, "row": 6, "message": "row 6: its content or its account was changed"}
    assert json.loads(as_json.stdout) == said


def test_checkpoints_kept_elsewhere_tell_of_a_cut(folder: Path, database_url: str) -> None:
    """One by name, one in a folder, some in one file."""
    kept, several = folder / "kept", folder / "several"
    kept.mkdir()
    assert run("checkpoint", "--out", kept).exit_code == 0
    assert run("checkpoint", "--out", folder / "one.jws").exit_code == 0
    several.write_text(run("checkpoint").stdout * 3)
    (in_folder,) = kept.iterdir()
    assert in_folder.name.startswith("journal-")
    assert in_folder.stat().st_mode & 0o777 == 0o600
    against = ("--against", in_folder, "--against", folder / "one.jws", "--against", several)
    assert told("verify", "--json", *against)["checkpoints"] == 5
    sql(database_url, "delete from journal_segments where number = 3")
    sql(database_url, "delete from journal where number > 10")
    assert run("verify").exit_code == 0
    result = run("verify", *against)
    assert result.exit_code == 1
    assert "cut or rolled back" in result.stderr
    assert "another segment 3, which ends with row 15" in " ".join(result.stderr.split())


def test_what_came_after_a_checkpoint_is_looked_at_alone(folder: Path, database_url: str) -> None:
    """From the segment the checkpoint knows on; of the database and of a file alike."""
    run("checkpoint", "--out", folder / "one.jws")
    ring = keys.open_ring(folder / "keys.bin", MASTER)
    now = datetime.now(UTC)
    do(database_url, lambda c: journal.seal(c, ring.signing("journal", now), now))
    run("export", folder / "journal.jsonl")
    sql(database_url, "update journal set at = at + 1 where number = 3")
    sources: list[list[Any]] = [[], ["--export", folder / "journal.jsonl"]]
    for source in sources:
        found = told("verify", "--json", "--since", folder / "one.jws", *source)
        assert (found["sealed"], found["segments"], found["sealed_by"].popitem()[1]) == (17, 4, 2)
    assert run("verify").exit_code == 1
    run("checkpoint", "--out", folder / "two.jws")
    both = ("--against", folder / "one.jws", "--against", folder / "two.jws")
    assert told("verify", "--json", "--since", folder / "two.jws", *both)["checkpoints"] == 1
    sql(database_url, "update journal set at = at + 1 where number = 13")
    later = run("verify", "--since", folder / "one.jws")
    assert later.stderr == "segment 3: one of rows 11 to 15 was changed\n"


def test_a_declared_gap_is_a_warning(folder: Path, database_url: str) -> None:
    run("checkpoint", "--out", folder / "one.jws")
    sql(database_url, "delete from journal_segments where number = 3")
    sql(database_url, "delete from journal where number > 10")
    run("checkpoint", "--out", folder / "backup.jws")
    header, body, _ = (folder / "backup.jws").read_text().split(".")
    content = {"backup_last": 10, "backup_seal": json.loads(jose.unb64(body))["seal"], "backup_at": 1}
    assert header
    later = datetime.now(UTC) + timedelta(seconds=2)
    do(database_url, lambda c: journal.append(c, later, "restored", secrets.token_bytes, content=content))
    result = run("verify", "--against", folder / "one.jws")
    assert result.exit_code == 0
    assert "warning: rows from 11 to at least 15 were lost" in " ".join(result.stderr.split())
    assert len(told("verify", "--json", "--against", folder / "one.jws")["declared"]) == 1


def test_an_auditor_needs_the_file_and_the_public_keys_alone(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = tmp_path_factory.mktemp("auditor")
    (away / "keys.json").write_text(run("keys").stdout)
    assert run("export", away / "journal.jsonl").exit_code == 0
    assert run("checkpoint", "--out", away / "one.jws").exit_code == 0
    found = told("verify", "--json")
    monkeypatch.delenv("ALICEM_MASTER_KEY")
    monkeypatch.chdir(away)
    (folder / "keys.bin").unlink()
    words = ("verify", "--export", "journal.jsonl", "--keys", "keys.json", "--against", "one.jws", "--json")
    elsewhere = told(*words)
    assert elsewhere.pop("unsealed_seconds") >= found.pop("unsealed_seconds")
    assert elsewhere == found | {"checkpoints": 1}
    text = (away / "journal.jsonl").read_text()
    (away / "journal.jsonl").write_text(text.replace('"signed_in"', '"signed_up"', 1))
    assert json.loads(run(*words).stdout)["message"] == "segment 1: one of rows 1 to 5 was changed"
    (away / "journal.jsonl").write_text(text[:-40])
    cut = run(*words)
    assert cut.exit_code == 3
    assert "is cut, or no JSON" in cut.stderr


def test_a_compromised_key_is_named_to_whoever_verifies(folder: Path) -> None:
    """By the ring and by the exported keys alike; its seals hold."""
    ring = keys.open_ring(folder / "keys.bin", MASTER)
    (key,) = ring.signing_all("journal")
    lost = tuple(replace(one, compromised=one == key) for one in ring.signing_keys)
    write_ring(folder / "keys.bin", MASTER, replace(ring, signing_keys=lost), secrets.token_bytes)
    assert told("verify", "--json")["compromised"] == [key.kid]
    (folder / "keys.json").write_text(run("keys").stdout)
    result = run("verify", "--keys", folder / "keys.json")
    assert result.exit_code == 0
    assert f"warning: sealed by a compromised key: {key.kid}" in " ".join(result.stderr.split())


def test_published_keys_are_public(folder: Path) -> None:
    (key,) = told("keys")["keys"]
    assert key.keys() == {"kty", "crv", "x", "y", "use", "alg", "kid"}
    assert key["kid"].startswith("journal-")


def test_files_are_whole_and_for_their_owner(folder: Path) -> None:
    assert run("export", folder / "journal.jsonl").exit_code == 0
    assert (folder / "journal.jsonl").stat().st_mode & 0o777 == 0o600
    assert not (folder / "journal.jsonl.new").exists()


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["verify", "--never"], 2, "No such option"),
        (["verify", "--config", "none.toml"], 3, "none.toml"),
        (["verify", "--against", "none.jws"], 3, "none.jws: No such file or directory"),
        (["verify", "--against", "alicem.toml"], 1, "alicem.toml: line 2 is no checkpoint"),
        (["verify", "--against", "/dev/null"], 1, "/dev/null: there is no checkpoint in it"),
        (["verify", "--since", "/dev/null"], 1, "/dev/null: there is no checkpoint in it"),
        (["verify", "--against", "/dev/zero"], 1, "/dev/zero: line 1 is no checkpoint"),
        (["verify", "--keys", "/dev/zero"], 3, "not a JWK set"),
        (["verify", "--export", "/dev/zero"], 3, "line 1 is cut, or no JSON"),
        (["verify", "--keys", "alicem.toml"], 3, "not a JWK set"),
        (["verify", "--export", "alicem.toml"], 3, "line 1 is cut, or no JSON"),
        (["export", "none/journal.jsonl"], 3, "No such file or directory"),
    ],
)
def test_what_is_wrong_has_its_exit_status(folder: Path, words: list[str], status: int, sentence: str) -> None:
    result = run(*words)
    assert result.exit_code == status, result.output
    assert sentence in " ".join(result.output.split())


def test_without_its_key_or_database_it_is_technical(folder: Path, database_url: str) -> None:
    config = folder / "alicem.toml"
    config.write_text(config.read_text().replace(database_url, f"sqlite:///{folder}/another.db"))
    no_table = run("verify")
    assert (no_table.exit_code, "no such table" in no_table.output) == (3, True)
    os.environ["ALICEM_MASTER_KEY"] = base64.b64encode(b"x" * 32).decode()
    assert run("verify").exit_code == 3
    assert run("checkpoint").exit_code == 3
    assert run("keys").exit_code == 3


def test_nothing_is_sealed_yet(folder: Path, database_url: str) -> None:
    sql(database_url, "delete from journal_segments")
    result = run("checkpoint")
    assert (result.exit_code, result.stderr) == (1, "nothing is sealed yet\n")

"""`alicem phone record` against a real provider: what the server holds of an account, as its owner reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from provider_world import ANGELA, CODE, Person, World, enrol

from alicem.phone.state import Storage


@pytest.fixture
def person(world: World) -> Person:
    return enrol(world)


def printed(person: Person, folder: Path, *more: str, code: str = CODE) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with the phone's record in `folder`."""
    Storage(folder).save(person.device.storage.load())
    (folder / "code").write_text(code)
    command = [sys.executable, "-m", "alicem", "phone", "record", "--state", folder, "--code-file", folder / "code"]
    return subprocess.run([*command, *more], capture_output=True, text=True, check=False)


def test_as_json_it_is_every_row_of_the_account(person: Person, tmp_path: Path) -> None:
    done = printed(person, tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [row["number"] for row in told["tables"]["accounts"]] == [str(person.account)]
    assert told["rows"]["phones"] == len(told["tables"]["phones"]) == 1
    assert ANGELA.family_name.casefold() not in done.stdout.casefold()


def test_it_shows_the_terms_and_the_consent_that_the_account_rests_on(person: Person, tmp_path: Path) -> None:
    told = json.loads(printed(person, tmp_path, "--json").stdout)
    enrolled = next(row for row in told["tables"]["journal"] if row["event"] == "account_enrolled")
    assert enrolled["content"]["terms"] == "2026-11"
    assert 0 <= enrolled["at"] - enrolled["content"]["biometrics_consent_at"] < 60


def test_for_people_it_says_what_is_there_what_is_not_told_and_what_is_not_held(person: Person, tmp_path: Path) -> None:
    done = printed(person, tmp_path)
    assert done.returncode == 0, done.stderr
    for line in ("accounts: 1", "  - number: ", "    state: active", "phones: 1", "journal: "):
        assert line in done.stdout
    assert "not told: phones.pin_key: with it codes could be tried without the server" in done.stdout
    assert "not held: names, dates and places of birth" in done.stdout


def test_a_wrong_code_reads_nothing(person: Person, tmp_path: Path) -> None:
    done = printed(person, tmp_path, code="204961")
    assert (done.returncode, done.stdout) == (1, "")

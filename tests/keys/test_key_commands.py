"""`alicem keys`, typed as an operator does."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from alicem import keys
from alicem.cli import build
from desk_settings import desk_settings

MASTER = b"m" * 32


class Desk:
    """A folder with settings, a master key and a migrated database."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "keys.bin"
        (folder / "alicem.toml").write_text(desk_settings())
        (folder / "master.key").write_bytes(base64.b64encode(MASTER))

    def type(self, *words: str) -> Result:
        return CliRunner().invoke(build("keys"), ["keys", *words, "--config", str(self.folder / "alicem.toml")])

    def done(self, *words: str) -> Any:
        result = self.type(*words)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout) if result.stdout.startswith(("[", "{")) else result.stdout

    def rows(self, purpose: str) -> list[dict[str, str]]:
        return [row for row in self.done("list")["keys"] if row["purpose"] == purpose]


@pytest.fixture
def desk(tmp_path: Path, sqlite_template: Path) -> Desk:
    shutil.copy(sqlite_template, tmp_path / "alicem.db")
    return Desk(tmp_path)


def test_a_key_turns_and_the_earlier_one_goes(desk: Desk) -> None:
    desk.done("create")
    (old,) = desk.rows("transaction")
    assert desk.done("list")["told"] == [] and old["state"] == "in_use"
    (new,) = desk.done("rotate", "transaction", "--at-once")
    assert [row["state"] for row in desk.rows("transaction")] == ["in_use", "believed"]
    refused = desk.type("retire", old["kid"])
    assert refused.exit_code == 1 and "counts until" in refused.stderr
    desk.done("retire", old["kid"], "--compromised")
    assert [(row["kid"], row["state"]) for row in desk.rows("transaction")] == [
        (new["kid"], "in_use"), (old["kid"], "retired"),
    ]  # fmt: skip


def test_a_key_in_use_is_not_retired(desk: Desk) -> None:
    desk.done("create")
    for purpose in ("at_rest", "subject", "authority", "issuer"):
        refused = desk.type("retire", desk.rows(purpose)[0]["kid"], "--compromised")
        assert refused.exit_code == 1 and "still needed" in refused.stderr


def test_what_is_due_turns_and_nothing_else(desk: Desk) -> None:
    desk.done("create")
    assert desk.done("rotate", "--due") == []
    assert desk.type("rotate").exit_code == 2
    assert desk.type("rotate", "signing", "--due").exit_code == 2


def test_an_operators_authority(desk: Desk) -> None:
    desk.done("create", "--operator")
    (waiting,) = desk.rows("issuer")
    assert waiting["state"] == "waits_for_certificate" and not desk.rows("authority")
    assert len(desk.done("list")["told"]) == 3
    assert desk.done("request", waiting["kid"]).startswith("-----BEGIN CERTIFICATE REQUEST-----")
    (desk.folder / "chain.pem").write_text("nothing")
    refused = desk.type("install", waiting["kid"], str(desk.folder / "chain.pem"))
    assert refused.exit_code == 1 and "in this order" in refused.stderr
    assert desk.type("install", waiting["kid"], str(desk.folder / "absent.pem")).exit_code == 3


def test_nothing_printed_is_a_key(desk: Desk) -> None:
    desk.done("create")
    printed = desk.type("list").output + desk.type("rotate", "at_rest", "signing").output
    for key in keys.open_ring(desk.file, MASTER).secret_keys:
        assert key.value.hex() not in printed and base64.b64encode(key.value).decode() not in printed


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda desk: (desk.folder / "master.key").write_bytes(base64.b64encode(b"n" * 32)), "another master key"),
        (lambda desk: (desk.folder / "master.key").write_bytes(b"short"), "master key is not"),
        (lambda desk: (desk.folder / "master.key").unlink(), "No such file"),
        (lambda desk: desk.file.write_bytes(b"ALK9" + secrets.token_bytes(50)), "not a key file"),
        (lambda desk: desk.file.unlink(), "alicem keys create"),
        (lambda desk: (desk.folder / "alicem.toml").unlink(), "No such file"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(desk: Desk, harm: Any, words: str) -> None:
    desk.done("create")
    harm(desk)
    for command in (("list",), ("rotate", "signing"), ("retire", "x"), ("reencrypt",)):
        result = desk.type(*command)
        assert result.exit_code == 3 and words in " ".join(result.stderr.split()), command


def test_another_master_key_takes_the_place_of_the_old(desk: Desk) -> None:
    desk.done("create")
    before = desk.done("list")
    desk.done("rewrap", str(desk.folder / "new.key"))
    assert desk.done("list") == before
    assert (desk.folder / "master.key").read_bytes() != base64.b64encode(MASTER)


def test_the_key_in_use_is_the_one_the_list_says(desk: Desk) -> None:
    desk.done("create")
    ring = keys.open_ring(desk.file, MASTER)
    assert desk.rows("signing")[0]["kid"] == ring.signing("signing", datetime.now(UTC)).kid


def test_what_was_done_is_in_the_journal(desk: Desk, tmp_path: Path) -> None:
    desk.done("create")
    (old,) = desk.rows("transaction")
    (new,) = desk.done("rotate", "transaction", "--at-once")
    desk.done("retire", old["kid"], "--compromised")
    desk.done("rewrap", str(tmp_path / "new.key"))
    with contextlib.closing(sqlite3.connect(tmp_path / "alicem.db")) as database:
        rows = database.execute("select event, account, content from journal order by number").fetchall()
    assert [(event, account, json.loads(content)) for event, account, content in rows] == [
        ("key_made", None, {"kid": new["kid"], "purpose": "transaction", "at_once": True}),
        ("key_retired", None, {"kid": old["kid"], "compromised": True}),
        ("master_key_changed", None, {}),
    ]


def test_a_stolen_key_turns_while_the_database_is_away_and_that_is_said(desk: Desk) -> None:
    desk.done("create")
    (desk.folder / "alicem.db").write_bytes(b"no database" * 100)
    result = desk.type("rotate", "signing", "--at-once")
    assert result.exit_code == 0 and "the journal does not tell of this" in result.stderr
    assert len(desk.rows("signing")) == 2

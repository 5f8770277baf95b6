"""`alicem db`, typed as an operator does: the drill of docs/operate.md, and what goes wrong in it."""

from __future__ import annotations

import base64
import json
import os
import secrets
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import text
from typer.testing import CliRunner

from alicem import journal, keys
from alicem.cli import build
from alicem.store import Store, upgrade
from desk_settings import desk_settings


class Desk:
    """A provider's folder; `url`: of its database."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        folder.mkdir(exist_ok=True)
        (folder / "alicem.toml").write_text(desk_settings(url))
        (folder / "master.key").write_bytes(base64.b64encode(b"m" * 32))

    def type(self, *words: str) -> Result:
        return CliRunner().invoke(build(words[0]), [*words, "--config", str(self.folder / "alicem.toml")])

    def done(self, *words: str) -> Any:
        result = self.type(*words)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout) if result.stdout.startswith(("[", "{")) else result.stdout

    def refused(self, *words: str) -> str:
        result = self.type(*words)
        assert result.exit_code in (1, 3), (result.exit_code, result.stderr)
        return " ".join(result.stderr.split())

    def live(self, event: str) -> None:
        """Something happens, and is sealed."""
        store = Store(self.url)
        upgrade(store.engine)
        ring = keys.open_ring(self.folder / "keys.bin", b"m" * 32)
        now = datetime.now(UTC)
        with store.engine.execution_options(alicem_writes=True).begin() as connection:
            journal.append(connection, now, event, secrets.token_bytes)
            journal.seal(connection, ring.signing("journal", now), now)
        store.close()

    def events(self) -> list[str]:
        store = Store(self.url)
        with store.engine.connect() as connection:
            found = [row.event for row in connection.execute(text("select event from journal order by number"))]
        store.close()
        return found


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Desk:
    desk = Desk(tmp_path / "one", database_url)
    desk.done("keys", "create")
    return desk


def test_the_drill(desk: Desk, tmp_path: Path) -> None:
    """As docs/operate.md has it: back up, go on, lose the machine, come back on another with the journal kept elsewhere."""
    desk.live("signed_in")
    file, kept, said = (str(tmp_path / name) for name in ("a.backup", "journal.jsonl", "checkpoints"))
    desk.done("db", "backup", file)
    assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
    desk.live("sign_in_refused")
    desk.done("journal", "export", kept)
    desk.done("journal", "checkpoint", "--out", said)
    fresh = Desk(tmp_path / "two", f"sqlite:///{tmp_path}/two.db")
    report = fresh.done("db", "restore", file, "--journal", kept)
    assert (report["rows"]["journal"], report["suspended"], report["erased"], report["tries"]) == (1, 0, 0, 1)
    assert fresh.events() == ["signed_in", "restored"]
    assert {row["kid"] for row in desk.done("keys", "list")["keys"]} < {
        row["kid"] for row in fresh.done("keys", "list")["keys"]
    }
    fresh.live("signed_in")
    found = fresh.type("journal", "verify", "--against", said)
    assert found.exit_code == 0 and "a backup of" in found.output + found.stderr


def test_a_restore_is_never_typed_by_mistake(desk: Desk, tmp_path: Path) -> None:
    desk.live("signed_in")
    file = str(tmp_path / "a.backup")
    desk.done("db", "backup", file)
    assert desk.type("db", "restore", file).exit_code == 2
    assert desk.type("db", "restore", file, "--no-journal", "--journal", file).exit_code == 2
    assert desk.type("db", "restore", file, "--no-journal", "--tries", "5").exit_code == 2
    assert "--replace drops it" in desk.refused("db", "restore", file, "--no-journal")
    assert desk.events() == ["signed_in", "backup_made"]
    desk.done("db", "restore", file, "--no-journal", "--replace")
    assert desk.events() == ["signed_in", "restored"]


@pytest.mark.parametrize("wrong", ["absent", "empty", "other", "master", "no master", "journal", "keys"])
def test_what_is_wrong_is_said_and_nothing_changes(desk: Desk, tmp_path: Path, wrong: str) -> None:
    desk.live("signed_in")
    file, kept = tmp_path / "a.backup", tmp_path / "journal.jsonl"
    desk.done("db", "backup", str(file))
    desk.done("journal", "export", str(kept))
    given = ["--journal", str(kept), "--replace"]
    match wrong:
        case "absent":
            file.unlink()
        case "empty":
            file.write_bytes(b"")
        case "other":
            file.write_bytes(os.urandom(1000))
        case "master":
            (tmp_path / "old.key").write_bytes(base64.b64encode(b"o" * 32))
            given += ["--master-key-file", str(tmp_path / "old.key")]
        case "no master":
            (tmp_path / "old.key").write_bytes(b"abc")
            given += ["--master-key-file", str(tmp_path / "old.key")]
        case "journal":
            kept.write_bytes(kept.read_bytes()[:-9])
        case "keys":
            (desk.folder / "keys.bin").write_bytes(b"ALK2" + bytes(50))
    said = desk.refused("db", "restore", str(file), *given)
    expected = {
        "absent": "No such file", "empty": "not a backup", "other": "not a backup", "master": "another master key",
        "no master": "not a master key", "journal": "line", "keys": "does not open",
    }  # fmt: skip
    assert expected[wrong] in said
    assert desk.events() == ["signed_in", "backup_made"]


def test_a_backup_under_an_earlier_master_key_comes_back(desk: Desk, tmp_path: Path) -> None:
    desk.live("signed_in")
    desk.done("db", "backup", str(tmp_path / "a.backup"))
    (tmp_path / "old.key").write_bytes((desk.folder / "master.key").read_bytes())
    desk.done("keys", "rewrap", str(tmp_path / "new.key"))
    again = ("db", "restore", str(tmp_path / "a.backup"), "--no-journal", "--replace")
    assert "another master key" in desk.refused(*again)
    desk.done(*again, "--master-key-file", str(tmp_path / "old.key"))
    assert desk.done("keys", "list")["told"] == []


def test_a_backup_is_whole_where_the_journal_takes_no_row(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk", f"sqlite:///{tmp_path}/alicem.db")
    desk.done("keys", "create")
    desk.live("signed_in")
    store = Store(desk.url)
    with store.engine.execution_options(alicem_writes=True).begin() as connection:
        connection.execute(
            text("CREATE TRIGGER full BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'no room'); END")
        )
    result = desk.type("db", "backup", str(tmp_path / "a.backup"))
    assert result.exit_code == 0 and "the journal does not tell of it" in result.stderr
    with store.engine.execution_options(alicem_writes=True).begin() as connection:
        connection.execute(text("DROP TRIGGER full"))
    store.close()
    desk.done("db", "restore", str(tmp_path / "a.backup"), "--no-journal", "--replace")


def test_what_has_no_schema_is_not_backed_up(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "new", f"sqlite:///{tmp_path}/new.db")
    desk.done("keys", "create")
    assert "alicem db upgrade" in desk.refused("db", "backup", str(tmp_path / "a.backup"))
    assert not list(tmp_path.glob("a.backup*"))


def test_the_schema_is_made_and_made_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "new", f"sqlite:///{tmp_path}/new.db")
    for _ in range(2):
        desk.done("db", "upgrade")
    assert desk.events() == []

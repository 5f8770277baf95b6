"""`alicem jobs run`: report, guard and exit status, beside the database of a provider; and the same by the server itself."""

import asyncio
import base64
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from account_world import World
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from alicem import app
from alicem.accounts import records
from alicem.cli import build
from alicem.settings import load

SETTINGS = """
[service]
profile = "development"
origin = "http://localhost:8000"
roles = ["web", "provider"]
[database]
url = "{url}"
[keys]
file = "keys.bin"
[trust]
folder = "trust"
[registry]
url = "http://127.0.0.1:9"
token_file = "none"
[mail]
host = "127.0.0.1"
port = 9
sender = "alicem@example.org"
"""


@pytest.fixture
def config(world: World, database_url: str, tmp_path: Path) -> Path:
    """Settings of a provider with three accounts of today and one that nobody used since 2020."""
    file = tmp_path / "alicem.toml"
    file.write_text(SETTINGS.format(url=database_url))
    world.clock.at = datetime.now(UTC)
    for number in range(3):
        world.enrol(str(number), suspension_code=str(number) * 20)
    crowd(world, 1)
    return file


def crowd(world: World, due: int) -> None:
    for number in range(1, due + 1):
        values = {"fingerprint": f"k:{number}", "suspension": b"s%d" % number, "state": "active"}
        months = {"used_month": "2020-01", "checked_month": "2020-01"}
        world.do(lambda c, number=number, row=values | months: records.add_account(c, number=number, **row))


def run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(build("jobs"), ["jobs", "run", "--config", str(config), *words])


def left(world: World) -> int:
    return int(world.do(lambda c: c.exec_driver_sql("select count(*) from accounts").scalar_one()))


def test_it_erases_and_says_how_many(world: World, config: Path) -> None:
    result = run(config, "--json")
    assert result.exit_code == 0, result.output
    expected = {"identity_check": 1, "idle": 0, "unfinished": 0, "phones": 0, "journal_rows": 0}
    assert json.loads(result.stdout) == {"retention": expected}
    assert left(world) == 3
    again = run(config)
    assert again.exit_code == 0
    assert again.stdout.splitlines()[0] == "accounts erased, the identity check too long ago: 0"


def test_it_sweeps_too(world: World, config: Path) -> None:
    world.do(lambda c: records.spend_challenge(c, b"old", 1))
    world.do(lambda c: records.spend_challenge(c, b"new", 2**31 - 1))
    assert run(config).exit_code == 0
    left_over = world.do(lambda c: c.exec_driver_sql("select digest from challenges").scalars().all())
    assert b"new" in left_over
    assert b"old" not in left_over


def test_a_great_share_wants_a_word_more(world: World, config: Path) -> None:
    world.do(lambda c: c.exec_driver_sql("delete from accounts where number = 1"))
    crowd(world, 101)
    refused = run(config)
    assert refused.exit_code == 1
    said = " ".join(refused.output.split())
    assert "101 of 104 accounts would be erased at once" in said
    assert f"{datetime.now(UTC):%Y}" in said
    assert "--all" in said
    assert left(world) == 104
    assert run(config, "--all").exit_code == 0
    assert left(world) == 3


def test_its_help_names_every_option(config: Path) -> None:
    result = CliRunner().invoke(build("jobs"), ["jobs", "run", "--help"], env={"TERM": "dumb", "COLUMNS": "200"})
    assert result.exit_code == 0
    assert set(re.findall(r"--[a-z]+", result.output)) == {"--config", "--all", "--json", "--help"}


def test_what_is_wrong_has_its_exit_status(config: Path, database_url: str, tmp_path: Path) -> None:
    assert run(config, "--every").exit_code == 2
    assert run(tmp_path / "none.toml").exit_code == 3
    config.write_text(config.read_text().replace(database_url, f"sqlite:///{tmp_path}/another.db"))
    empty = run(config)
    assert empty.exit_code == 3
    assert "no such table" in empty.output


@pytest.mark.parametrize(
    "term",
    ["identity_check_years = 0", "idle_years = -1", "unfinished_months = 0", "journal_years = 0", "most_at_once = 2"],
)
def test_a_term_that_would_erase_everybody_is_refused(world: World, config: Path, term: str) -> None:
    config.write_text(f"{config.read_text()}[retention]\n{term}\n")
    result = run(config)
    assert result.exit_code == 3
    assert "retention: terms of at least 1" in " ".join(result.output.split())
    assert left(world) == 4


def serve_until(config: Path, monkeypatch: pytest.MonkeyPatch, happened: Callable[[list[str]], bool]) -> str:
    """Start the server and stop it once something is logged; its log."""
    monkeypatch.setenv("ALICEM_MASTER_KEY", base64.b64encode(b"m" * 32).decode())
    for name, text in (("none", "t" * 40), ("clients.toml", "")):
        (config.parent / name).write_text(text)
    (config.parent / "trust").mkdir()

    async def live() -> None:
        parts = app.build(load(config))
        until = time.monotonic() + 20
        async with parts.app.router.lifespan_context(parts.app):
            while not happened([entry["event"] for entry in logs]):
                assert time.monotonic() < until, logs
                await asyncio.sleep(0.02)

    with capture_logs() as logs:
        asyncio.run(live())
    return json.dumps(logs)


def test_the_server_does_it_by_itself_and_tells_counts_alone(
    world: World, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = serve_until(config, monkeypatch, lambda events: "retention" in events)
    assert left(world) == 3
    assert (
        '{"identity_check": 1, "idle": 0, "unfinished": 0, "phones": 0, "journal_rows": 0, "event": "retention"' in log
    )


def test_the_server_erases_no_great_share_and_says_so(
    world: World, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.do(lambda c: c.exec_driver_sql("delete from accounts where number = 1"))
    crowd(world, 101)
    log = serve_until(config, monkeypatch, lambda events: any("clock" in event for event in events))
    assert left(world) == 104
    assert '"due": 101, "accounts": 104' in log

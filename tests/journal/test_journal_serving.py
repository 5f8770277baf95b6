"""A running server seals each second, and goes on when its table or its key was away for a while: what waited is sealed, nothing is lost."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from journals import SETTINGS
from structlog.testing import capture_logs

from alicem import app, journal, keys
from alicem.app import Parts
from alicem.keys import Keys
from alicem.keys.file import write as write_ring
from alicem.settings import load

MASTER = b"m" * 32


@pytest.fixture
def folder(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALICEM_MASTER_KEY", base64.b64encode(MASTER).decode())
    settings = SETTINGS.format(url=database_url).replace('origin = "', 'roles = ["web"]\norigin = "')
    (tmp_path / "alicem.toml").write_text(settings)
    (tmp_path / "none").write_text("t" * 40)
    (tmp_path / "clients.toml").write_text("")
    (tmp_path / "trust").mkdir()
    keys.create(tmp_path / "keys.bin", MASTER, now=datetime.now(UTC), rng=secrets.token_bytes, host="localhost")
    return tmp_path


async def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


async def waiting(parts: Parts) -> int:
    return (await parts.store.read(lambda c: journal.window(c, datetime.now(UTC)))).rows


async def append(parts: Parts) -> None:
    now = datetime.now(UTC)
    await parts.store.write(lambda c: journal.append(c, now, "signed_in", secrets.token_bytes))


async def sealed(parts: Parts) -> None:
    end = time.monotonic() + 20
    while await waiting(parts):
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


def rename(parts: Parts, name: str, other: str) -> None:
    with parts.store.engine.begin() as connection:
        connection.exec_driver_sql(f"alter table {name} rename to {other}")


def without_journal_keys(ring: Keys) -> Keys:
    return replace(ring, signing_keys=tuple(key for key in ring.signing_keys if key.purpose != "journal"))


@pytest.mark.parametrize("away", ["table", "key"])
def test_sealing_goes_on_once_what_was_away_is_back(folder: Path, away: str) -> None:
    ring = keys.open_ring(folder / "keys.bin", MASTER)

    async def live() -> None:
        parts = app.build(load(folder / "alicem.toml"))
        async with parts.app.router.lifespan_context(parts.app):
            await append(parts)
            await sealed(parts)
            if away == "table":
                rename(parts, "journal_segments", "elsewhere")
            else:
                write_ring(folder / "keys.bin", MASTER, without_journal_keys(ring), secrets.token_bytes)
            await until(lambda: any(entry.get("job") == "_seal" for entry in logs))
            await append(parts)
            if away == "table":
                rename(parts, "elsewhere", "journal_segments")
            else:
                assert await waiting(parts) == 1
                write_ring(folder / "keys.bin", MASTER, ring, secrets.token_bytes)
            await sealed(parts)
            assert await parts.store.read(lambda c: journal.verify(c, ring.signing_all("journal"))) == 2

    with capture_logs() as logs:
        asyncio.run(live())
    assert {entry["log_level"] for entry in logs if entry.get("job") == "_seal"} == {"error"}

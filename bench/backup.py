"""Backing up and bringing back a database of so many accounts, on SQLite and PostgreSQL: rows a second, and what the file weighs.

python -m bench.backup --accounts 1000000
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import postgres  # noqa: E402
from alicem import keys, recovery  # noqa: E402
from alicem.recovery import Place  # noqa: E402
from alicem.store import Store, upgrade  # noqa: E402
from bench.people import fill  # noqa: E402

Row = tuple[str, float | str, str, str]
MASTER = b"m" * 32


def rows(accounts: int = 100_000) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = _table("SQLite", f"sqlite:///{folder}/alicem.db", folder / "sqlite", accounts)
        try:
            with postgres.running() as cluster:
                url = cluster.url(cluster.create())
                return found + _table("PostgreSQL", url, folder / "postgresql", accounts)
        except postgres.PostgresMissing as missing:
            return [*found, ("backup, PostgreSQL", "-", "", str(missing))]


def _table(kind: str, url: str, folder: Path, accounts: int) -> list[Row]:
    folder.mkdir()
    now = datetime.now(UTC)
    keys.create(folder / "keys.bin", MASTER, now=now, rng=os.urandom, host="localhost")
    store = Store(url)
    upgrade(store.engine)
    fill(store.engine, accounts)
    place, file = Place(store.engine, folder / "keys.bin", MASTER), folder / "backup"
    given: dict[str, Any] = {"master": MASTER, "since": None, "replace": True, "tries": 1}
    _, out = _timed(lambda: recovery.back_up(place, file, now=now, rng=os.urandom))
    restored, back = _timed(lambda: recovery.restore(place, file, now=now, rng=os.urandom, **given))
    store.close()
    count, weight = sum(restored.rows.values()), file.stat().st_size / accounts
    return [
        (
            f"backup, {kind}",
            count / out,
            "rows/s",
            f"{accounts} accounts in {out:.1f} s; {weight:.0f} bytes an account",
        ),
        (f"restore, {kind}", count / back, "rows/s", f"in {back:.1f} s, with every index and a status list of revoked"),
    ]


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.perf_counter()
    return work(), time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.backup")
    parser.add_argument("--accounts", type=int, default=100_000)
    for name, value, unit, note in rows(parser.parse_args().accounts):
        print(f"{name:30} {value:10.3g} {unit:8} {note}")


if __name__ == "__main__":
    main()

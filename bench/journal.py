"""The journal: what a row costs, what sealing takes of a core at full load, how long a million rows are verified, from the database and from a file.

Rows are sign-ins, 1,500 a seal as in a second of full load; SQLite lies on the disk of temporary files, PostgreSQL is the machine's own, both
durable. Processor time is this process's, so PostgreSQL's own is not in it.
"""

from __future__ import annotations

import contextlib
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import postgres
from alicem import journal
from alicem.journal import public_keys, verify_parts
from alicem.journal.export import lines, read
from alicem.keys import SigningKey
from alicem.store import Store, upgrade

Row = tuple[str, float, str, str]
NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEY = SigningKey(
    kid="journal-20261121-abcdef",
    purpose="journal",
    private=ec.generate_private_key(ec.SECP256R1()),
    created=NOW,
    used_from=NOW,
    use_by=None,
)
A_SECOND = 1_500
MILLION = 1_000_000
QUIET = 10_000  # seals over one row each


def rows() -> list[Row]:
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        with _opened(f"sqlite:///{folder}/full.db") as store:
            found += _filling(store, "SQLite", MILLION // A_SECOND + 1)
            found += _verifying(store, "SQLite")
            found += _by_file(store, Path(folder) / "journal.jsonl")
        with _opened(f"sqlite:///{folder}/quiet.db") as store:
            found += _quiet(store)
    try:
        with postgres.running() as cluster, _opened(cluster.url(cluster.create())) as store:
            found += _filling(store, "PostgreSQL", 100)
            found += _verifying(store, "PostgreSQL")
    except postgres.PostgresMissing as missing:
        found.append(("PostgreSQL", 0.0, "", str(missing)))
    return found


@contextlib.contextmanager
def _opened(url: str) -> Iterator[Store]:
    store = Store(url)
    upgrade(store.engine)
    yield store
    store.close()


def _filling(store: Store, name: str, seconds: int) -> list[Row]:
    """So many seconds of full load, one after the other."""
    appending = sealing = waiting = 0.0
    with store.engine.execution_options(alicem_writes=True).connect() as connection:
        for second in range(seconds):
            at = NOW + timedelta(seconds=second)
            begun = time.process_time()
            with connection.begin():
                for _ in range(A_SECOND):
                    _append(connection, at)
            appending += time.process_time() - begun
            begun, wall = time.process_time(), time.perf_counter()
            with connection.begin():
                journal.seal(connection, KEY, at)
            sealing += time.process_time() - begun
            waiting += time.perf_counter() - wall
    share = 100 * sealing / seconds
    return [
        (
            f"append, {name}",
            1e6 * appending / seconds / A_SECOND,
            "µs",
            "processor time a row, in a transaction of many",
        ),
        (f"seal {A_SECOND} rows, {name}", 1e3 * waiting / seconds, "ms", "wall, on disk; a seal has a second"),
        (f"share of a core, {name}", share, "%", f"processor time of sealing at {A_SECOND} rows a second"),
    ]


def _append(connection: Connection, at: datetime) -> None:
    journal.append(connection, at, "signed_in", secrets.token_bytes, content={"level": "eidas3"})


def _verifying(store: Store, name: str) -> list[Row]:
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: proc(5)
    begun = time.perf_counter()
    with store.engine.connect() as connection:
        sealed = journal.verify(connection, [KEY])
    seconds = (time.perf_counter() - begun) * MILLION / sealed
    grown = _memory("VmHWM") - before
    return [
        (f"verify a million rows, {name}", seconds, "s", f"{sealed} rows; {grown:.0f} MB more than before; goal 60 s")
    ]


def _by_file(store: Store, file: Path) -> list[Row]:
    begun = time.perf_counter()
    with store.engine.connect() as connection, file.open("w") as stream:
        stream.writelines(lines(journal.whole(connection)))
    written = time.perf_counter() - begun
    begun = time.perf_counter()
    with file.open("rb") as stream:
        sealed = verify_parts(read(stream), public_keys([KEY])).sealed
    seconds, size = (time.perf_counter() - begun) * MILLION / sealed, file.stat().st_size / 1e6
    return [
        ("export a million rows", written * MILLION / sealed, "s", f"{size:.0f} MB for {sealed} rows"),
        ("verify a million rows, exported", seconds, "s", "with public keys alone"),
    ]


def _quiet(store: Store) -> list[Row]:
    """A row a second: what is verified is seals."""
    with store.engine.execution_options(alicem_writes=True).begin() as connection:
        for second in range(QUIET):
            at = NOW + timedelta(seconds=second)
            _append(connection, at)
            journal.seal(connection, KEY, at)
        size = connection.exec_driver_sql("select sum(length(seal) + 64 + 40) from journal_segments").scalar_one()
    begun = time.perf_counter()
    with store.engine.connect() as connection:
        journal.verify(connection, [KEY])
    rate = QUIET / (time.perf_counter() - begun)
    return [
        (
            "seals verified, a row each",
            rate,
            "1/s",
            f"{size / QUIET:.0f} bytes a seal; a year of seconds: {31.5e6 / rate / 60:.0f} min",
        )
    ]


def _memory(name: str) -> float:
    """Megabytes (proc(5))."""
    found = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(found.split()[1]) / 1000


if __name__ == "__main__":
    for row in rows():
        print(*row, sep=" | ")

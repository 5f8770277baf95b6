"""A PostgreSQL of the machine's own packages for tests and measurements: a temporary cluster on a Unix socket, without TCP.

Everything is as an operator would have it, `fsync` too; the cluster goes with the process that started it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg

from alicem.store import Store

ADMINISTRATOR, ROLE = "postgres", "alicem"
MISSING = "PostgreSQL is missing; please type:  sudo apt-get install postgresql"
SETTINGS = {"listen_addresses": "", "deadlock_timeout": "100ms", "log_error_verbosity": "terse"}


class PostgresMissing(Exception):
    """No `initdb` and `postgres` on this machine, or nobody they would run as; the message is the line to type."""


@dataclass
class Cluster:
    """A running server. `folder` holds its socket."""

    folder: Path
    start: Callable[[], subprocess.Popen[bytes]]

    def __post_init__(self) -> None:
        self._numbers = count(1)
        self.server = self.start()

    def crash(self) -> None:
        """End at once, as with the power: nothing is finished, nothing is written that was not. Then start again and recover."""
        self.server.send_signal(signal.SIGQUIT)  # "immediate"
        self.server.wait(timeout=30)
        self.server = self.start()
        _wait(self)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{ROLE}@/{database}?host={self.folder}"

    def create(self, template: str = "template1") -> str:
        """The name of a new database, a copy of another to which nobody is connected."""
        name = f"database_{next(self._numbers)}"
        self._administer(f"create database {name} owner {ROLE} template {template}")
        return name

    def drop(self, database: str) -> None:
        self._administer(f"drop database {database} with (force)")

    def made_by(self, build: Callable[[Store], None]) -> str:
        """The name of a new database that `build` fills: a template."""
        name = self.create()
        store = Store(self.url(name))
        build(store)
        store.close()
        return name

    def _administer(self, statement: str) -> None:
        with psycopg.connect(
            host=str(self.folder), user=ADMINISTRATOR, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """A cluster for as long as the block lasts. Raises `PostgresMissing`."""
    programs, user = _programs(), _user()
    folder = Path(tempfile.mkdtemp(prefix="alicem-pg-"))  # short: the path of a socket holds 107 bytes
    if user is not None:
        shutil.chown(folder, user)
    initdb = ["initdb", "-D", f"{folder}/data", "-U", ADMINISTRATOR, "-A", "trust", "-E", "UTF8", "--locale=C"]
    subprocess.run(_command(programs, user, [*initdb, "--no-sync"]), check=True, stdout=subprocess.DEVNULL, cwd=folder)
    given = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    command = _command(programs, user, ["postgres", "-D", f"{folder}/data", "-k", str(folder), *given])

    def start() -> subprocess.Popen[bytes]:
        with (folder / "log").open("a") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)

    cluster = Cluster(folder, start)
    try:
        _wait(cluster)
        cluster._administer(f"create role {ROLE} login")
        yield cluster
    finally:
        cluster.server.send_signal(signal.SIGINT)  # "fast": connections are cut, what is committed stays
        cluster.server.wait(timeout=30)
        shutil.rmtree(folder)


def _programs() -> Path:
    known = [Path(name).resolve().parent for name in filter(None, [shutil.which("initdb")])]
    packaged = Path("/usr/lib/postgresql").glob("*/bin")
    for folder in sorted(packaged, key=lambda one: float(one.parent.name), reverse=True) + known:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresMissing(MISSING)


def _user() -> str | None:
    """Whom the server runs as: it refuses root."""
    if os.geteuid() != 0:
        return None
    if shutil.which("setpriv") is None:
        raise PostgresMissing("setpriv is missing; please type:  sudo apt-get install util-linux")
    return "postgres"


def _command(programs: Path, user: str | None, command: list[str]) -> list[str]:
    """The server ends with the process that started it, where setpriv can promise that."""
    command = [str(programs / command[0]), *command[1:]]
    if shutil.which("setpriv") is None:
        return command
    changed = [] if user is None else [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    return ["setpriv", *changed, "--pdeathsig=INT", *command]


def _wait(cluster: Cluster) -> None:
    until = time.monotonic() + 60
    while cluster.server.poll() is None and time.monotonic() < until:
        with contextlib.suppress(psycopg.OperationalError):
            cluster._administer("select 1")
            return
        time.sleep(0.05)
    raise RuntimeError("PostgreSQL did not start: " + (cluster.folder / "log").read_text()[-2000:])

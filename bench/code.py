"""An instruction signed with the security code, end to end, each try durable: what it costs the server, on SQLite and PostgreSQL in one run.

The server is `alicem serve` in a process of its own; phones are in others, three right codes and a wrong one in turn (bench/phones.py). Times
are processor time, system calls included, of the best of some rounds; PostgreSQL's own processes are told apart. Beside it two floors of the same
run: the same HTTP server answering posts of the same lengths, and the cryptography alone.

    python -m bench.code --accounts 10000 1000000 10000000 --on sqlite

fills databases with so many accounts (ten million: some minutes and 10 GB in the folder for temporary files), measures, and removes them.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from starlette.types import Receive, Scope, Send

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import postgres  # noqa: E402
from alicem import keys  # noqa: E402
from alicem.store import Store, upgrade  # noqa: E402
from alicem.web.http import BoundedHttp  # noqa: E402
from bench import phones  # noqa: E402
from bench.people import choose, fill  # noqa: E402
from bench.phones import LINES, PROCESSES, Load, Phone  # noqa: E402

Row = tuple[str, float | str, str, str]
ACCOUNTS = (10_000, 100_000)
PHONES, EACH, ROUNDS = 2048, 50, 4
"""Phones that instruct; instructions of each line in a round, which ends before a challenge does; rounds, the best of which is told."""
COUNT = EACH * LINES * PROCESSES
_TICK = os.sysconf("SC_CLK_TCK")
_SETTINGS = """
[service]
profile = "development"
origin = "{origin}"
listen = "{listen}"
roles = ["web", "provider"]

[database]
url = "{url}"

[keys]
file = "keys.bin"
master_key_file = "master.key"
levels = {{ software = "substantial" }}

[trust]
folder = "."
specimen = true

[registry]
url = "http://127.0.0.1:9"
token_file = "token"
simulated = true

[mail]
host = "127.0.0.1"
port = 9
sender = "alicem@example.org"
tls = "none"

[limits]
instructions_per_minute_and_address = 1000000000
approvals_per_hour_and_account = 1000000000

[log]
file = "log"
"""


@dataclass(frozen=True)
class Spent:
    """Processor seconds of the server's process, and of its database's."""

    server: float
    database: float = 0.0

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.server - other.server, self.database - other.database)


@dataclass(frozen=True)
class Server:
    """A server in a process of its own. `postmaster`: of its PostgreSQL."""

    origin: str
    pid: int
    postmaster: int | None = None

    def spent(self) -> Spent:
        of_database = () if self.postmaster is None else (self.postmaster, *_children(self.postmaster))
        return Spent(_processor(self.pid), sum(map(_processor, of_database)))


@dataclass(frozen=True)
class Figures:
    """Of one instruction, milliseconds of processor: its challenge, the rest, the database's; and instructions a second of wall."""

    challenge: float
    instruction: float
    database: float
    rate: float

    @property
    def whole(self) -> float:
        return self.challenge + self.instruction


def measure(server: Server, people: list[Phone]) -> list[Figures]:
    """Rounds after one to warm up, the best first."""
    load = Load(server.origin, people)
    found = [_round(server, load) for _ in range(ROUNDS + 1)][1:]
    load.close()
    return sorted(found, key=lambda one: one.whole)


def _round(server: Server, load: Load) -> Figures:
    before = server.spent()
    asking, _ = load.do(phones.ask, EACH)
    asked = server.spent()
    load.do(phones.sign, EACH)
    rested = server.spent()
    instructing, outcomes = load.do(phones.instruct, EACH)
    challenge, instruction = asked - before, server.spent() - rested
    _expect(outcomes)
    milliseconds = (challenge.server, instruction.server, challenge.database + instruction.database)
    return Figures(*(one / COUNT * 1000 for one in milliseconds), COUNT / (asking + instructing))


def _expect(outcomes: Counter[str]) -> None:
    if set(outcomes) != {"done", "code_wrong"} or outcomes.total() != COUNT:
        raise RuntimeError(f"{COUNT} instructions were answered {dict(outcomes)}")


def http_alone() -> float:
    """Milliseconds of processor for two posts of the same lengths that mean nothing, in a server that does nothing."""
    port = _free_port()
    with _process([sys.executable, "-m", "bench.code", "floor", str(port)], port) as server:
        load = Load(server.origin, [Phone(1, 1, 1)] * LINES * PROCESSES)
        spent = []
        for _ in range(ROUNDS + 1):
            before = server.spent()
            load.do(phones.post_alike, EACH)
            spent.append((server.spent() - before).server / COUNT * 1000)
        load.close()
    return min(spent)


def cryptography_alone() -> float:
    """Milliseconds of processor in this process: two signatures verified and, for a right code, a key drawn and agreed on."""
    key = ec.generate_private_key(ec.SECP256R1())
    public, signed = key.public_key(), key.sign(b"", ec.ECDSA(SHA256()))

    def once(number: int) -> None:
        for _ in range(2):
            public.verify(signed, b"", ec.ECDSA(SHA256()))
        if number % phones.WRONG_EVERY:
            ec.generate_private_key(ec.SECP256R1()).exchange(ec.ECDH(), public)

    spent = []
    for _ in range(ROUNDS + 1):
        before = time.process_time()
        for number in range(COUNT):
            once(number)
        spent.append((time.process_time() - before) / COUNT * 1000)
    return min(spent)


async def empty(_scope: Scope, receive: Receive, send: Send) -> None:
    """An application that reads what it is sent and answers as many bytes as an instruction has."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"400")]})
    await send({"type": "http.response.body", "body": b"x" * 400})


@contextlib.contextmanager
def _process(command: list[str], port: int) -> Iterator[Server]:
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            _wait(port, process)
            yield Server(f"http://127.0.0.1:{port}", process.pid)
        finally:
            process.send_signal(signal.SIGTERM)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise RuntimeError("the server did not start")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def serving(url: str | None, accounts: int) -> Iterator[tuple[Server, list[Phone]]]:
    """`alicem serve` over a database with so many accounts, and the phones that instruct it."""
    with tempfile.TemporaryDirectory(prefix="alicem-bench-") as name:
        folder, master, port = Path(name), secrets.token_bytes(32), _free_port()
        url = url or f"sqlite:///{folder / 'alicem.db'}"
        ring = keys.create(
            folder / "keys.bin", master, now=datetime.now(UTC), rng=secrets.token_bytes, host="127.0.0.1"
        )
        (folder / "master.key").write_text(base64.b64encode(master).decode())
        (folder / "clients.toml").write_text("")
        (folder / "token").write_text("none")
        listen = f"127.0.0.1:{port}"
        (folder / "alicem.toml").write_text(_SETTINGS.format(origin=f"http://{listen}", listen=listen, url=url))
        people = _founded(url, accounts, ring)
        os.sync()  # what was filled in haste is on disk before anything is measured
        command = [sys.executable, "-m", "alicem", "serve", "--config", str(folder / "alicem.toml")]
        with _process(command, port) as server:
            _rest(server)
            yield server, people


def _rest(server: Server) -> None:
    """Wait for the end of the daily run, which begins with the server and looks at every account."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        before = server.spent()
        time.sleep(0.5)
        if (server.spent() - before).server <= 0.02:
            return
    raise RuntimeError("the server does not come to rest")


def _founded(url: str, accounts: int, ring: keys.KeyRing) -> list[Phone]:
    store = Store(url)
    upgrade(store.engine)
    fill(store.engine, accounts)
    with store.engine.execution_options(alicem_writes=True).begin() as connection:
        people = choose(connection, ring, PHONES)
    store.close()
    return people


def on_sqlite(accounts: int) -> list[Figures]:
    with serving(None, accounts) as (server, people):
        return measure(server, people)


def on_postgresql(accounts: int) -> list[Figures]:
    """Raises `postgres.PostgresMissing`."""
    with postgres.running() as cluster:
        postmaster = int((cluster.folder / "data" / "postmaster.pid").read_text().split()[0])
        with serving(cluster.url(cluster.create()), accounts) as (server, people):
            return measure(replace(server, postmaster=postmaster), people)


DATABASES = {"SQLite": on_sqlite, "PostgreSQL": on_postgresql}


def _processor(pid: int) -> float:
    """Processor seconds of a process so far, system calls included (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def rows_of(database: str, accounts: int) -> list[Row]:
    try:
        best, *others = DATABASES[database](accounts)
    except postgres.PostgresMissing as missing:
        return [(f"code instruction, {database}", "-", "", str(missing))]
    theirs = f"; PostgreSQL's processes {best.database:.2f} beside" if best.database else ""
    note = f"{best.challenge:.2f} of it the challenge; {1000 / best.whole:.0f}/s a core, {best.rate:.0f}/s here; "
    spread = f"other rounds to {max(one.whole for one in others):.2f}{theirs}"
    return [(f"code instruction, {database}, {accounts:,} accounts", best.whole, "ms CPU", note + spread)]


def rows(accounts: Sequence[int] = ACCOUNTS, databases: Sequence[str] = tuple(DATABASES)) -> list[Row]:
    """Figures of one run."""
    found = [row for database in databases for number in accounts for row in rows_of(database, number)]
    http, cryptography = http_alone(), cryptography_alone()
    first = found[0][1]
    assert isinstance(first, float)
    return [
        *found,
        ("floor: HTTP", http, "ms CPU", "two posts of the same lengths, the same server with nothing to do"),
        ("floor: cryptography", cryptography, "ms CPU", "two signatures, and a key agreed on for a right code"),
        (f"code instruction, {databases[0]}, to both floors", first / (http + cryptography), "x CPU", ""),
    ]


def main() -> None:
    if sys.argv[1:2] == ["floor"]:
        uvicorn.run(empty, port=int(sys.argv[2]), log_config=None, http=BoundedHttp, server_header=False)
        return
    parser = argparse.ArgumentParser(prog="python -m bench.code")
    parser.add_argument("--accounts", type=int, nargs="+", default=ACCOUNTS, help="how many there are")
    parser.add_argument("--on", choices=DATABASES, nargs="+", default=tuple(DATABASES))
    asked = parser.parse_args()
    for name, value, unit, note in rows(asked.accounts, asked.on):
        print(f"{name:50} {value:10.3g} {unit:8} {note}")


if __name__ == "__main__":
    main()

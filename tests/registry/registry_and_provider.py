"""A registry in a process of its own and a provider over HTTP, which can both go away and come back."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from sqlalchemy import select
from typer.testing import CliRunner, Result

from alicem import app, keys, registry
from alicem.accounts import records, tables
from alicem.cli import build
from alicem.keys import document_fingerprints
from alicem.registry import CivilStatus, Document, Person
from alicem.registry.notices import notices
from alicem.settings import Database, load
from alicem.store import Store
from alicem.web.server import listening_at
from warm_python import Started, WarmPython

STATUS = CivilStatus("Lefèvre-Œuvrard", "Zoë-Anaïs Marie", None, "female", "1988-05-17", "29019", "99100")
ZOE, FARID = "24AB12345", "19CD67890"
ZOE_PERMIT = "X12345678"
PEOPLE = (
    Person(
        STATUS,
        "1 rue de la Paix",
        (
            Document("FRA", "passport", ZOE, "880517", "341102"),
            Document("FRA", "residence_permit", ZOE_PERMIT, "880517", "341102"),
        ),
    ),
    Person(STATUS, "2 rue de la Paix", (Document("FRA", "passport", FARID, "790302", "331201"),)),
)

ALICEM = """
[service]
profile = "development"
origin = "http://localhost:{port}"
roles = ["web", "provider"]
[database]
url = "sqlite:///{folder}/alicem.db"
[keys]
file = "keys.bin"
master_key_file = "master.key"
[trust]
folder = "trust"
[registry]
url = "http://127.0.0.1:9"
token_file = "token"
notices_token_file = "notices.token"
[mail]
host = "127.0.0.1"
port = 9
sender = "alicem@example.org"
"""
REGISTRY = """
listen = "127.0.0.1:{listen}"
token_file = "token"
notices = {{ url = "http://localhost:{port}/registry/notices", token_file = "notices.token" }}
[database]
url = "sqlite:///{folder}/registry.db"
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def until(happened: Callable[[], Any], seconds: float = 20.0) -> float:
    """Wait for something; how long it took."""
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() - begun < seconds, "it did not happen"
        time.sleep(0.02)
    return time.monotonic() - begun


@dataclass
class Provider:
    """The whole application of `folder`/alicem.toml, in a thread."""

    folder: Path
    port: int
    running: tuple[uvicorn.Server, threading.Thread] | None = None
    database: Store = field(init=False)

    @classmethod
    def found(cls, folder: Path) -> Provider:
        port, master = free_port(), secrets.token_bytes(32)
        for name in ("token", "notices.token"):
            (folder / name).write_text(secrets.token_hex(32))
        (folder / "master.key").write_text(base64.b64encode(master).decode())
        (folder / "clients.toml").write_text("")
        (folder / "trust").mkdir()
        (folder / "alicem.toml").write_text(ALICEM.format(port=port, folder=folder))
        keys.create(folder / "keys.bin", master, now=datetime.now(UTC), rng=secrets.token_bytes, host="localhost")
        return cls(folder, port)

    def __post_init__(self) -> None:
        self.database = Store(f"sqlite:///{self.folder}/alicem.db")

    def start(self) -> None:
        parts = app.build(load(self.folder / "alicem.toml"))
        (listener,) = listening_at(f"127.0.0.1:{self.port}")
        server = uvicorn.Server(uvicorn.Config(parts.app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        until(lambda: server.started)
        self.running = (server, thread)
        self.ring = parts.ring

    def stop(self) -> None:
        if self.running is not None:
            server, thread = self.running
            server.should_exit = True
            thread.join(10)
        self.running = None

    def enrol(self, *numbers: str, kind: str = "passport") -> None:
        """An account for each document."""
        month = f"{datetime.now(UTC):%Y-%m}"
        for number in numbers:
            values = {
                "number": secrets.randbits(53),
                "state": "active",
                "used_month": month,
                "checked_month": month,
                "fingerprint": document_fingerprints(self.ring, "FRA", kind, number, datetime.now(UTC))[0],
                "suspension": secrets.token_bytes(32),
            }
            asyncio.run(self.database.write(lambda c, row=values: records.add_account(c, **row)))  # type: ignore[misc]

    def state(self, number: str, kind: str = "passport") -> str:
        name = document_fingerprints(self.ring, "FRA", kind, number, datetime.now(UTC))[0]
        query = select(tables.accounts.c.state).where(tables.accounts.c.fingerprint == name)
        return str(asyncio.run(self.database.read(lambda c: c.execute(query).scalar_one())))

    def told(self) -> list[str]:
        """The notices that suspended somebody, in order."""
        query = "select content from journal where event = 'account_suspended' order by number"
        rows = asyncio.run(self.database.read(lambda c: c.exec_driver_sql(query).scalars().all()))
        found = [json.loads(row) for row in rows]
        assert all(one["by"] == "registry" for one in found)
        return [one["notice"] for one in found]


@dataclass
class Registry:
    """`alicem registry serve` and the commands beside it."""

    folder: Path
    provider: Provider
    warm: WarmPython
    process: Started | None = None

    def __post_init__(self) -> None:
        self.listen = free_port()
        (self.folder / "token").write_text(secrets.token_hex(32))
        self.use_token((self.provider.folder / "notices.token").read_text())
        text = REGISTRY.format(listen=self.listen, port=self.provider.port, folder=self.folder)
        self.config.write_text(text)
        self.database = Store(f"sqlite:///{self.folder}/registry.db")
        settings = registry.RegistrySettings(Database(f"sqlite:///{self.folder}/registry.db"))
        store = registry.open_store(settings)
        for person in PEOPLE:
            asyncio.run(store.write(lambda c, person=person: registry.add(c, person)))  # type: ignore[misc]
        store.close()

    @property
    def config(self) -> Path:
        return self.folder / "registry.toml"

    def use_token(self, token: str) -> None:
        (self.folder / "notices.token").write_text(token)

    def start(self) -> None:
        words = ("registry", "serve", "--config", str(self.config))
        self.process = self.warm.start(*words, folder=self.folder, log=self.folder / "log")
        until(self._answers)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.listen}/live", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """As by a power cut."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.process = None

    def run(self, *words: str, typed: str | None = None) -> Result:
        command = ["registry", *words, "--config", str(self.config)]
        return CliRunner().invoke(build("registry"), command, input=typed)

    def declare(self, word: str, number: str) -> None:
        result = self.run(word, number)
        assert result.exit_code == 0, result.output

    def owed(self) -> list[tuple[str, int]]:
        """What is not accepted yet: notice, and how often the provider called it malformed."""
        query = select(notices.c.notice, notices.c.refused).order_by(notices.c.number)
        return [(row.notice, row.refused) for row in asyncio.run(self.database.read(lambda c: c.execute(query).all()))]

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def close(self) -> None:
        self.kill()
        self.database.close()

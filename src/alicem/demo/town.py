"""A whole demonstration on this machine: its folder, its settings, its processes. Everything listens on loopback alone.

Each application is a process of its own with a database of its own; the provider has its own folder for database, keys, logs and temporary
files, so that one can search it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from alicem import keys, registry
from alicem.demo.personas import Persona, registry_person
from alicem.demo.specimen import SpecimenState
from alicem.settings import Database

START_SECONDS = 60.0
STOP_SECONDS = 8.0
SIGNED_BEFORE = timedelta(days=30)
"""The specimen State is a month old, so that its documents were not signed in the future of anyone's clock."""


class TownFailed(Exception):
    """The demonstration cannot start or go on; the sentence says why and what to do."""


@dataclass(frozen=True)
class Town:
    """Where everything is."""

    folder: Path
    base: int
    """First of six ports in a row: provider, broker, service, stage, registry, mail."""

    @property
    def alicem(self) -> str:
        return f"http://localhost:{self.base}"

    @property
    def broker(self) -> str:
        return f"http://127.0.0.1:{self.base + 1}"

    @property
    def service(self) -> str:
        return f"http://127.0.0.1:{self.base + 2}"

    @property
    def stage(self) -> str:
        return f"http://127.0.0.1:{self.base + 3}"

    @property
    def registry(self) -> str:
        return f"http://127.0.0.1:{self.base + 4}"

    @property
    def mail_port(self) -> int:
        return self.base + 5

    @property
    def provider_folder(self) -> Path:
        """Everything the provider writes: database, keys, log, temporary files."""
        return self.folder / "alicem"

    @property
    def parts(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """Name, address and command of each process."""
        config = self.folder
        return (
            (
                "registry",
                self.registry,
                ("-m", "alicem", "registry", "serve", "--config", f"{config}/registry/registry.toml"),
            ),
            ("stage", self.stage, ("-m", "alicem.demo.stage", "--config", f"{config}/stage/stage.toml")),
            ("alicem", self.alicem, ("-m", "alicem", "serve", "--config", f"{config}/alicem/alicem.toml")),
            ("broker", self.broker, ("-m", "alicem", "broker", "serve", "--config", f"{config}/broker/broker.toml")),
            ("service", self.service, ("-m", "alicem.demo.services", "--config", f"{config}/service/services.toml")),
        )


def check_ports(town: Town) -> None:
    """Raises `TownFailed` that names the port another program has."""
    for port in range(town.base, town.base + 6):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise TownFailed(
                    f"port {port} is used by another program. Stop it, or choose other ports: alicem demo --port {town.base + 1000}"
                ) from error


def found(town: Town, personas: Sequence[Persona]) -> None:
    """Write folders, secrets, keys, settings; the specimen State and the registry's people."""
    for name in (
        "alicem",
        "alicem/trust",
        "alicem/tmp",
        "broker",
        "broker/services",
        "broker/providers",
        "service",
        "stage",
        "registry",
    ):
        (town.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    now = datetime.now(UTC)
    state = SpecimenState.make(now - SIGNED_BEFORE, secrets.token_bytes)
    state.save(town.folder / "stage" / "state")
    state.save_trust(town.provider_folder / "trust")
    for file in ("registry/token", "alicem/franceconnect.secret", "broker/alicem.secret", "broker/service.secret"):
        _write(town.folder / file, secrets.token_hex(32))
    for file, same in (
        ("alicem/registry.token", "registry/token"),
        ("broker/alicem.secret", "alicem/franceconnect.secret"),
        ("service/service.secret", "broker/service.secret"),
    ):
        _write(town.folder / file, (town.folder / same).read_text())
    master = secrets.token_bytes(32)
    _write(town.folder / "master.key", base64.b64encode(master).decode())
    keys.create(town.provider_folder / "keys.bin", master, now=now, rng=secrets.token_bytes, host="localhost")
    for file, text in _settings(town).items():
        _write(town.folder / file, text)
    _people(town, personas)


def _people(town: Town, personas: Sequence[Persona]) -> None:
    settings = registry.RegistrySettings(database=Database(f"sqlite:///{town.folder}/registry/registry.db"))
    store = registry.open_store(settings)
    with store.engine.begin() as connection:
        for persona in personas:
            registry.add(connection, registry_person(persona))
    store.close()


def _settings(town: Town) -> dict[str, str]:
    """Every settings file of the demonstration."""
    quoted = json.dumps  # a TOML basic string is written as JSON writes one
    return {
        "alicem/alicem.toml": f"""
[service]
profile = "demo"
origin = {quoted(town.alicem)}
listen = "127.0.0.1:{town.base}"
demo_origin = {quoted(town.stage)}

[database]
url = "sqlite:///{town.provider_folder}/alicem.db"

[keys]
file = "keys.bin"
master_key_file = "../master.key"
levels = {{ keystore = "high", passkey = "high", webcrypto = "substantial", software = "substantial" }}

[trust]
folder = "trust"
specimen = true

[registry]
url = {quoted(town.registry)}
token_file = "registry.token"
simulated = true

[mail]
host = "127.0.0.1"
port = {town.mail_port}
sender = "ne-pas-repondre@alicem.example"
tls = "none"

[face]
actor = true

[limits]
enrolments_per_hour_and_address = 1000
session_processes = 3

[log]
file = "alicem.log"
""",
        "alicem/clients.toml": f"""
[franceconnect]
name = "FranceConnect"
profile = "franceconnect"
secret_file = "franceconnect.secret"
redirect_uris = ["{town.broker}/callback/alicem"]
post_logout_redirect_uris = ["{town.broker}/logged-out/alicem"]
id_token_alg = "ES256"
sector = "franceconnect"
scopes = ["openid", "profile", "email", "birth", "preferred_username"]
""",
        "broker/broker.toml": f"""
origin = {quoted(town.broker)}
listen = "127.0.0.1:{town.base + 1}"
services = "services"
providers = "providers"
key_file = "broker.pem"
pseudonym_file = "pseudonym.secret"
demo_origin = {quoted(town.stage)}

[database]
url = "sqlite:///{town.folder}/broker/broker.db"
""",
        "broker/providers/alicem.toml": f"""
title = "Alicem"
issuer = {quoted(town.alicem)}
client_id = "franceconnect"
secret_file = "../alicem.secret"
levels = ["eidas2"]
""",
        "broker/services/mes-demarches.toml": f"""
title = "Mes démarches"
client_id = "mes-demarches"
secret_file = "../service.secret"
entity = "mes-demarches"
redirect_uris = ["{town.service}/callback"]
post_logout_redirect_uris = ["{town.service}/signed-out"]
scopes = ["openid", "profile", "birth", "email", "preferred_username"]
""",
        "service/services.toml": f"""
origin = {quoted(town.service)}
listen = "127.0.0.1:{town.base + 2}"
broker = {quoted(town.broker)}
client_id = "mes-demarches"
secret_file = "service.secret"
scope = "openid profile birth email preferred_username"
demo_origin = {quoted(town.stage)}
""",
        "registry/registry.toml": f"""
listen = "127.0.0.1:{town.base + 4}"
token_file = "token"
carrier = "{town.stage}/paper"

[database]
url = "sqlite:///{town.folder}/registry/registry.db"
""",
        "stage/stage.toml": f"""
origin = {quoted(town.stage)}
listen = "127.0.0.1:{town.base + 3}"
alicem = {quoted(town.alicem)}
service = {quoted(town.service)}
state = "state"
mail_port = {town.mail_port}
""",
    }


@contextlib.asynccontextmanager
async def running(town: Town) -> AsyncIterator[None]:
    """Start every process, wait until each answers, stop them at the end. Raises `TownFailed`."""
    children: dict[str, asyncio.subprocess.Process] = {}
    try:
        for name, _address, command in town.parts:
            children[name] = await _start(town, name, command)
        await asyncio.gather(*(_answers(name, address, children[name], town) for name, address, _ in town.parts))
        yield
    finally:
        await _stop(list(children.values()))


async def _start(town: Town, name: str, command: tuple[str, ...]) -> asyncio.subprocess.Process:
    environment = {**os.environ, "TMPDIR": str(town.provider_folder / "tmp")} if name == "alicem" else dict(os.environ)
    with (town.folder / name / "output.log").open("ab") as output:
        return await asyncio.create_subprocess_exec(
            sys.executable, *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
            start_new_session=True,
        )  # fmt: skip


async def _answers(name: str, address: str, child: asyncio.subprocess.Process, town: Town) -> None:
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
        while asyncio.get_running_loop().time() < deadline:
            if child.returncode is not None:
                break
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(f"{address}/live")).status_code == 200:
                    return
            await asyncio.sleep(0.1)
    last = (town.folder / name / "output.log").read_text("utf-8", "replace").strip().splitlines()[-1:]
    raise TownFailed(f"{name} did not start: {' '.join(last) or 'it does not answer'}")


async def _stop(children: list[asyncio.subprocess.Process]) -> None:
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
    for child in children:
        try:
            await asyncio.wait_for(child.wait(), STOP_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def _write(file: Path, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)

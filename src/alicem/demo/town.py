"""A whole demonstration on this machine: its folder, its settings, its processes. Everything listens on loopback alone.

Each application is a process of its own with a database of its own; the provider has its own folder for database, keys, logs and temporary
files, so that one can search it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template

import httpx

from alicem import keys, registry
from alicem.demo.personas import Persona
from alicem.demo.services.catalogue import SERVICES
from alicem.demo.specimen import SpecimenState
from alicem.settings import Database
from emrtd.softchip.personalise import zone_date

CONFIG = Path(__file__).parent / "config"
PORTS = 7
AROUND_THE_PROVIDER = frozenset({"broker", "services", "identifiant"})
"""What a developer who connects a client to the provider brings along."""
START_SECONDS = 60.0
STOP_SECONDS = 8.0
SIGNED_BEFORE = timedelta(days=30)
"""The specimen State is a month old, so that its documents were not signed in the future of anyone's clock."""


SHARED_SECRETS = (
    ("registry/token", "alicem/registry.token"),
    ("registry/notices.token", "alicem/notices.token"),
    ("alicem/franceconnect.secret", "broker/alicem.secret"),
    ("identifiant/franceconnect.secret", "broker/identifiant.secret"),
    *(
        (f"broker/secrets/{one.client_id}.secret", f"services/secrets/{one.client_id}.secret")
        for one in SERVICES.values()
    ),
)
"""Each drawn anew for a town, and known to two."""

Children = dict[str, asyncio.subprocess.Process]


class TownFailed(Exception):
    """The demonstration cannot start or go on; the sentence says why and what to do."""


@dataclass(frozen=True)
class Town:
    """Where everything is."""

    folder: Path
    base: int
    """First of seven ports in a row: provider, broker, services, stage, registry, mail, the other provider."""
    without: frozenset[str] = frozenset()
    """Parts that are not started."""

    @property
    def alicem(self) -> str:
        return f"http://localhost:{self.base}"

    @property
    def broker(self) -> str:
        return f"http://127.0.0.1:{self.base + 1}"

    @property
    def services(self) -> str:
        """Every sample service, each below a folder of its own: `/demarches`, `/banque`, `/jeux`, `/sante`."""
        return f"http://127.0.0.1:{self.base + 2}"

    @property
    def service(self) -> str:
        """The public service."""
        return f"{self.services}/demarches"

    @property
    def stage(self) -> str:
        return f"http://127.0.0.1:{self.base + 3}"

    @property
    def registry(self) -> str:
        return f"http://127.0.0.1:{self.base + 4}"

    @property
    def visited_ports(self) -> tuple[int, ...]:
        """Where a browser goes."""
        return (*range(self.base, self.base + 4), self.base + 6)

    @property
    def mail_port(self) -> int:
        return self.base + 5

    @property
    def identifiant(self) -> str:
        """The other provider, simpler and weaker."""
        return f"http://127.0.0.1:{self.base + 6}"

    @property
    def provider_folder(self) -> Path:
        """Everything the provider writes: database, keys, log, temporary files."""
        return self.folder / "alicem"

    @property
    def addresses(self) -> dict[str, str]:
        """What the settings of `config/` name."""
        names = ("alicem", "broker", "services", "stage", "registry", "mail", "identifiant")
        ports = {f"{name}_port": str(self.base + offset) for offset, name in enumerate(names)}
        return ports | {name: getattr(self, name) for name in names if name != "mail"}

    @property
    def parts(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """Name, address and command of each process."""
        config = self.folder
        every = (
            (
                "registry",
                self.registry,
                ("-m", "alicem", "registry", "serve", "--config", f"{config}/registry/registry.toml"),
            ),
            ("stage", self.stage, ("-m", "alicem.demo.stage", "--config", f"{config}/stage/stage.toml")),
            ("alicem", self.alicem, ("-m", "alicem", "serve", "--config", f"{config}/alicem/alicem.toml")),
            ("broker", self.broker, ("-m", "alicem", "broker", "serve", "--config", f"{config}/broker/broker.toml")),
            (
                "services",
                self.services,
                ("-m", "alicem.demo.services", "--config", f"{config}/services/services.toml"),
            ),
            (
                "identifiant",
                self.identifiant,
                ("-m", "alicem.demo.identifiant", "--config", f"{config}/identifiant/identifiant.toml"),
            ),
        )
        return tuple(one for one in every if one[0] not in self.without)


def check_ports(town: Town) -> None:
    """Raises `TownFailed` that names the port another program has."""
    for port in range(town.base, town.base + PORTS):
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
    _write_settings(town)
    (town.provider_folder / "tmp").mkdir(mode=0o700)
    now = datetime.now(UTC)
    state = SpecimenState.make(now - SIGNED_BEFORE, secrets.token_bytes)
    state.save(town.folder / "stage" / "state")
    state.save_trust(town.provider_folder / "trust")
    for file, *copies in SHARED_SECRETS:
        secret = secrets.token_hex(32)
        for one in (file, *copies):
            _write(town.folder / one, secret)
    master = secrets.token_bytes(32)
    _write(town.folder / "master.key", base64.b64encode(master).decode())
    keys.create(town.provider_folder / "keys.bin", master, now=now, rng=secrets.token_bytes, host="localhost")
    _people(town, personas)


def _people(town: Town, personas: Sequence[Persona]) -> None:
    settings = registry.RegistrySettings(database=Database(f"sqlite:///{town.folder}/registry/registry.db"))
    store = registry.open_store(settings)
    with store.engine.begin() as connection:
        for persona in personas:
            registry.add(connection, registry_person(persona))
    store.close()


def registry_person(persona: Persona) -> registry.Person:
    """The persona as the State's registry holds them."""
    document, held = persona.document, persona.registry
    civil_status = registry.CivilStatus(
        **{name: getattr(held, name) for name in registry.CivilStatus.__dataclass_fields__}
    )
    entry = registry.Document(
        issuer=document.issuer,
        kind=document.kind,
        number=document.number,
        birth_date=zone_date(document.born),
        expiry_date=f"{document.expiry_date:%y%m%d}",
        status="valid" if held.status == "deceased" else held.status,
    )
    return registry.Person(civil_status, held.address, (entry,), deceased=held.status == "deceased")


def _write_settings(town: Town) -> None:
    """Every settings file, from `config/`, with this town's addresses."""
    for template in sorted(CONFIG.rglob("*.toml")):
        file = town.folder / template.relative_to(CONFIG)
        _write(file, Template(template.read_text("utf-8")).substitute(town.addresses))


@contextlib.asynccontextmanager
async def running(town: Town) -> AsyncIterator[Children]:
    """Start every process, wait until each answers, stop them at the end. Raises `TownFailed`."""
    children: Children = {}
    try:
        for name, _address, command in town.parts:
            children[name] = await _start(town, name, command)
        await asyncio.gather(*(_answers(name, address, children[name], town) for name, address, _ in town.parts))
        yield children
    finally:
        await _stop(list(children.values()))


async def _start(town: Town, name: str, command: tuple[str, ...]) -> asyncio.subprocess.Process:
    environment = {**os.environ, "TMPDIR": str(town.provider_folder / "tmp")} if name == "alicem" else dict(os.environ)
    with (town.folder / name / "output.log").open("ab") as output:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=town.folder / name,  # databases are named relative to their part's folder
            start_new_session=True,
        )


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
    raise TownFailed(f"{name} did not start: {_last_words(town, name) or 'it does not answer'}")


async def first_to_fall(town: Town, children: Children) -> str:
    """Wait until a process ends that should not; a sentence that names it and its last words."""
    waiting = {asyncio.create_task(child.wait()): name for name, child in children.items()}
    done, others = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for one in others:
        one.cancel()
    name = waiting[done.pop()]
    return f"{name} stopped: {_last_words(town, name) or 'without a word'}"


def _last_words(town: Town, name: str) -> str:
    return " ".join((town.folder / name / "output.log").read_text("utf-8", "replace").strip().splitlines()[-1:])


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
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)

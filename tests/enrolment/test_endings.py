"""However an enrolment ends, its session process is gone, and with it everything of the person that it held."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from processes import alive, gone, of_part, sessions, the_session

from alicem.demo import personas
from alicem.demo.person import Person
from alicem.demo.town import Town, found
from alicem.enrolment import sandbox
from alicem.phone.enrol import Enrolled, Enrolment, RefusedAt
from alicem.phone.instruct import Device
from alicem.phone.state import Storage, new_phone
from emrtd.softchip.personalise import zone_date
from free_ports import free_ports
from running_town import ENROLMENT_ALONE, in_background
from warm_python import WarmPython
from wire import Wire

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
ZOE, CAMILLE = personas.load()["zoe"], personas.load()["camille"]
LINES = {
    "kind": ZOE.document.kind,
    "number": ZOE.document.number,
    "birth_date": zone_date(ZOE.document.born),
    "expiry_date": f"{ZOE.document.expiry_date:%y%m%d}",
}
BRISK = """session_processes = 1
session_wait_seconds = 2
session_answer_seconds = 3
enrolment_seconds = 12
resume_seconds = 2
"""


@pytest.fixture(scope="module")
def brisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A demonstration with one session process and little patience."""
    town = Town(tmp_path_factory.mktemp("brisk"), free_ports(), ENROLMENT_ALONE)
    found(town, tuple(personas.load().values()))
    settings = town.provider_folder / "alicem.toml"
    settings.write_text(settings.read_text().replace("session_processes = 3\n", BRISK))
    with in_background(town):
        yield town


@pytest.fixture
def reading(brisk: Town) -> Iterator[tuple[Wire, int]]:
    """Somebody at step 3, and the number of their session process."""
    wire = Wire(brisk)
    with contextlib.ExitStack() as connection:
        connection.enter_context(wire.connected())
        wire.choose()
        pid = the_session(brisk)
        wire.contact(f"{secrets.token_hex(6)}@courriel.example")
        assert the_session(brisk) == pid  # the one that was warm
        yield wire, pid


def _document_expired(wire: Wire, pid: int) -> None:
    wire.say_sealed("mrz", json.dumps(LINES | {"expiry_date": "200101"}).encode())
    assert wire.hear("refused")["reason"] == "document_expired"
    assert not alive(pid)  # already
    assert wire.closed() == 4403


def _cancelled(wire: Wire, _pid: int) -> None:
    wire.stop()


def _malformed(wire: Wire, _pid: int) -> None:
    wire.socket.send("{")
    assert wire.closed() == 4400


def _does_not_open(wire: Wire, _pid: int) -> None:
    wire.say("mrz", sealed="AAAA")
    assert wire.closed() == 4400


def _dropped(wire: Wire, pid: int) -> None:
    wire.socket.close()
    time.sleep(0.5)
    assert alive(pid)  # the phone may come back


def _time_is_over(wire: Wire, pid: int) -> None:
    time.sleep(4)
    assert alive(pid)
    assert wire.hear("refused")["reason"] == "session_expired"
    assert not alive(pid)
    assert wire.closed() == 4408


def _killed(wire: Wire, pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert wire.hear("refused")["reason"] == "process_died"
    assert wire.closed() == 4500


def _hangs(wire: Wire, pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    wire.say_sealed("mrz", json.dumps(LINES).encode())
    assert wire.hear("refused")["reason"] == "process_died"
    assert not alive(pid)
    assert wire.closed() == 4500


def _fault_of_the_server(wire: Wire, _pid: int) -> None:
    """The refusal cannot be written down: the table is away."""
    with table_away(wire.town, "journal"):
        wire.say_sealed("mrz", json.dumps(LINES | {"expiry_date": "200101"}).encode())
        assert wire.closed() == 4500


@contextlib.contextmanager
def table_away(town: Town, name: str) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(town.provider_folder / "alicem.db", timeout=5)) as database:
        database.execute(f"alter table {name} rename to away")
        database.commit()
        yield
        database.execute(f"alter table away rename to {name}")
        database.commit()


ENDINGS: dict[str, Callable[[Wire, int], None]] = {
    "refused": _document_expired,
    "cancelled": _cancelled,
    "malformed": _malformed,
    "does not open": _does_not_open,
    "dropped": _dropped,
    "time is over": _time_is_over,
    "killed": _killed,
    "hangs": _hangs,
    "fault of the server": _fault_of_the_server,
}


@pytest.mark.parametrize("how", ENDINGS)
def test_a_session_process_is_gone_however_its_session_ends(brisk: Town, reading: tuple[Wire, int], how: str) -> None:
    wire, pid = reading
    ENDINGS[how](wire, pid)
    assert gone(pid, 8)
    assert the_session(brisk) != pid  # the next one is warm, and has seen nobody


def test_who_waits_too_long_is_told_to_come_back(brisk: Town, reading: tuple[Wire, int]) -> None:
    other = Wire(brisk)
    with other.connected():
        other.choose()
        other.prove_address()
        assert other.hear("queue")["position"] == 1
        assert other.hear("refused")["reason"] == "busy"
        assert other.closed() == 4503
    reading[0].stop()


# --- through step 5, with the phone ---


class Declining(Enrolment):
    """A person who reads the chip and then does not want to be filmed."""

    async def _on_face(self, message: dict[str, Any]) -> None:
        await self._send("consent", biometrics=False, consent_version=message["consent_version"])


async def enrol(
    town: Town, folder: Path, observe: Callable[[str, dict[str, Any]], None], phone: type[Enrolment] = Enrolment
) -> Enrolled:
    async with httpx.AsyncClient(base_url=town.alicem, timeout=20, trust_env=False) as http:
        kept = new_phone(town.alicem, "en", secrets.token_bytes)
        device = Device(Storage(folder), http, lambda: datetime.now(UTC), secrets.token_bytes, kept)
        person = Person(CAMILLE, device, town.stage, "")
        return await phone(device, person.holder(), observe).run()


class Watching:
    """Which session processes there were when a message came. `act`: done at the first message of that kind."""

    def __init__(self, town: Town, act: Callable[[int], None] = lambda _pid: None, at: str = "") -> None:
        self.town, self.act, self.at = town, act, at
        self.busy: set[int] = set()
        self.left_at_code: set[int] = set()

    def __call__(self, who: str, message: dict[str, Any]) -> None:
        if message["type"] == "chip_batch" and not self.busy:
            self.busy = sessions(self.town)
        if message["type"] == "step" and message.get("name") == "code":
            self.left_at_code = {pid for pid in self.busy if alive(pid)}
        if who == "server" and message["type"] == self.at and self.busy:
            self.act(min(self.busy))
            self.at = ""


def test_it_is_gone_before_the_security_code_is_chosen(town: Town, tmp_path: Path) -> None:
    watching = Watching(town)
    enrolled = asyncio.run(enrol(town, tmp_path, watching))
    assert {one["what"] for one in enrolled.receipt["erased"]} >= {"portrait", "frames", "embeddings"}
    assert len(watching.busy) == 1 and watching.left_at_code == set()


def test_it_is_gone_when_the_person_declines(town: Town, tmp_path: Path) -> None:
    watching = Watching(town)
    with pytest.raises(RefusedAt, match="consent_refused"):
        asyncio.run(enrol(town, tmp_path, watching, Declining))
    assert len(watching.busy) == 1 and not any(alive(pid) for pid in watching.busy)


def test_an_operator_is_told_which_walls_stand(town: Town, warm: WarmPython) -> None:
    def alicem(command: str) -> subprocess.CompletedProcess[str]:
        return warm.alicem(command, "--config", "alicem.toml", folder=town.provider_folder)

    held, known = set(sandbox.holding()), {name for name, _ in sandbox.LAYERS}
    told = json.loads(alicem("status").stdout)["session_processes"]
    assert told == {"places": 3, "shared": True, "layers": [name for name, _ in sandbox.LAYERS if name in held]}
    said = alicem("check").stdout
    assert set(re.findall(r"session processes lack (\w+)", said)) == known - held
    log = [json.loads(line) for line in (town.provider_folder / "alicem.log").read_text().splitlines()]
    assert set(next(line for line in log if line["event"] == "session process warm")["layers"]) == held


def counted(town: Town) -> list[int]:
    with contextlib.closing(sqlite3.connect(town.provider_folder / "alicem.db", timeout=5)) as database:
        return [row[0] for row in database.execute("select counted from face_tries")]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_that_dies_before_the_camera_costs_no_try(town: Town, tmp_path: Path, how: signal.Signals) -> None:
    before = sum(counted(town))
    watching = Watching(town, lambda pid: os.kill(pid, how), at="action")
    with pytest.raises(RefusedAt, match="process_died"):
        asyncio.run(enrol(town, tmp_path, watching))
    assert len(watching.busy) == 1 and all(gone(pid) for pid in watching.busy)
    assert sum(counted(town)) == before
    assert list(town.provider_folder.rglob("core*")) == []


@contextlib.contextmanager
def silent(town: Town, part: str) -> Iterator[Callable[[], None]]:
    """A part of the town that takes connections and says nothing, from the moment the given function is called."""

    def tell(sign: signal.Signals) -> None:
        for pid in of_part(town, part):
            os.kill(pid, sign)

    try:
        yield lambda: tell(signal.SIGSTOP)
    finally:
        tell(signal.SIGCONT)


@pytest.mark.parametrize("when", ["chip_batch", "code"])
def test_without_the_states_registry_nobody_is_enrolled_and_no_try_is_counted(
    town: Town, tmp_path: Path, when: str
) -> None:
    def accounts() -> list[tuple[int, str]]:
        with contextlib.closing(sqlite3.connect(town.provider_folder / "alicem.db", timeout=5)) as database:
            return database.execute("select number, state from accounts order by number").fetchall()

    before = accounts(), sum(counted(town))
    with silent(town, "registry") as fall_silent, pytest.raises(RefusedAt, match="registry_unavailable"):

        def observe(_who: str, message: dict[str, Any]) -> None:
            if when in (message["type"], message.get("name")):
                fall_silent()

        asyncio.run(enrol(town, tmp_path, observe))
    assert (accounts(), sum(counted(town))) == before

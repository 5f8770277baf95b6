"""The Python phone against the running provider: a tag lost in mid-read, a document the State knows as stolen, and the account's life by command."""

import asyncio
import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from alicem import registry
from alicem.demo import personas
from alicem.demo.person import Person
from alicem.demo.personas import Persona
from alicem.demo.town import Town
from alicem.phone.enrol import Enrolled, Enrolment, RefusedAt
from alicem.phone.instruct import Device
from alicem.phone.state import Storage, new_phone
from alicem.settings import Database
from emrtd.errors import TagLost
from emrtd.exchange import Transmit
from warm_python import WarmPython

MAEL = personas.load()["mael"]


class Losing:
    """Lays the document down again and again; each time the tag is lost after so many commands, the last time never."""

    def __init__(self, lay: Any, *losses: int) -> None:
        self.lay, self.losses, self.laid = lay, list(losses), 0

    def __call__(self) -> Transmit:
        self.laid += 1
        transmit, left = self.lay(), self.losses.pop(0) if self.losses else 10**6

        def losing(apdu: bytes) -> bytes:
            nonlocal left
            left -= 1
            if left < 0:
                raise TagLost
            answer: bytes = transmit(apdu)
            return answer

        return losing


class Deaf(Enrolment):
    """Loses the line just as its receipt comes, the first time."""

    _heard = False

    async def _handle(self, message: dict[str, Any]) -> Enrolled | None:
        if message["type"] == "receipt" and not self._heard:
            self._heard = True
            raise websockets.ConnectionClosedError(None, None)
        return await super()._handle(message)


async def enrol(town: Town, folder: Path, persona: Persona, lay: Any = None) -> tuple[Enrolled, list[dict[str, Any]]]:
    """One enrolment; with it every message, in order."""
    messages: list[dict[str, Any]] = []
    async with httpx.AsyncClient(base_url=town.alicem, timeout=20, trust_env=False) as http:
        storage = Storage(folder)
        device = Device(
            storage,
            http,
            lambda: datetime.now(UTC),
            secrets.token_bytes,
            new_phone(town.alicem, "en", secrets.token_bytes),
        )
        person = Person(persona, device, town.stage, "")
        holder = person.holder() if lay is None else replace(person.holder(), lay_document=lay(person))
        enrolled = await Deaf(device, holder, lambda _who, message: messages.append(message)).run()
    return enrolled, messages


def test_a_lost_tag_resumes_where_reading_stopped_and_a_lost_receipt_is_told_again(town: Town, tmp_path: Path) -> None:
    losing: list[Losing] = []

    def lay(person: Person) -> Losing:
        losing.append(Losing(person._lay_document, 30, 12))
        return losing[0]

    enrolled, messages = asyncio.run(enrol(town, tmp_path, MAEL, lay))
    steps = [message for message in messages if message["type"] == "step" and message.get("name") == "chip"]
    assert losing[0].laid == len(steps) == 3
    assert steps[0]["resume_at"] == 0
    assert 0 < steps[1]["resume_at"] <= steps[2]["resume_at"] < 1
    assert enrolled.receipt["specimen"] is True
    receipts = [message["receipt"] for message in messages if message["type"] == "receipt"]
    assert len(receipts) == 2 and receipts[0] == receipts[1]


@contextmanager
def declared(town: Town, number: str, status: str) -> Iterator[None]:
    store = registry.open_store(
        registry.RegistrySettings(database=Database(f"sqlite:///{town.folder}/registry/registry.db"))
    )

    def declare(word: str) -> None:
        now, rng = datetime.now(UTC), secrets.token_bytes
        asyncio.run(store.write(lambda c: registry.declare(c, number, word, at=now, rng=rng)))

    declare(status)
    try:
        yield
    finally:
        declare("found")
        store.close()


@pytest.mark.parametrize("status", ["lost", "stolen", "cancelled"])
def test_a_document_the_state_declared_is_refused_before_the_face(town: Town, tmp_path: Path, status: str) -> None:
    with declared(town, MAEL.document.number, status), pytest.raises(RefusedAt) as refused:
        asyncio.run(enrol(town, tmp_path, MAEL))
    assert (refused.value.reason.name, refused.value.step) == ("document_reported", "chip")


def test_an_accounts_life_by_command(town: Town, tmp_path: Path, warm: WarmPython) -> None:
    """Enrolled, its code changed, declared stolen, found again, enrolled anew with the account it had, suspended, deleted."""
    state, today, new, wrong = (tmp_path / name for name in ("phone", "today", "new", "wrong"))
    for file, code in ((today, MAEL.code), (new, "731906"), (wrong, "204961")):
        file.write_text(code)

    alicem = partial(warm.alicem, folder=tmp_path)

    def phone(command: str, *more: str, code: Path = new) -> subprocess.CompletedProcess[str]:
        return alicem("phone", command, "--state", str(state), "--code-file", str(code), *more)

    def enrol() -> str:
        where = ("--origin", town.alicem, "--stage", town.stage)
        enrolled = alicem("phone", "enrol", "--state", str(state), "--persona", "mael", *where)
        assert enrolled.returncode == 0, enrolled.stderr
        told = json.loads(enrolled.stdout)
        assert told["receipt"]["level"] == "high" and len(told["suspension_code"].replace(" ", "")) == 20
        return str(json.loads((state / "phone.json").read_text())["account"])

    account = enrol()
    refused = phone("suspend", code=wrong)
    assert (refused.returncode, refused.stderr.split(":")[0]) == (1, "code_wrong")
    assert phone("change-code", "--new-code-file", str(new), code=today).returncode == 0
    assert phone("history", code=today).stderr.split(":")[0] == "code_wrong"
    assert json.loads(phone("history").stdout) == []
    drawn = json.loads(phone("suspension-code").stdout)["suspension_code"]
    assert len(drawn.replace(" ", "")) == 20

    registry = ("--config", str(town.folder / "registry" / "registry.toml"))
    assert alicem("registry", "stolen", MAEL.document.number, *registry).returncode == 0
    assert within(5, lambda: phone("history").stderr.startswith("account_suspended"))
    assert alicem("registry", "found", MAEL.document.number, *registry).returncode == 0
    assert phone("history").stderr.startswith("account_suspended")  # found again is no reactivation
    assert enrol() == account

    assert phone("suspend", code=today).returncode == 0
    again = phone("suspend", code=today)
    assert (again.returncode, again.stderr.split(":")[0]) == (1, "account_suspended")
    deleted = phone("delete", code=today)
    assert deleted.returncode == 0 and json.loads(deleted.stdout)["receipt"].count(".") == 2
    assert list(state.iterdir()) == []
    gone = phone("delete", code=today)
    assert gone.returncode == 1 and "forgotten" in gone.stderr


def within(seconds: float, happens: Callable[[], bool]) -> bool:
    """Whether something happens in so much time."""
    until = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > until:
            return False
    return True

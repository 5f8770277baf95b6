"""What a face leaves is gone with the session process: portrait, frames and embeddings are sought on disk and in every process that lives on.

A search that finds nothing proves nothing until it has found something. So the same patterns are planted first, in a file, a database, a log
and the memory of another process; and the session process itself is searched while it has them.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import secrets
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from processes import alive, of_part, sessions

from alicem.demo import personas, portraits
from alicem.demo.memory import Finder, in_files, in_process, memory, of_picture, of_template
from alicem.demo.person import Person
from alicem.demo.search import Needle
from alicem.demo.town import Town
from alicem.face import models
from alicem.face.compare import portrait_template
from alicem.face.embed import template
from alicem.face.eyes import EYES
from alicem.face.images import FRAME, PORTRAIT, decode
from alicem.face.look import Follower, Look
from alicem.phone.enrol import Enrolment
from alicem.phone.instruct import Device
from alicem.phone.state import Storage, new_phone

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the memory of processes is read in /proc"),
    pytest.mark.timeout(300),
]
FARID = personas.load()["farid"]
KINDS = {"portrait", "portrait pixels", "frame", "frame pixels", "eyes", "eyes pixels", "embedding"}
COPIES = 5
SEARCHED = ("alicem", "registry", "broker", "service")
"""Processes that must not have it. The stage has: there the software chip lives, portrait and all."""


class Filmed:
    """The person before the camera; every frame is kept."""

    def __init__(self, person: Person) -> None:
        self._camera = person.camera
        self.about, self.light, self.perform = person.camera.about, person.camera.light, person.camera.perform
        self.frames: list[tuple[float, bytes]] = []
        self.eyes_seen: list[bytes] = []

    def frame(self, at_ms: float) -> bytes:
        self.frames.append((at_ms, self._camera.frame(at_ms)))
        return self.frames[-1][1]

    def eyes(self, at_ms: float, x: int, y: int, width: int, height: int) -> bytes:
        self.eyes_seen.append(self._camera.eyes(at_ms, x, y, width, height))
        return self.eyes_seen[-1]


@dataclass(repr=False)
class Enrolled:
    """One enrolment: what was filmed, and what the session process held in the middle of the film. Too much to be shown."""

    frames: list[tuple[float, bytes]] = field(default_factory=list)
    pid: int = 0
    held: list[list[bytes]] = field(default_factory=list)
    eyes: list[bytes] = field(default_factory=list)
    unreadable: bool = False


async def enrol(town: Town, folder: Path) -> Enrolled:
    told = Enrolled()
    copying: list[threading.Thread] = []

    def copy() -> None:
        """Again and again: between two frames a process has none, and a copy takes its time."""
        try:
            for _ in range(COPIES):
                told.held.append(list(memory(told.pid)))
                time.sleep(0.15)
        except PermissionError:
            told.unreadable = True
        except (FileNotFoundError, ProcessLookupError):
            return  # the film was over

    def observe(_who: str, message: dict[str, Any]) -> None:
        if message["type"] == "action" and message["index"] == 2 and not copying:
            (told.pid,) = sessions(town)
            copying.append(threading.Thread(target=copy))
            copying[0].start()

    async with httpx.AsyncClient(base_url=town.alicem, timeout=20, trust_env=False) as http:
        kept = new_phone(town.alicem, "en", secrets.token_bytes)
        device = Device(Storage(folder), http, lambda: datetime.now(UTC), secrets.token_bytes, kept)
        person = Person(FARID, device, town.stage, "")
        filmed = Filmed(person)
        await Enrolment(device, replace(person.holder(), camera=filmed), observe).run()
    copying[0].join()
    told.frames, told.eyes = filmed.frames, filmed.eyes_seen
    return told


def needles_of(portrait: bytes, frames: list[tuple[float, bytes]], eyes: list[bytes]) -> Iterator[Needle]:
    """What the session process saw and computed, computed once more: networks and decoders always give the same."""
    networks = models.load()
    yield from of_picture("portrait", portrait, decode(portrait, PORTRAIT), 100)
    yield from of_template(portrait_template(networks, portrait))
    for jpeg in eyes:
        yield from of_picture("eyes", jpeg, decode(jpeg, EYES), 8)
    follower = Follower(networks)
    for number, (at, jpeg) in enumerate(frames):
        yield from of_picture("frame", jpeg, decode(jpeg, FRAME), 8)
        look = follower.look(jpeg, at)
        if isinstance(look, Look) and number % 3 == 0:  # each takes a while, and of each there are many
            yield from of_template(template(networks, look.picture, look.mesh))


LET_GO = {"portrait pixels", "eyes", "eyes pixels"}
"""Of the session process, in the middle of the film: once compared, a place may be another's; eyes come when lids are asked."""


@pytest.fixture(scope="module")
def enrolment(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Enrolled:
    return asyncio.run(enrol(town, tmp_path_factory.mktemp("phone")))


@pytest.fixture(scope="module")
def needles(enrolment: Enrolled) -> list[Needle]:
    return list(needles_of(portraits.portrait(FARID.face), enrolment.frames, enrolment.eyes))


@pytest.fixture(scope="module")
def finder(needles: list[Needle]) -> Finder:
    return Finder(needles)


def one_of_each(needles: list[Needle]) -> dict[str, bytes]:
    """For each kind of datum one pattern, in the middle of other bytes."""
    chosen = {one.name: one.pattern for one in needles if len(one.pattern) == 16}
    return {name: b"\x01before" + pattern + b"after\x02" for name, pattern in chosen.items()}


def test_every_kind_of_datum_is_sought(needles: list[Needle], enrolment: Enrolled) -> None:
    assert {one.name for one in needles} == KINDS
    assert len(enrolment.frames) > 30
    assert len(needles) > 10_000


def test_what_is_planted_on_disk_is_found(needles: list[Needle], finder: Finder, tmp_path: Path) -> None:
    for name, content in one_of_each(needles).items():
        folder = tmp_path / name
        (folder / "below").mkdir(parents=True)
        (folder / "below" / "file").write_bytes(content)
        (folder / "token").write_text(json.dumps({"a": base64.urlsafe_b64encode(content).decode()}))
        (folder / "hex").write_text(content.hex())
        database = sqlite3.connect(folder / "a.db")
        database.execute("pragma journal_mode=wal")
        database.execute("create table t (a blob)")
        database.execute("insert into t values (?)", (content,))
        database.commit()  # and stays open: what was written is in the WAL
        log = logging.Logger("planted")
        log.addHandler(logging.FileHandler(folder / "a.log"))
        log.error("frame %s", base64.b64encode(content).decode())
        found = {file.name: names for file, names in in_files([folder], finder).items()}
        database.close()
        assert found == {file: {name} for file in ("file", "token", "hex", "a.db-wal", "a.log")}


def test_what_is_planted_in_another_process_is_found(needles: list[Needle], finder: Finder) -> None:
    for name, content in one_of_each(needles).items():
        code = "import sys; kept = sys.stdin.buffer.read(int(sys.argv[1])); print(flush=True); sys.stdin.buffer.read()"
        command = [sys.executable, "-c", code, str(len(content))]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdin is not None and other.stdout is not None
            other.stdin.write(content)
            other.stdin.flush()
            other.stdout.readline()
            try:
                assert in_process(other.pid, finder) == {name}
            except PermissionError:
                pytest.skip("this system does not let one read another process's memory")
            finally:
                other.stdin.close()


def test_the_session_process_has_them_while_it_works(finder: Finder, enrolment: Enrolled) -> None:
    if enrolment.unreadable:
        pytest.skip("only root reads the memory of a process that is not dumpable")
    found: set[str] = set()
    for copy in enrolment.held:
        found = found.union(*(finder.names(content) for content in copy))
        if found >= KINDS - LET_GO:
            break
    assert found >= KINDS - LET_GO


def test_afterwards_no_file_of_the_provider_has_them(town: Town, finder: Finder, enrolment: Enrolled) -> None:
    assert enrolment.frames
    names = {file.name for file in town.provider_folder.rglob("*") if file.is_file()}
    assert {"alicem.db", "alicem.db-wal", "alicem.log", "output.log"} <= names
    assert in_files([town.provider_folder, town.folder / "registry"], finder) == {}


def test_afterwards_no_process_has_them(town: Town, finder: Finder, enrolment: Enrolled) -> None:
    """The server, the zygote, the next warm process, the registry, the broker, the service."""
    assert not alive(enrolment.pid)
    unread, searched, found = [], [], {}
    for pid in (pid for part in SEARCHED for pid in of_part(town, part)):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            try:
                names = in_process(pid, finder)
            except PermissionError:
                unread.append(pid)
                continue
            searched.append(pid)
            if names:
                found[pid] = names
    assert found == {}
    assert len(searched) >= len(SEARCHED)
    if unread:
        pytest.skip(
            f"{len(searched)} processes searched, nothing found; {len(unread)} not dumpable: only root reads them"
        )

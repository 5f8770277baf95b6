"""The stage over real HTTP and WebSocket: start page, people, chips, mail box."""

from __future__ import annotations

import asyncio
import secrets
import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest
import uvicorn
from chip_over_websocket import read_chip
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from alicem.demo import portraits
from alicem.demo.personas import load
from alicem.demo.specimen import SpecimenState
from alicem.demo.stage import StageSettings, app
from alicem.web.server import listening_at
from emrtd.errors import DataGroupAltered
from emrtd.passive import passive_authentication
from emrtd.pki.trust import TrustStore

pytestmark = pytest.mark.skipif(
    not portraits.ready(), reason="the source portraits are not on this machine: alicem face models build"
)
ALICEM = "http://localhost:8000"


@dataclass(frozen=True)
class Running:
    origin: str
    mail_port: int
    state: SpecimenState


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("stage")
    state = SpecimenState.make(datetime.now(UTC), secrets.token_bytes)
    state.save(folder)
    (listener,) = listening_at("127.0.0.1:0")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        mail_port = probe.getsockname()[1]
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings = StageSettings(origin, ALICEM, "http://127.0.0.1:8002", folder, mail_port=mail_port)
    server = uvicorn.Server(uvicorn.Config(app(settings), log_level="warning", ws_max_size=70_000))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield Running(origin, mail_port, state)
    server.should_exit = True
    thread.join(10)


def test_the_start_page_shows_everyone(stage: Running) -> None:
    page = httpx.get(stage.origin).text
    assert all(one.shown_name in page and f'value="{one.name}"' in page for one in load().values())
    assert all(f'value="{wrong}"' in page for wrong in ("face", "document", "code", "chip"))


def test_the_way_begins_at_alicem(stage: Running) -> None:
    page = httpx.get(f"{stage.origin}/begin?persona=zoe&wrong=chip&lang=en").text
    assert f'href="{ALICEM}/enrol?persona=zoe&amp;wrong=chip"' in page
    assert "24AB12345" in page and "482915" in page
    assert "The chip is a copy" in page
    assert f'href="{ALICEM}/enrol?persona=zoe"' in httpx.get(f"{stage.origin}/begin?persona=zoe&wrong=").text
    for wrong in ("persona=nobody", "persona=zoe&wrong=everything"):
        assert httpx.get(f"{stage.origin}/begin?{wrong}").status_code == 404


def test_people_are_for_alicem_to_read(stage: Running) -> None:
    answer = httpx.get(f"{stage.origin}/personas", headers={"origin": ALICEM})
    assert answer.headers["access-control-allow-origin"] == ALICEM
    assert [one["name"] for one in answer.json()["personas"]] == list(load())
    other = httpx.get(f"{stage.origin}/personas", headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in other.headers
    one = httpx.get(f"{stage.origin}/personas/joao").json()
    assert one["document"]["number"] == "BR7XK2M9Q4T1"
    assert httpx.get(f"{stage.origin}/personas/nobody").status_code == 404


def test_pictures_and_actors(stage: Running) -> None:
    picture = httpx.get(f"{stage.origin}/personas/zoe/portrait.jpg", timeout=60)
    assert picture.content[:3] == b"\xff\xd8\xff"
    assert picture.headers["cross-origin-resource-policy"] == "cross-origin"
    own = httpx.get(f"{stage.origin}/personas/zoe/sprites", timeout=60).json()
    other = httpx.get(f"{stage.origin}/personas/zoe/sprites?wrong=face", timeout=60).json()
    assert own["sprites"]["neutral"][0].startswith("data:image/jpeg;base64,")
    assert own["sprites"].keys() == other["sprites"].keys()
    assert own["sprites"]["neutral"] != other["sprites"]["neutral"]
    script = httpx.get(f"{stage.origin}/static/actor.js", headers={"origin": ALICEM})
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["access-control-allow-origin"] == ALICEM


@pytest.mark.parametrize(("wrong", "believed"), [("", True), ("?wrong=face", True), ("?wrong=document", False)])
def test_a_chip_is_read_over_a_websocket(stage: Running, wrong: str, believed: bool) -> None:
    address = stage.origin.replace("http", "ws") + f"/chips/farid{wrong}"
    raw = asyncio.run(read_chip(address, "farid"))
    trust = TrustStore.of([stage.state.authority], [stage.state.revocations])
    if believed:
        assert passive_authentication(raw, trust, at=datetime.now(UTC)).mrz.primary == "RAHIMI"  # type: ignore[arg-type]
    else:
        with pytest.raises(DataGroupAltered):
            passive_authentication(raw, trust, at=datetime.now(UTC))  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "origin"), [("nobody", ALICEM), ("farid", "http://evil.example")])
def test_no_chip_for_strangers(stage: Running, name: str, origin: str) -> None:
    async def knock() -> None:
        async with connect(stage.origin.replace("http", "ws") + f"/chips/{name}", origin=origin, proxy=None):  # type: ignore[arg-type]
            pass

    with pytest.raises(InvalidStatus):
        asyncio.run(knock())


def test_letters_arrive(stage: Running) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@alicem.example", "zoe@courriel.example", "Votre code"
    message.set_content("Voici votre code : 123456 é")
    with smtplib.SMTP("127.0.0.1", stage.mail_port) as post:
        post.send_message(message)
    paper = {
        "kind": "paper",
        "to": "Zoë",
        "address": "1 rue\nBrest",
        "subject": "S",
        "text": "T",
        "at": "2026-11-21T22:00:00+00:00",
    }
    assert httpx.post(f"{stage.origin}/paper", json=paper).status_code == 204
    assert httpx.post(f"{stage.origin}/paper", content=b"{").status_code == 400
    assert httpx.post(f"{stage.origin}/paper", content=b" " * 70_000).status_code == 413
    [letter] = httpx.get(f"{stage.origin}/letters?to=ZOE@courriel.example").json()["letters"]
    assert (letter["subject"], letter["kind"]) == ("Votre code", "email")
    assert "123456 é" in letter["text"]
    page = httpx.get(f"{stage.origin}/mail").text
    assert "Votre code" in page and "1 rue, Brest" in page


def test_it_is_alive(stage: Running) -> None:
    assert httpx.get(f"{stage.origin}/live").json() == {"status": "up"}

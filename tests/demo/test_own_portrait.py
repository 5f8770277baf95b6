"""The visitor's own face on a specimen chip: from a camera's picture over real HTTP to a chip read over a WebSocket, and everything that ends elsewhere."""

from __future__ import annotations

import asyncio
import io
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from chip_over_websocket import read_chip
from PIL import Image
from websockets.exceptions import ConnectionClosed

from alicem.demo import own_portrait, portraits
from alicem.demo.actor import Actor
from alicem.demo.personas import load
from alicem.demo.specimen import SpecimenState
from alicem.demo.stage import StageSettings, app
from alicem.face import Action, Challenge, Hint, LiveCheck, Outcome, Reason, Verdict, models
from alicem.web.server import listening_at
from alicem.web.text import LANGUAGES
from emrtd import active_authentication
from emrtd.errors import ChipIsCopy, DataGroupAltered
from emrtd.passive import AuthenticDocument, passive_authentication
from emrtd.pki.trust import TrustStore

pytestmark = pytest.mark.skipif(
    not (portraits.ready() and models.ready()), reason="networks or pictures are missing: alicem face models build"
)
ALICEM = "http://localhost:8000"
PEOPLE = load()
ACTOR, PERSONA = "joao", "farid"
"""Who stands before the camera, and whose document it is."""


@dataclass
class Running:
    origin: str
    folder: Path
    state: SpecimenState
    later: timedelta = field(default=timedelta())
    """How far the stage's clock is ahead."""

    def post(self, picture: bytes, **headers: str) -> httpx.Response:
        return httpx.post(
            f"{self.origin}/portraits", content=picture, headers={"origin": self.origin, **headers}, timeout=120
        )

    def token(self, picture: bytes) -> str:
        answer = self.post(picture)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    def chip(self, query: str, name: str = PERSONA) -> object:
        return asyncio.run(read_chip(self.origin.replace("http", "ws") + f"/chips/{name}?{query}", name))

    def believed(self, raw: object) -> AuthenticDocument:
        trust = TrustStore.of([self.state.authority], [self.state.revocations])
        return passive_authentication(raw, trust, at=datetime.now(UTC))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("own-portrait")
    state = SpecimenState.make(datetime.now(UTC), secrets.token_bytes)
    state.save(folder)
    (listener,) = listening_at("127.0.0.1:0")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        mail_port = probe.getsockname()[1]
    made = Running(f"http://127.0.0.1:{listener.getsockname()[1]}", folder, state)
    settings = StageSettings(made.origin, ALICEM, "http://127.0.0.1:8002", folder, mail_port=mail_port)
    stage = app(settings, clock=lambda: datetime.now(UTC) + made.later)
    server = uvicorn.Server(uvicorn.Config(stage, log_level="warning", ws_max_size=70_000))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield made
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def stage(running: Running) -> Running:
    running.later = timedelta()
    return running


@pytest.fixture(scope="module")
def frame() -> bytes:
    return Actor(PEOPLE[ACTOR].face, 1).frame(0)


@pytest.fixture(scope="module")
def token(running: Running, frame: bytes) -> str:
    running.later = timedelta()
    return running.token(frame)


def pixels(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def jpeg_of(picture: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture.astype(np.uint8)).save(out, "JPEG", quality=88)
    return out.getvalue()


def test_the_chip_carries_the_face_that_stood_before_the_camera(stage: Running, token: str) -> None:
    raw = stage.chip(f"portrait={token}")
    proven = stage.believed(raw)
    active_authentication.verify(proven, raw)  # type: ignore[arg-type]
    zone = PEOPLE[PERSONA].description(b"").mrz
    assert (proven.mrz.number, proven.mrz.birth_date, proven.mrz.expiry_date) == (
        zone.number, zone.birth_date, zone.expiry_date,
    )  # fmt: skip
    portrait = proven.portrait.image
    assert len(portrait) <= 18_000
    with Image.open(io.BytesIO(portrait)) as image:
        assert (image.format, image.size) == ("JPEG2000", (240, 320))
    assert live_check(portrait, ACTOR).outcome is Outcome.ACCEPT
    stranger = live_check(portrait, PERSONA)
    assert (stranger.outcome, stranger.reason) == (Outcome.REFUSE, Reason.NOT_SAME_PERSON)


def live_check(portrait: bytes, name: str) -> Verdict:
    """Step 5 with this portrait: somebody does what is asked, ten pictures a second."""
    actor = Actor(PEOPLE[name].face, 7)
    check = LiveCheck(models.load(), portrait, Challenge((Action.TURN_LEFT, Action.SMILE, Action.BLINK), (400.0,) * 3))
    for picture in range(600):
        at = picture * 100.0
        check.add_frame(actor.frame(at), at)
        actor.perform(check.current_action, at)
        if check.done:
            break
    return check.verdict()


def test_it_is_the_same_chip_when_it_is_laid_down_again(stage: Running, token: str) -> None:
    first, again = (stage.believed(stage.chip(f"portrait={token}")) for _ in range(2))
    assert first.chip_key == again.chip_key
    assert first.chip_key != stage.believed(stage.chip("")).chip_key


def test_what_goes_wrong_goes_wrong_with_ones_own_face_too(stage: Running, token: str) -> None:
    with pytest.raises(DataGroupAltered):
        stage.believed(stage.chip(f"portrait={token}&wrong=document"))
    raw = stage.chip(f"wrong=chip&portrait={token}")
    with pytest.raises(ChipIsCopy):
        active_authentication.verify(stage.believed(raw), raw)  # type: ignore[arg-type]


def test_nothing_of_it_is_written(stage: Running, frame: bytes) -> None:
    stage.chip("")  # the persona's own chip, which is kept in the folder
    before = contents(stage.folder)
    token = stage.token(frame)
    portrait = stage.believed(stage.chip(f"portrait={token}")).portrait.image
    assert contents(stage.folder) == before
    for content in before.values():
        assert not any(one in content for one in (token.encode(), frame[200:232], portrait[200:232]))


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def in_pieces(make: Callable[[np.ndarray], np.ndarray]) -> Callable[[bytes], bytes]:
    return lambda frame: jpeg_of(make(pixels(frame)))


def far(picture: np.ndarray) -> np.ndarray:
    wall = np.full((960, 1280, 3), 190, np.uint8)
    wall[400:640, 480:800] = picture[::2, ::2]
    return wall


FLAWS: dict[str, tuple[Callable[[bytes], bytes], int, str]] = {
    "no picture": (lambda frame: b"", 422, Hint.UNREADABLE),
    "not a JPEG": (lambda frame: b"\x89PNG\r\n\x1a\n" + frame, 422, Hint.UNREADABLE),
    "half a JPEG": (lambda frame: frame[: len(frame) // 2], 422, Hint.UNREADABLE),
    "too many bytes": (lambda frame: frame + bytes(300_001 - len(frame)), 413, "too_large"),
    "too many pixels": (lambda frame: jpeg_of(np.zeros((1600, 1600, 3))), 422, Hint.UNREADABLE),
    "nobody": (in_pieces(lambda picture: np.full_like(picture, 140)), 422, Hint.NO_FACE),
    "two people": (in_pieces(lambda picture: np.hstack([picture[:, 130:510]] * 2)), 422, Hint.SEVERAL_FACES),
    "in the dark": (in_pieces(lambda picture: picture * 0.2), 422, Hint.MORE_LIGHT),
    "against the light": (in_pieces(lambda picture: np.minimum(200 + picture * 0.35, 255)), 422, Hint.LESS_LIGHT),
    "far away": (in_pieces(far), 422, Hint.CLOSER),
    "a tilted head": (in_pieces(lambda picture: np.asarray(Image.fromarray(picture).rotate(28))), 422, "look_straight"),
}  # fmt: skip


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_picture_that_will_not_do_is_refused_by_name(stage: Running, frame: bytes, flaw: str) -> None:
    spoil, status, name = FLAWS[flaw]
    answer = stage.post(spoil(frame))
    assert (answer.status_code, answer.json()) == (status, {"error": name})
    assert name in own_portrait.REFUSED


@pytest.mark.parametrize("origin", [ALICEM, "http://evil.example", "null", ""])
def test_no_other_page_may_send_one(stage: Running, frame: bytes, origin: str) -> None:
    assert stage.post(frame, origin=origin).status_code == 403
    assert httpx.post(f"{stage.origin}/portraits", content=frame).status_code == 403
    asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in httpx.options(f"{stage.origin}/portraits", headers=asked).headers


def gone(stage: Running, token: str) -> bool:
    with pytest.raises(ConnectionClosed) as closed:
        stage.chip(f"portrait={token}")
    return closed.value.rcvd is not None and closed.value.rcvd.code == 4404


def test_half_an_hour_and_it_is_gone(stage: Running, frame: bytes) -> None:
    token = stage.token(frame)
    stage.later = timedelta(minutes=29)
    assert stage.believed(stage.chip(f"portrait={token}")).mrz.primary == "RAHIMI"
    stage.later = timedelta(minutes=30)
    assert gone(stage, token)
    stage.later = timedelta()
    assert gone(stage, token)
    assert gone(stage, "A" * 22) and gone(stage, "")


def test_the_oldest_makes_room(stage: Running, frame: bytes) -> None:
    first = stage.token(frame)
    second = stage.token(frame)
    for _ in range(own_portrait.MOST - 1):
        stage.token(frame)
    assert gone(stage, first)
    assert stage.believed(stage.chip(f"portrait={second}"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_leads_on_with_everything_that_was_chosen(stage: Running, language: str) -> None:
    page = httpx.get(f"{stage.origin}/portrait?persona=farid&wrong=chip&lang={language}").text
    assert f'data-enrol="{ALICEM}/enrol?persona=farid&amp;wrong=chip&amp;camera=own"' in page
    assert f'href="{ALICEM}/enrol?persona=farid&amp;wrong=chip"' in page
    assert all(f'data-text="refused.{name}"' in page for name in own_portrait.REFUSED)
    assert (
        'href="/portrait?persona=zoe&amp;wrong=chip"' in httpx.get(f"{stage.origin}/begin?persona=zoe&wrong=chip").text
    )
    assert 'formaction="/portrait"' in httpx.get(stage.origin).text
    script = httpx.get(f"{stage.origin}/static/portrait.js")
    assert script.headers["content-type"].startswith("text/javascript")


def test_whoever_plays_somebody_else_needs_no_picture(stage: Running) -> None:
    answer = httpx.get(f"{stage.origin}/portrait?persona=farid&wrong=face")
    assert (answer.status_code, answer.headers["location"]) == (
        303, f"{ALICEM}/enrol?persona=farid&wrong=face&camera=own",
    )  # fmt: skip


def test_nobody_and_nonsense_have_no_page(stage: Running) -> None:
    for query in ("persona=nobody", "persona=zoe&wrong=everything"):
        assert httpx.get(f"{stage.origin}/portrait?{query}").status_code == 404
    assert httpx.get(f"{stage.origin}/portrait").status_code == 200

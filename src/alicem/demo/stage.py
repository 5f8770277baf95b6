"""The demonstration's own server, and the one address a newcomer is given: people to be, things to do wrong, and what stands in for the world.

It shows the start page and the mail box, gives the pages of Alicem the invented people's pictures, actors and software chips, and takes the State's paper letters.
It is no part of the service: Alicem knows it by `demo_origin` alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from alicem.demo import actor, personas, portraits
from alicem.demo.mailbox import MailBox, mailbox_routes
from alicem.demo.own_portrait import OwnPortraits, PictureGone, portrait_routes
from alicem.demo.personas import Persona
from alicem.demo.services.catalogue import SERVICES
from alicem.demo.specimen import WRONG, Documents, SpecimenState
from alicem.face.models import PackageError
from alicem.settings import read
from alicem.web.headers import SecurityHeaders
from alicem.web.pages import Pages
from alicem.web.static_files import static_routes
from emrtd.softchip import ChipDocument, SoftChip

__all__ = ["WRONG", "SpecimenState", "StageSettings", "app", "serve"]

STATIC = Path(__file__).parent / "static"
_COMMANDS = 4000  # of one connection to a chip
_IDLE = 300.0  # seconds
_OPEN_TO_ALICEM = {"cross-origin-resource-policy": "cross-origin", "cache-control": "no-cache"}


@dataclass(frozen=True)
class StageSettings:
    """`stage.toml`."""

    origin: str
    alicem: str
    """Alicem's origin: the one that may ask for people and chips."""
    services: str
    """The sample services' origin."""
    state: Path
    """Folder of the specimen State (`SpecimenState.save`)."""
    listen: str = "127.0.0.1:8003"
    mail_port: int = 8005
    """Where the mail box takes letters by SMTP, on loopback."""
    identifiant: str = "http://127.0.0.1:8006"
    """The other provider's origin."""


@dataclass(frozen=True)
class Stage:
    settings: StageSettings
    people: Mapping[str, Persona]
    documents: Documents
    own: OwnPortraits
    rng: Callable[[int], bytes]
    pages: Pages

    async def home(self, request: Request) -> Response:
        return self.pages.render(
            request,
            "demo/stage.html",
            people=list(self.people.values()),
            wrong=WRONG,
            alicem=self.settings.alicem,
            identifiant=self.settings.identifiant,
            services=self.settings.services,
            service_names=tuple(SERVICES),
        )

    async def begin(self, request: Request) -> Response:
        """The start page's form: a person, and what goes wrong."""
        persona = self._persona(request.query_params.get("persona", ""))
        wrong = request.query_params.get("wrong", "")
        if wrong and wrong not in WRONG:
            raise HTTPException(404)
        return self.pages.render(
            request,
            "demo/begin.html",
            person=persona,
            impostor=personas.impostor_of(persona) if wrong == "face" else None,
            wrong=wrong,
            enrol=f"{self.settings.alicem}/enrol?persona={persona.name}" + (f"&wrong={wrong}" if wrong else ""),
            own=f"/portrait?persona={persona.name}" + (f"&wrong={wrong}" if wrong else ""),
            alicem=self.settings.alicem,
            services=self.settings.services,
            service_names=tuple(SERVICES),
        )

    async def listing(self, _request: Request) -> Response:
        return JSONResponse({"personas": [_shown(one) for one in self.people.values()]}, headers=_OPEN_TO_ALICEM)

    async def one(self, request: Request) -> Response:
        persona = self._persona(request.path_params["name"])
        detail = {"code": persona.code, "document": asdict(persona.document), "expected": dict(persona.expected)}
        return JSONResponse(_shown(persona) | detail, headers=_OPEN_TO_ALICEM)

    async def portrait(self, request: Request) -> Response:
        persona = self._persona(request.path_params["name"])
        return Response(await asyncio.to_thread(_jpeg, persona.name), media_type="image/jpeg", headers=_OPEN_TO_ALICEM)

    async def sprites(self, request: Request) -> Response:
        """What `actor.js` plays; with `?wrong=face` an impostor plays."""
        persona = self._persona(request.path_params["name"])
        if request.query_params.get("wrong") == "face":
            persona = personas.impostor_of(persona)
        return Response(
            await asyncio.to_thread(_manifest, persona.face), media_type="application/json", headers=_OPEN_TO_ALICEM
        )

    async def chip(self, socket: WebSocket) -> None:
        """A software chip laid on the phone: one binary message an APDU, each way; gone when the connection is."""
        persona = self.people.get(socket.path_params["name"])
        if persona is None or socket.headers.get("origin", self.settings.alicem) not in (
            self.settings.alicem,
            self.settings.origin,
        ):
            await socket.close(4404)
            return
        try:
            document, left = await asyncio.to_thread(self._document, persona, socket.query_params)
        except PictureGone:
            await socket.accept()  # a page learns the number of a connection that was open alone
            await socket.close(4404)
            return
        await socket.accept()
        chip = SoftChip(document, self.rng)
        with contextlib.suppress(WebSocketDisconnect, TimeoutError, KeyError):
            async with asyncio.timeout(left):
                for _ in range(_COMMANDS):
                    command = await asyncio.wait_for(socket.receive_bytes(), _IDLE)
                    await socket.send_bytes(chip.transmit(command))

    def _document(self, persona: Persona, asked: Mapping[str, str]) -> tuple[ChipDocument, float | None]:
        """The document asked for, and for how many seconds: with the visitor's portrait it lasts no longer than that. Raises `PictureGone`."""
        wrong = asked.get("wrong")
        if (token := asked.get("portrait")) is None:
            return self.documents.of(persona, wrong), None
        return self.own.document(token, persona, wrong), self.own.seconds_left(token)

    def _persona(self, name: str) -> Persona:
        if name not in self.people:
            raise HTTPException(404)
        return self.people[name]


def _shown(persona: Persona) -> dict[str, Any]:
    return {
        "name": persona.name,
        "shown_name": persona.shown_name,
        "about": asdict(persona.about),
        "kind": persona.document.kind,
        "email": persona.email,
        "portrait": f"/personas/{persona.name}/portrait.jpg",
        "refused": persona.refused,
    }


@cache
def _jpeg(name: str) -> bytes:
    """The portrait on the chip is JPEG 2000, which browsers do not show."""
    out = io.BytesIO()
    portrait = portraits.portrait(personas.load()[name].face)
    Image.open(io.BytesIO(portrait)).convert("RGB").save(out, "JPEG", quality=88)
    return out.getvalue()


def _manifest(face: portraits.Face) -> bytes:
    return json.dumps(actor.manifest(face)).encode()


async def _no_pictures(_request: Request, error: Exception) -> Response:
    """The networks or source pictures are not on this machine; the message says what to run."""
    return JSONResponse({"error": str(error)}, 503, _OPEN_TO_ALICEM)


async def _actor_script(_request: Request) -> Response:
    return FileResponse(STATIC / "actor.js", media_type="text/javascript", headers=_OPEN_TO_ALICEM)


async def _styles(_request: Request) -> Response:
    return FileResponse(STATIC / "stage.css", media_type="text/css")


async def _live(_request: Request) -> Response:
    return JSONResponse({"status": "up"})


def app(
    settings: StageSettings,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    rng: Callable[[int], bytes] = secrets.token_bytes,
) -> Starlette:
    """The application. Raises `SettingsError`."""
    pages = Pages(demo_origin=settings.origin)
    documents = Documents(SpecimenState.load(settings.state), settings.state / "chips", clock, rng)
    people, own = personas.load(), OwnPortraits(documents, clock, rng)
    stage, box = Stage(settings, people, documents, own, rng, pages), MailBox()

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        post = await box.listen(f"127.0.0.1:{settings.mail_port}")
        yield
        post.close()

    return Starlette(
        routes=[
            Route("/", stage.home),
            Route("/begin", stage.begin),
            Route("/personas", stage.listing),
            Route("/personas/{name}", stage.one),
            Route("/personas/{name}/portrait.jpg", stage.portrait),
            Route("/personas/{name}/sprites", stage.sprites),
            WebSocketRoute("/chips/{name}", stage.chip),
            Route("/static/actor.js", _actor_script),
            Route("/static/stage.css", _styles),
            Route("/live", _live),
            *mailbox_routes(box, pages),
            *portrait_routes(own, people, pages, settings.origin, settings.alicem),
            *static_routes(pages.texts),
        ],
        middleware=[
            Middleware(SecurityHeaders, origin=settings.origin),
            Middleware(CORSMiddleware, allow_origins=[settings.alicem], allow_methods=["GET"]),
        ],
        exception_handlers={PackageError: _no_pictures},
        lifespan=lifespan,
    )


def serve(config: Path) -> None:
    """Serve `stage.toml` until stopped. Raises `SettingsError`."""
    settings = read(StageSettings, config)
    host, _, port = settings.listen.rpartition(":")
    uvicorn.run(
        app(settings),
        host=host,
        port=int(port),
        log_level="warning",
        server_header=False,
        http="h11",
        ws_max_size=70_000,
    )


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "--config":
        sys.exit("usage: python -m alicem.demo.stage --config stage.toml")
    serve(Path(sys.argv[2]))

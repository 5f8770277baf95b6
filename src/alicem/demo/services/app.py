"""The sample services' application: settings, wiring, a first page that leads to each of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from alicem.demo.services.catalogue import SERVICES, SampleService
from alicem.demo.services.openid import OpenIDClient, Registration
from alicem.demo.services.sites import Site
from alicem.settings import SettingsError, read
from alicem.web.headers import SecurityHeaders, Sources
from alicem.web.pages import Pages
from alicem.web.static_files import static_routes

STYLES = Path(__file__).parents[1] / "static" / "services.css"
SECONDS = 6.0


@dataclass(frozen=True)
class ServicesSettings:
    """`services.toml`."""

    origin: str
    """For instance `http://127.0.0.1:8002`; each service is a folder of paths below it."""
    broker: str
    """The broker's issuer."""
    secrets: Path
    """Folder with `CLIENT_ID.secret` for each service."""
    listen: str = "127.0.0.1:8002"
    demo_origin: str | None = None
    """Where the demonstration begins: pages link back to it."""


def registration(service: SampleService, settings: ServicesSettings) -> Registration:
    """Raises `SettingsError`."""
    file = settings.secrets / f"{service.client_id}.secret"
    try:
        secret = file.read_text("ascii").strip()
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
    home = f"{settings.origin}/{service.name}"
    return Registration(
        settings.broker, service.client_id, secret, f"{home}/callback", f"{home}/signed-out", service.scope, service.level
    )  # fmt: skip


def app(settings: ServicesSettings) -> Starlette:
    """The application. Raises `SettingsError`."""
    pages = Pages(demo_origin=settings.demo_origin)
    http = httpx.AsyncClient(timeout=SECONDS, trust_env=False)
    sites = [
        Site(one, settings.origin, OpenIDClient(registration(one, settings), http, time.time), pages)
        for one in SERVICES.values()
    ]

    async def home(request: Request) -> Response:
        return pages.render(request, "demo/services/all.html", services=list(SERVICES.values()))

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await http.aclose()

    return Starlette(
        routes=[
            Route("/", home),
            *(route for site in sites for route in site.routes()),
            Route("/live", _live),
            Route("/static/services.css", _styles),
            *static_routes(pages.texts),
        ],
        # A form that is answered by a redirect is held to `form-action` along the whole way (CSP 3 §6.4)
        middleware=[Middleware(SecurityHeaders, origin=settings.origin, sources=Sources(form=(settings.broker,)))],
        lifespan=lifespan,
    )


async def _styles(_request: Request) -> Response:
    return FileResponse(STYLES, media_type="text/css")


async def _live(_request: Request) -> Response:
    return JSONResponse({"status": "up"})


def serve(config: Path) -> None:
    """Serve `services.toml` until stopped. Raises `SettingsError`."""
    settings = read(ServicesSettings, config)
    host, _, port = settings.listen.rpartition(":")
    uvicorn.run(app(settings), host=host, port=int(port), log_level="warning", server_header=False, http="h11")

"""The broker's application: routes and wiring."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from alicem.broker import openid, rnipp, signin
from alicem.broker.folder import Folder
from alicem.broker.keys import EncryptionKeys, pseudonym_secret, signing_key
from alicem.broker.parts import Parts
from alicem.broker.providers import Provider, read_provider
from alicem.broker.services import read_service
from alicem.broker.settings import BrokerSettings
from alicem.settings import read
from alicem.store import Store, upgrade
from alicem.web.headers import SecurityHeaders
from alicem.web.pages import Pages
from alicem.web.static_files import static_routes

VERSIONS = Path(__file__).parent / "versions"
STYLES = Path(__file__).parent / "static" / "broker.css"

_Endpoint = Callable[[Parts, Request], Awaitable[Response]]

ROUTES: tuple[tuple[str, str, _Endpoint], ...] = (
    ("GET", "/", signin.home),
    ("GET", "/.well-known/openid-configuration", openid.configuration),
    ("GET", "/jwks", openid.jwks),
    ("GET", "/authorize", signin.authorize),
    ("GET", "/choice", signin.choice),
    ("POST", "/depart", signin.depart),
    ("GET", "/callback/{provider}", signin.callback),
    ("GET", "/information", signin.information),
    ("POST", "/decide", signin.decide),
    ("POST", "/token", openid.token),
    ("GET", "/userinfo", openid.userinfo),
    ("GET", "/end_session", openid.end_session),
)


def app(
    settings: BrokerSettings,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    rng: Callable[[int], bytes] = secrets.token_bytes,
) -> Starlette:
    """The application; brings its database to the newest schema and makes its key and its secret at first start. Raises `SettingsError`."""
    services = Folder(settings.services, read_service, clock)
    providers = Folder(settings.providers, read_provider, clock)
    encryption = EncryptionKeys(settings.encryption_file)
    encryption.have(encrypting(providers.all().values()), clock())
    store = Store(settings.database.url)
    upgrade(store.engine, VERSIONS)
    parts = Parts(
        settings=settings,
        service_files=services,
        provider_files=providers,
        store=store,
        key=signing_key(settings.key_file),
        encryption=encryption,
        pseudonyms=pseudonym_secret(settings.pseudonym_file, rng),
        register=rnipp.load(settings.rnipp),
        pages=Pages(demo_origin=settings.demo_origin),
        client=httpx.AsyncClient(follow_redirects=False, trust_env=False),
        clock=clock,
        rng=rng,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await parts.client.aclose()
        store.close()

    async def over(request: Request, _error: Exception) -> Response:
        return signin.sign_in_is_over(parts, request)

    return Starlette(
        routes=[
            *(Route(path, partial(endpoint, parts), methods=[method]) for method, path, endpoint in ROUTES),
            Route("/live", _live),
            Route("/static/broker.css", _styles),
            *static_routes(parts.pages.texts),
        ],
        middleware=[Middleware(SecurityHeaders, origin=settings.origin)],
        exception_handlers={signin.NoSuchSignIn: over, signin.NotFromOurPage: _forbidden},
        lifespan=lifespan,
    )


def encrypting(providers: Iterable[Provider]) -> set[str]:
    """The algorithms that providers encrypt to us with."""
    return {one.file.encryption_alg for one in providers if one.file.encryption_alg is not None}


async def _live(_request: Request) -> Response:
    return JSONResponse({"status": "up"})


async def _styles(_request: Request) -> Response:
    return FileResponse(STYLES, media_type="text/css")


async def _forbidden(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("", 403)


def serve(config: Path) -> None:
    """Serve `broker.toml` until stopped. Raises `SettingsError`."""
    settings = read(BrokerSettings, config)
    host, _, port = settings.listen.rpartition(":")
    uvicorn.run(app(settings), host=host, port=int(port), log_level="warning", server_header=False, http="h11")

"""The broker's application: routes and wiring."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
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

from alicem import log
from alicem.broker import caretaker, history, information, logout, openid, rnipp, signin
from alicem.broker.folder import Folder
from alicem.broker.keys import EncryptionKeys, derived, pseudonym_secret, signing_key
from alicem.broker.limits import Limit
from alicem.broker.parts import Parts
from alicem.broker.post import Post
from alicem.broker.providers import read_provider
from alicem.broker.service_keys import ServiceKeys
from alicem.broker.services import read_service
from alicem.broker.settings import BrokerSettings
from alicem.broker.under_way import NoSuchSignIn, NotFromOurPage, TooMany
from alicem.settings import read
from alicem.store import Store, upgrade
from alicem.web.headers import SecurityHeaders
from alicem.web.http import BoundedHttp
from alicem.web.pages import Pages
from alicem.web.static_files import static_routes

VERSIONS = Path(__file__).parent / "versions"
STYLES = Path(__file__).parent / "static" / "broker.css"

_Endpoint = Callable[[Parts, Request], Awaitable[Response]]


ROUTES: tuple[tuple[str, str, _Endpoint], ...] = (
    ("GET", "/", logout.home),
    ("GET", "/.well-known/openid-configuration", openid.configuration),
    ("GET", "/jwks", openid.jwks),
    ("GET", "/client/keys", openid.client_keys),
    ("GET", "/authorize", signin.authorize),
    ("GET", "/choice", signin.choice),
    ("POST", "/depart", signin.depart),
    ("GET", "/callback/{provider}", signin.callback),
    ("GET", "/information", information.information),
    ("POST", "/decide", information.decide),
    ("POST", "/token", openid.token),
    ("GET", "/userinfo", openid.userinfo),
    ("POST", "/userinfo", openid.userinfo),
    ("GET", "/end_session", logout.end_session),
    ("GET", "/logged-out/{provider}", logout.returned),
    ("POST", "/sign-out", logout.sign_out),
    ("GET", "/signed-out", logout.signed_out),
    ("GET", "/history", history.page),
    ("POST", "/history", history.change),
    ("POST", "/history/enter", history.enter),
)


def parts_of(settings: BrokerSettings, clock: Callable[[], datetime], rng: Callable[[int], bytes]) -> Parts:
    """Everything put together; brings the database to the newest schema and makes keys at first start. Raises `SettingsError`."""
    services = Folder(settings.services, read_service, clock)
    providers = Folder(settings.providers, read_provider, clock)
    encryption = EncryptionKeys(settings.encryption_file)
    encryption.have(caretaker.encrypting(providers.all().values()), clock())
    pseudonyms = pseudonym_secret(settings.pseudonym_file, rng)
    key, register = signing_key(settings.key_file), rnipp.load(settings.rnipp)
    store = Store(settings.database.url)
    upgrade(store.engine, VERSIONS)
    client = httpx.AsyncClient(follow_redirects=False, trust_env=False)

    def unix() -> int:
        return int(clock().timestamp())

    return Parts(
        settings=settings,
        service_files=services,
        provider_files=providers,
        store=store,
        key=key,
        encryption=encryption,
        pseudonyms=pseudonyms,
        history_key=derived(pseudonyms, "history"),
        register=register,
        pages=Pages(demo_origin=settings.demo_origin),
        client=client,
        service_keys=ServiceKeys(client, unix),
        arrivals=Limit(settings.sign_ins_per_minute_and_address, unix),
        failures=Limit(settings.sign_ins_per_minute_and_address, unix),
        post=Post(settings.mail, derived(pseudonyms, "letters"), rng),
        clock=clock,
        rng=rng,
    )


def app(
    settings: BrokerSettings,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    rng: Callable[[int], bytes] = secrets.token_bytes,
) -> Starlette:
    """The application. Raises `SettingsError`."""
    parts = parts_of(settings, clock, rng)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        attending = asyncio.create_task(caretaker.attend(parts))
        yield
        attending.cancel()
        await asyncio.gather(attending, return_exceptions=True)
        await parts.client.aclose()
        parts.store.close()

    async def over(request: Request, _error: Exception) -> Response:
        return parts.pages.render(request, "broker/over.html", status=400)

    async def too_many(request: Request, _error: Exception) -> Response:
        return parts.pages.render(request, "broker/too_many.html", status=429)

    return Starlette(
        routes=[
            *(Route(path, partial(endpoint, parts), methods=[method]) for method, path, endpoint in ROUTES),
            Route("/live", _live),
            Route("/static/broker.css", _styles),
            *static_routes(parts.pages.texts),
        ],
        middleware=[Middleware(SecurityHeaders, origin=settings.origin)],
        exception_handlers={NoSuchSignIn: over, TooMany: too_many, NotFromOurPage: _forbidden},
        lifespan=lifespan,
    )


async def _live(_request: Request) -> Response:
    return JSONResponse({"status": "up"})


async def _styles(_request: Request) -> Response:
    return FileResponse(STYLES, media_type="text/css")


async def _forbidden(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("", 403)


def serve(config: Path) -> None:
    """Serve `broker.toml` until stopped. Raises `SettingsError`."""
    settings = read(BrokerSettings, config)
    log.configure(settings.log)
    host, _, port = settings.listen.rpartition(":")
    uvicorn.run(
        app(settings),
        host=host.strip("[]"),
        port=int(port),
        log_config=None,
        access_log=False,
        server_header=False,
        http=BoundedHttp,
        # Whoever is believed here chooses the address that limits count: nobody, unless the settings name them.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
    )

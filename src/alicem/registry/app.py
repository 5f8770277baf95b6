"""The registry's application: two requests behind a token, one database, one carrier of letters."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alicem.registry import records
from alicem.registry.letters import carry_forever
from alicem.registry.notices import Provider, push_forever
from alicem.registry.requests import LetterRequest, Malformed, TooLarge, read_document, read_letter
from alicem.settings import Database, SettingsError, read, secret
from alicem.store import Store, upgrade

VERSIONS = Path(__file__).parent / "versions"
Clock = Callable[[], datetime]

log = structlog.get_logger("registry")


@dataclass(frozen=True)
class RegistrySettings:
    """`registry.toml`."""

    database: Database
    """`url`: SQLAlchemy's, for instance `sqlite:////var/lib/registry/registry.db`."""
    listen: str = "127.0.0.1:8010"
    token_file: Path | None = None
    """The caller's bearer token, at least 32 characters; else the environment variable `ALICEM_REGISTRY_TOKEN`."""
    carrier: str | None = None
    """Address that gets each letter by POST; without it letters stay in the database."""
    notices: Provider | None = None
    """Who is told of documents lost, stolen or cancelled and of holders deceased; without it notices stay in the database."""


class TokenRefused(Exception):
    """No bearer token, or another one."""


@dataclass(frozen=True)
class Registry:
    """What the two requests need."""

    store: Store
    token: str
    clock: Clock
    owed: asyncio.Event

    async def check(self, request: Request) -> Response:
        self._admit(request)
        asked = await read_document(request)
        answer = await self.store.read(lambda connection: records.check(connection, asked))
        log.info("check", status=answer["status"])
        return JSONResponse(answer)

    async def letter(self, request: Request) -> Response:
        self._admit(request)
        asked: LetterRequest = await read_letter(request)
        await self.store.write(
            lambda connection: records.owe_letter(connection, asked.reference, asked.document, asked.notice, asked.at)
        )
        self.owed.set()
        return JSONResponse({"letter": "accepted"}, 202)

    async def live(self, _request: Request) -> Response:
        return JSONResponse({"status": "up"})

    def _admit(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.encode(), self.token.encode())
        if scheme.lower() != "bearer" or not right:
            raise TokenRefused


def _malformed(_request: Request, error: Exception) -> Response:
    member = error.member if isinstance(error, Malformed) else None
    return JSONResponse({"error": "malformed_request"} | ({"member": member} if member else {}), 400)


def _token_refused(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"error": "token_refused"}, 401, {"www-authenticate": "Bearer"})


def _holder_unknown(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"error": "holder_unknown"}, 404)


def _too_large(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"error": "too_large"}, 413)


def app(settings: RegistrySettings, clock: Clock = lambda: datetime.now(UTC)) -> Starlette:
    """The application; brings its database to the newest schema. Raises `SettingsError` without a token of 32 characters."""
    token = secret(settings.token_file, "ALICEM_REGISTRY_TOKEN")
    if len(token) < 32:
        raise SettingsError("the registry's token has fewer than 32 characters")
    provider_token = settings.notices.token() if settings.notices else ""
    store = open_store(settings)
    registry = Registry(store, token, clock, asyncio.Event())

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        tasks = []
        if settings.carrier:
            tasks.append(asyncio.create_task(carry_forever(store, settings.carrier, registry.owed, clock)))
        if settings.notices:
            pushing = push_forever(store, settings.notices.url, provider_token, clock)
            tasks.append(asyncio.create_task(pushing))
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        store.close()

    return Starlette(
        routes=[
            Route("/v1/check", registry.check, methods=["POST"]),
            Route("/v1/letters", registry.letter, methods=["POST"]),
            Route("/live", registry.live),
        ],
        exception_handlers={
            Malformed: _malformed,
            TokenRefused: _token_refused,
            records.HolderUnknown: _holder_unknown,
            TooLarge: _too_large,
        },
        lifespan=lifespan,
    )


def open_store(settings: RegistrySettings) -> Store:
    """The registry's database, at its newest schema: for the application and for the commands that add and declare."""
    store = Store(settings.database.url)
    upgrade(store.engine, VERSIONS)
    return store


def serve(config: Path) -> None:
    """Serve `registry.toml` until stopped. Raises `SettingsError`."""
    settings = read(RegistrySettings, config)
    host, _, port = settings.listen.rpartition(":")
    uvicorn.run(app(settings), host=host, port=int(port), log_level="warning", server_header=False, http="h11")

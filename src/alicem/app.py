"""Wiring: the provider's parts, made once and handed to each other. Only this file knows them all."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import contextvars
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from alicem import face, jobs, journal, provider, reasons
from alicem.accounts import endpoints as accounts_endpoints
from alicem.accounts import notices
from alicem.accounts.instruction import Instructions
from alicem.credential import Offers
from alicem.credential import endpoints as credential_endpoints
from alicem.enrolment import endpoints as enrolment_endpoints
from alicem.enrolment import receipts
from alicem.enrolment.children import CHIP, Nursery, nursery
from alicem.enrolment.endpoints import Sessions
from alicem.enrolment.journey import Enrolment
from alicem.enrolment.pool import Pool
from alicem.enrolment.registry_client import RegistryClient
from alicem.face import models
from alicem.keys import KeyRing, KeysError, RingFile
from alicem.log import unhandled_in_loop
from alicem.settings import ROLES, Settings, SettingsError, secret
from alicem.standing import Standing, schema_of
from alicem.store import Store, upgrade
from alicem.watch import Listener, Readiness, Watched, WatchedStore, Watcher
from alicem.web import site
from alicem.web.headers import SecurityHeaders, for_demo
from alicem.web.pages import Pages
from alicem.web.static_files import static_routes

if TYPE_CHECKING:
    from alicem.keys.token import Token

_log = structlog.get_logger("alicem")


@dataclass
class Parts:
    """Everything that lives as long as the process."""

    settings: Settings
    store: Store
    ring: KeyRing
    registry: RegistryClient
    pool: Pool
    chips: Pool | None
    sessions: Sessions
    readiness: Readiness
    standing: Standing
    watchers: Sequence[Watcher]
    app: Starlette

    def drain(self) -> None:
        """Take no new enrolment; those that are under way go on."""
        self.sessions.draining = True
        seconds, sessions = self.settings.service.drain_seconds, self.sessions.under_way
        # A signal interrupts whatever is at work: the line is not of that request.
        contextvars.Context().run(lambda: _log.info("draining", seconds=seconds, sessions=sessions))


Job = Callable[[Parts], Coroutine[Any, Any, None]]


def master_key(settings: Settings) -> bytes:
    """32 bytes from the master key's file or `ALICEM_MASTER_KEY`. Raises `KeysError`."""
    try:
        return base64.b64decode(secret(settings.keys.master_key_file, "ALICEM_MASTER_KEY"), validate=True)
    except SettingsError as error:
        raise KeysError(f"the master key: {error}") from error
    except (binascii.Error, ValueError) as error:
        raise KeysError("the master key is not base64") from error


def token_of(settings: Settings) -> Token | None:
    """The PKCS#11 token of the settings, open. Raises `KeysError`, `SettingsError`."""
    named = settings.keys.token
    if named is None:
        return None
    try:
        from alicem.keys.token import Token  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise SettingsError("keys.token wants requirements/pkcs11.txt installed") from error
    return Token(named.module, named.label, secret(named.pin_file, ""))


def _ring_unreadable(error: KeysError) -> None:
    """The keys of before go on."""
    _log.error("key file not read", error=type(error.__cause__ or error).__name__)


def _clients_unreadable(_error: SettingsError) -> None:
    """The clients of before go on."""
    _log.error("client file not read")


def _clients(settings: Settings) -> provider.ClientFile:
    loopback = settings.service.profile != "production"
    return provider.ClientFile(settings.service.clients, _clients_unreadable, loopback=loopback)


def now() -> datetime:
    return datetime.now(UTC)


def watchers_of(settings: Settings) -> tuple[Watcher, ...]:
    """Those the settings ask for; the libraries of the others are not even loaded. Raises `SettingsError`."""
    found: list[Watcher] = []
    if settings.metrics.listen is not None:
        from alicem.watch.metrics import Metrics  # noqa: PLC0415 - loaded only where it is asked for

        found.append(Metrics())
    if settings.traces.endpoint is not None:
        try:
            from alicem.watch.traces import Traces  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise SettingsError("traces.endpoint wants requirements/traces.txt installed") from error
        found.append(Traces(settings.traces.endpoint, settings.traces.sample, settings.service.worker))
    return tuple(found)


def build(settings: Settings, watchers: Sequence[Watcher] = ()) -> Parts:
    """Make every part. Raises `KeysError`, `SettingsError`, `models.ModelsMissingError`."""
    ring = RingFile(settings.keys.file, lambda: master_key(settings), _ring_unreadable, token_of(settings))
    store = WatchedStore(settings.database.url, watchers) if watchers else Store(settings.database.url)
    upgrade(store.engine)
    with store.engine.connect() as connection:
        schema = schema_of(connection)
    rng = secrets.token_bytes
    offers, registry, pool = (
        Offers(now, rng),
        RegistryClient(settings.registry),
        Pool(_nursery(settings), settings.trust.folder, settings.limits),
    )
    sessions = Sessions(Enrolment(settings, store, ring, offers, pool, registry, now, rng))
    standing = Standing(store, ring, registry, pool, sessions, now, schema)
    readiness = Readiness(standing.checks(), settings.service.roles, time.monotonic)
    chips = _chips(settings)
    routes = _routes(settings, store, ring, offers, sessions, readiness, chips)
    app = Starlette(routes=routes, middleware=list(_middleware(settings, watchers)))
    parts = Parts(settings, store, ring, registry, pool, chips, sessions, readiness, standing, watchers, app)
    app.router.lifespan_context = lambda _app: _life(parts)
    return parts


def _middleware(settings: Settings, watchers: Sequence[Watcher]) -> Iterator[Middleware]:
    """The outermost first."""
    yield Middleware(Watched, watchers=watchers, rng=secrets.token_bytes, access=settings.log.access)
    for watcher in watchers:
        yield Middleware(watcher.middleware)
    origin, demo = settings.service.origin, settings.service.demo_origin
    yield Middleware(SecurityHeaders, origin=origin, sources=for_demo(demo))


def _routes(
    settings: Settings,
    store: Store,
    ring: KeyRing,
    offers: Offers,
    sessions: Sessions,
    readiness: Readiness,
    chips: Pool | None,
) -> list[BaseRoute]:
    """Of this worker's roles; asked one after the other, so that what phones ask most comes first."""
    rng, origin, roles = secrets.token_bytes, settings.service.origin, settings.service.roles
    pages = Pages(demo_origin=settings.service.demo_origin, support_url=settings.service.support_url)
    approvals = settings.limits.approvals_per_hour_and_account
    instructions = Instructions(store, ring, origin, now, rng, lambda at: receipts.closing(ring, origin, at), approvals)
    of_roles: dict[str, Callable[[], Sequence[BaseRoute]]] = {
        "web": lambda: site.routes(pages, settings, reasons.load()),
        "enrolment": lambda: enrolment_endpoints.routes(sessions),
        "provider": lambda: provider.routes(
            provider.Provider(settings, store, ring, _clients(settings), now, rng, pages, chips)
        ),
    }
    return [
        *accounts_endpoints.routes(accounts_endpoints.Accounts(settings, store, instructions, pages, now, rng)),
        *(route for role in reversed(ROLES) if role in roles for route in of_roles[role]()),
        *readiness.routes(),
        *static_routes(),
        *credential_endpoints.routes(credential_endpoints.Credentials(settings, store, ring, offers, now, rng)),
        *notices.routes(settings, store, ring, now, rng),
    ]


def _chips(settings: Settings) -> Pool | None:
    """Where documents are read again at sign-ins; no process is started before one is asked for."""
    if "provider" not in settings.service.roles or not settings.sign_in.chip:
        return None
    limits = replace(settings.limits, session_processes=settings.limits.sign_in_chips)
    return Pool(nursery(settings.trust.folder, shared=True, program=CHIP), settings.trust.folder, limits)


def _nursery(settings: Settings) -> Nursery:
    """Where session processes come from; the operator's file of face networks is read once here, so that a fault in it is told at start."""
    networks = settings.face.networks
    if networks is not None:
        try:
            face.read_configuration(networks)
        except (face.ConfigurationError, OSError) as error:
            raise SettingsError(f"face.networks: {error}") from error
    return nursery(settings.trust.folder, shared=settings.face.shared, networks=networks)


@contextlib.asynccontextmanager
async def _life(parts: Parts) -> AsyncIterator[None]:
    """Warm a session process, run the recurring jobs, and leave nothing behind at the end."""
    asyncio.get_running_loop().set_exception_handler(unhandled_in_loop)
    if "enrolment" in parts.settings.service.roles and models.ready():
        parts.pool.warm()
    recurring = [asyncio.create_task(_recur(parts, job, seconds)) for job, seconds in _RECURRING]
    try:
        async with _listening(parts):
            yield
    finally:
        for task in recurring:
            task.cancel()
        await asyncio.gather(*recurring, return_exceptions=True)
        await parts.sessions.close()
        await parts.pool.close()
        if parts.chips is not None:
            await parts.chips.close()
        await parts.registry.close()
        await _seal(parts)
        parts.store.close()
        for watcher in parts.watchers:
            await asyncio.to_thread(watcher.close)


@contextlib.asynccontextmanager
async def _listening(parts: Parts) -> AsyncIterator[None]:
    """Prometheus's address, where it is asked for."""
    listen = parts.settings.metrics.listen
    if listen is None:
        yield
        return

    async def page() -> bytes:
        checks = {name: float(well) for name, well in (await parts.readiness.look()).items()}
        gauges = {**await parts.standing.gauges(), "alicem_check": checks}
        return b"".join(watcher.page(gauges) for watcher in parts.watchers)

    listener = Listener(listen, page)
    await listener.start()
    try:
        yield
    finally:
        await listener.close()


async def _recur(parts: Parts, job: Job, seconds: float) -> None:
    """Do a job again and again: a database or a key that is away for a while ends none of them."""
    while True:
        try:
            await job(parts)
        except (DBAPIError, KeysError) as error:
            _log.error("a job failed", job=job.__name__, error=type(getattr(error, "orig", error)).__name__)
        await asyncio.sleep(seconds)


async def _seal(parts: Parts) -> None:
    at = now()
    key = parts.ring.signing("journal", at)
    await parts.store.write(lambda c: journal.seal(c, key, at))


async def _sweep(parts: Parts) -> None:
    await jobs.sweep(parts.store, parts.settings.retention, now())


async def _retain(parts: Parts) -> None:
    try:
        report = await jobs.retain(parts.store, parts.settings.retention, now=now(), rng=secrets.token_bytes)
        _log.info("retention", **asdict(report))
    except jobs.TooMany as refused:
        _log.warning("retention erased nothing: is the clock right?", due=refused.due, accounts=refused.accounts)
    except jobs.TooManyRows as refused:
        _log.warning("retention left the journal whole: is the clock right?", due=refused.due, rows=refused.rows)


_RECURRING: tuple[tuple[Job, float], ...] = ((_seal, 1.0), (_sweep, 60.0), (_retain, 86_400.0))
"""Each job with the seconds between its end and its next begin."""

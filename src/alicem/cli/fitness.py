"""What `alicem check` looks for beyond the settings: keys, trust store, clients, database, networks, clock, walls of session processes."""

from __future__ import annotations

import asyncio
import email.utils
import importlib.util
import smtplib
import ssl
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module

import httpx
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError

from alicem import face, keys, provider
from alicem.app import master_key, token_of
from alicem.enrolment import sandbox
from alicem.enrolment.registry_client import connect
from alicem.enrolment.trust import load_collection
from alicem.face import models
from alicem.settings import Registry, Settings, SettingsError, refusals, sqlite_file
from alicem.standing import schema_of
from alicem.store import Store
from alicem.store.migrate import HERE, PROVIDER_VERSIONS
from emrtd.errors import EmrtdError

STALE = timedelta(days=90)
"""A trust store nobody added to for so long lacks what States signed with since."""
CLOCK = timedelta(seconds=30)
"""A phone's proof of possession may be five minutes old: a clock that is out by less than this hurts nobody."""


@dataclass(frozen=True)
class Finding:
    """`grave`: production is not fit with it; else a word to the wise."""

    text: str
    fix: str
    grave: bool = True


SECONDS = 5.0

Look = Callable[[Settings, datetime], Iterator[Finding]]


def findings(settings: Settings, now: datetime, *, offline: bool) -> Iterator[Finding]:
    """All of them, in the order one would mend them."""
    for one in refusals(settings):
        yield Finding(one.text, one.fix)
    for look in (_keys, _database, _clients, _trust, _networks, _libraries, _walls):
        yield from look(settings, now)
    if not offline:
        yield from _registry(settings, now)
        yield from _mail(settings, now)


def _keys(settings: Settings, now: datetime) -> Iterator[Finding]:
    try:
        ring = keys.open_ring(settings.keys.file, master_key(settings), token_of(settings))
    except (keys.KeysError, SettingsError) as error:
        yield Finding(f"keys.file: {error}", "`alicem keys create`, or the master key it was made with")
        return
    if ring.published("authority"):
        yield Finding(
            "keys.file: the authority's key is in it, where it certifies whatever a thief of the ring likes",
            "`alicem keys create --operator`, and certificates of an authority that stays offline",
        )
    for trouble in keys.troubles(ring, now):
        ends_later = " ends on " in trouble
        yield Finding(f"keys: {trouble}", "docs/operate.md, Keys", grave=not ends_later)


def _database(settings: Settings, _now: datetime) -> Iterator[Finding]:
    file = sqlite_file(settings)
    if file is not None and not file.exists():
        yield Finding(f"database.url: {file} is not there", "`alicem db upgrade` makes it", grave=False)
        return
    if file is not None and file.parent.stat().st_mode & stat.S_IRWXO:
        yield Finding(f"database.url: the folder {file.parent} is open to others", f"chmod 700 {file.parent}")
    store = Store(settings.database.url)
    try:
        with store.engine.connect() as connection:
            found = schema_of(connection)
    except SQLAlchemyError as error:
        yield Finding(f"database.url: it does not answer ({type(error).__name__})", "start it; see its own log")
        return
    finally:
        store.close()
    scripts = ScriptDirectory(str(HERE / "migrations"), version_locations=[str(PROVIDER_VERSIONS)])
    known = {script.revision for script in scripts.walk_revisions()}
    if found and found not in known:
        fix = "install the program that wrote it, or restore a backup of before"
        yield Finding(f"database.url: its schema is {found}, a newer program's", fix)
    elif found != scripts.get_current_head():
        yield Finding(f"database.url: its schema is {found or 'not there'}", "`alicem db upgrade`")


def _clients(settings: Settings, _now: datetime) -> Iterator[Finding]:
    try:
        provider.load(settings.service.clients, loopback=settings.service.profile != "production")
    except SettingsError as error:
        yield Finding(f"service.clients: {error}", "`alicem clients check`, docs/clients.md")


def _trust(settings: Settings, now: datetime) -> Iterator[Finding]:
    fix = "`alicem trust import`, with a fresh master list"
    try:
        collection = load_collection(settings.trust.folder, at=now)
    except (OSError, EmrtdError) as error:
        yield Finding(f"trust.folder: cannot be read ({type(error).__name__})", fix)
        return
    if not any(entry.issues for entry in collection.store().entries):
        yield Finding("trust.folder: no authority of any State is in it", fix)
    elif max((origin.imported_at for origin in collection.origins), default=now) < now - STALE:
        yield Finding(f"trust.folder: nothing was added for {STALE.days} days", fix, grave=False)
    lists = [one.list for one in collection.revocations]
    if lists and all(one.next_update is not None and one.next_update < now for one in lists):
        yield Finding("trust.folder: every revocation list in it is overdue", fix, grave=False)


def _networks(settings: Settings, _now: datetime) -> Iterator[Finding]:
    if "enrolment" in settings.service.roles and not models.ready():
        yield Finding("the face networks are missing", "`alicem face models build`")
    try:
        if settings.face.networks is not None:
            face.read_configuration(settings.face.networks)
    except (face.ConfigurationError, OSError) as error:
        yield Finding(f"face.networks: {error}", "docs/face-networks.md")


def _libraries(settings: Settings, _now: datetime) -> Iterator[Finding]:
    if settings.traces.endpoint is not None and importlib.util.find_spec("opentelemetry") is None:
        yield Finding("traces.endpoint: OpenTelemetry is not installed", "pip install -r requirements/traces.txt")
    if settings.metrics.listen is not None:
        import_module("prometheus_client")


def _walls(settings: Settings, _now: datetime) -> Iterator[Finding]:
    if "enrolment" not in settings.service.roles:
        return
    held = sandbox.holding()
    for name, _ in sandbox.LAYERS:
        if name not in held:
            fix = "docs/threat-model.md, A session process taken over"
            yield Finding(f"session processes lack {name} on this machine", fix, grave=name in sandbox.REQUIRED)


def _registry(settings: Settings, _now: datetime) -> Iterator[Finding]:
    """It answers, and its clock is ours."""
    try:
        answer = asyncio.run(_live(settings.registry))
        theirs = email.utils.parsedate_to_datetime(answer.headers["date"])
    except httpx.HTTPError as error:
        yield Finding(
            f"registry.url: does not answer ({type(error).__name__})", "nobody can enrol until it does", False
        )
        return
    except SettingsError as error:
        yield Finding(str(error), "registry.authority_file, certificate_file, certificate_key_file")
        return
    except (KeyError, ValueError):
        yield Finding("registry.url: does not tell the time", "compare this machine's clock by hand", grave=False)
        return
    away = abs(datetime.now(UTC) - theirs)
    if away > CLOCK:
        yield Finding(
            f"this clock and the registry's differ by {away.total_seconds():.0f} s", "timedatectl set-ntp true"
        )


async def _live(registry: Registry) -> httpx.Response:
    async with connect(registry) as line:
        answer = await line.get("/live")
    return answer.raise_for_status()  # a proxy before one that is down answers, too


def _mail(settings: Settings, _now: datetime) -> Iterator[Finding]:
    """The relay answers, under a certificate we believe. No letter is sent, nobody is named."""
    mail, trusted = settings.mail, ssl.create_default_context()
    try:
        if mail.tls == "tls":
            with smtplib.SMTP_SSL(mail.host, mail.port, timeout=SECONDS, context=trusted):
                return
        with smtplib.SMTP(mail.host, mail.port, timeout=SECONDS) as relay:
            if mail.tls == "starttls":
                relay.starttls(context=trusted)
    except (OSError, smtplib.SMTPException) as error:
        yield Finding(f"mail.host: no letter would leave ({type(error).__name__})", "its address, port and tls", False)

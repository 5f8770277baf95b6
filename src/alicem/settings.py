"""`alicem.toml`, parsed once into frozen values. Unknown keys are errors; paths are relative to the file; secrets come by file or environment.

What a production profile refuses is `PRODUCTION_REFUSES`, a table read by `alicem check` and at start.
"""

from __future__ import annotations

import os
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")


class SettingsError(Exception):
    """The settings file says something it may not; the message names the key."""


@dataclass(frozen=True)
class Service:
    profile: str
    """`production`, `development` or `demo`."""
    origin: str
    listen: str = "127.0.0.1:8000"
    roles: tuple[str, ...] = ("web", "enrolment", "provider")
    worker: str = "w1"
    clients: Path = Path("clients.toml")
    support_url: str = "/help"
    terms_version: str = "2026-11"
    demo_origin: str | None = None
    """Where personas, the actor and the software chips are served. Demo only."""


@dataclass(frozen=True)
class Database:
    url: str
    """SQLAlchemy's: `sqlite:////var/lib/alicem/alicem.db` (a relative path is relative to the settings file, as every path here), or
    `postgresql+psycopg://alicem@/alicem?host=/run/postgresql`; a password stays out of it, in libpq's `PGPASSFILE`."""


@dataclass(frozen=True)
class Keys:
    file: Path
    master_key_file: Path | None = None
    """32 bytes in base64url; else the environment variable `ALICEM_MASTER_KEY`."""
    levels: Mapping[str, str] = field(
        default_factory=lambda: {
            "keystore": "high",
            "passkey": "high",
            "passkey_synced": "substantial",
            "webcrypto": "substantial",
        }
    )
    """The highest level each kind of device key may give. A kind that is not listed is refused."""


@dataclass(frozen=True)
class Trust:
    folder: Path
    specimen: bool = False


@dataclass(frozen=True)
class Registry:
    url: str
    token_file: Path
    timeout_seconds: float = 5.0
    simulated: bool = False
    notices_token_file: Path | None = None
    """The token the registry comes with when it tells of documents lost or stolen; without it such notices are not taken."""


@dataclass(frozen=True)
class Mail:
    host: str
    port: int
    sender: str
    tls: str = "starttls"
    """`starttls`, `tls`, or `none` (loopback only)."""
    username: str | None = None
    password_file: Path | None = None


@dataclass(frozen=True)
class Face:
    models: Path | None = None
    """Where the networks are; by default the cache `alicem face models build` fills."""
    networks: Path | None = None
    """The operator's own face networks and their thresholds (docs/face-networks.md)."""
    colours: str = "required"
    """Whether the screen's colours are sought in the face's reflection. `required`: where they are not seen the person is told how to make them seen,
    and whoever wants none goes to an office. `offered`: they may be refused, and then recordings on a display may pass. `off`."""
    virtual_camera_signs: bool = True
    """Whether a camera that looks like a program is refused."""
    shared: bool = True
    """Session processes are forked from one that loaded the networks; else each loads them. Linux alone can share."""
    actor: bool = False
    """Whether the pages offer the actor in place of a camera."""
    challenge_seed: str | None = None
    """Makes the live challenge predictable. For tests alone."""


@dataclass(frozen=True)
class Retention:
    identity_check_years: int = 5
    idle_years: int = 2
    unfinished_months: int = 2
    most_at_once: float = 0.1
    """Share of all accounts that one run may erase by itself, where it is more than a hundred: else the clock may be wrong."""
    face_try_days: int = 7
    journal_years: int = 5


@dataclass(frozen=True)
class Limits:
    enrolments_per_hour_and_address: int = 8
    suspensions_per_hour_and_address: int = 10
    sign_ins_per_minute_and_address: int = 60
    instructions_per_minute_and_address: int = 120
    face_tries_a_session: int = 3
    face_tries_a_week: int = 6
    face_attempts_a_week: int = 20
    """Tries begun, whatever came of them: nobody breaks off until a challenge comes that suits a recording."""
    session_processes: int | None = None
    """Sessions that read a chip or a face at once; by default one a core."""
    session_queue: int = 50
    """People who may wait for one of these; whoever comes after them is told to come back."""
    session_wait_seconds: float = 300.0
    session_answer_seconds: float = 20.0
    """A session process that owes an answer for so long hangs, and is ended."""
    enrolment_seconds: float = 1800.0
    resume_seconds: float = 600.0
    """How long an enrolment waits for a phone that lost its connection."""
    minimum_age: int = 18
    documents: tuple[str, ...] = ("passport", "residence_permit")


@dataclass(frozen=True)
class Log:
    level: str = "info"
    file: Path | None = None


@dataclass(frozen=True)
class Settings:
    service: Service
    database: Database
    keys: Keys
    trust: Trust
    registry: Registry
    mail: Mail
    face: Face = Face()
    retention: Retention = Retention()
    limits: Limits = Limits()
    log: Log = Log()


def load(path: Path) -> Settings:
    """Parse `alicem.toml`. Raises `SettingsError` that names the key at fault, or what a production profile refuses."""
    settings = read(Settings, path)
    if settings.service.profile not in ("production", "development", "demo"):
        raise SettingsError("service.profile: production, development or demo")
    if settings.face.colours not in ("required", "offered", "off"):
        raise SettingsError("face.colours: required, offered or off")
    kept = settings.retention
    if min(kept.identity_check_years, kept.idle_years, kept.unfinished_months) < 1 or not 0 <= kept.most_at_once <= 1:
        raise SettingsError("retention: terms of at least 1, and a share from 0 to 1")
    refused = production_refusals(settings) if settings.service.profile == "production" else ()
    if refused:
        raise SettingsError("a production profile refuses: " + "; ".join(refused))
    return settings


def read(kind: type[T], path: Path) -> T:
    """Parse any settings file into the frozen dataclass `kind`, nested tables into nested dataclasses."""
    try:
        with path.open("rb") as file:
            tree = tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {error}") from error
    parsed: T = _table(kind, tree, path.parent, "")
    return parsed


def _value(kind: Any, given: Any, base: Path, name: str) -> Any:
    if is_dataclass(kind):
        return _table(kind, given, base, name)
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return _value(next(arm for arm in typing.get_args(kind) if arm is not type(None)), given, base, name)
    if kind is Path:
        return base / _typed(str, given, name)
    if origin is tuple:
        return tuple(_typed(str, one, name) for one in _typed(list, given, name))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict(_typed(dict, given, name))
    if kind is float and isinstance(given, int) and not isinstance(given, bool):
        return float(given)
    return _typed(kind, given, name)


def _table(kind: Any, given: Any, base: Path, name: str) -> Any:
    table = _typed(dict, given, name or "the file")
    hints = typing.get_type_hints(kind)
    unknown = table.keys() - hints.keys()
    if unknown:
        raise SettingsError(f"unknown key {_join(name, min(unknown))}")
    values = {key: _value(hints[key], value, base, _join(name, key)) for key, value in table.items()}
    if kind is Database and "url" in values:
        values["url"] = _beside(base, values["url"])
    for one in fields(kind):
        if isinstance(one.default, Path):  # a default path is relative to the file too
            values.setdefault(one.name, base / one.default)
    try:
        return kind(**values)
    except TypeError as error:
        missing = [one.name for one in fields(kind) if one.name not in values]
        raise SettingsError(f"{name or 'the file'} lacks one of {', '.join(missing)}") from error


def _beside(base: Path, url: str) -> str:
    """A relative SQLite path means the same from every working folder."""
    path = url.removeprefix("sqlite:///")
    relative = path not in ("", url) and not path.startswith(("/", ":"))
    return f"sqlite:///{(base / path).absolute()}" if relative else url


def _typed(kind: Any, given: Any, name: str) -> Any:
    if not isinstance(given, kind) or (kind is int and isinstance(given, bool)):
        raise SettingsError(f"{name}: expected {kind.__name__}, found {type(given).__name__}")
    return given


def _join(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _readable_by_others(path: Path | None) -> bool:
    return path is not None and path.exists() and bool(path.stat().st_mode & 0o077)


PRODUCTION_REFUSES: tuple[tuple[str, Callable[[Settings], bool]], ...] = (
    ("service.origin is plain http", lambda s: urlsplit(s.service.origin).scheme != "https"),
    ("service.demo_origin is set", lambda s: s.service.demo_origin is not None),
    ("trust.specimen accepts specimen documents", lambda s: s.trust.specimen),
    ("registry.simulated: the State's registry is simulated", lambda s: s.registry.simulated),
    ("registry.url is plain http", lambda s: urlsplit(s.registry.url).scheme != "https"),
    ("mail.tls is none", lambda s: s.mail.tls == "none"),
    ("face.actor offers the actor", lambda s: s.face.actor),
    ("face.challenge_seed makes the challenge predictable", lambda s: s.face.challenge_seed is not None),
    ("keys.levels admits software keys", lambda s: "software" in s.keys.levels),
    ("keys.file is readable by others", lambda s: _readable_by_others(s.keys.file)),
    ("keys.master_key_file is readable by others", lambda s: _readable_by_others(s.keys.master_key_file)),
    ("registry.token_file is readable by others", lambda s: _readable_by_others(s.registry.token_file)),
    (
        "registry.notices_token_file is readable by others",
        lambda s: _readable_by_others(s.registry.notices_token_file),
    ),
)


def production_refusals(settings: Settings) -> tuple[str, ...]:
    """What a production profile would refuse, in plain words; empty when nothing."""
    return tuple(text for text, refuses in PRODUCTION_REFUSES if refuses(settings))


def secret(file: Path | None, variable: str, environ: Mapping[str, str] = os.environ) -> str:
    """A secret from its file, else from the environment. Raises `SettingsError` where neither has it."""
    if file is not None:
        try:
            return file.read_text("ascii").strip()
        except OSError as error:
            raise SettingsError(f"{file}: {error.strerror}") from error
    if variable in environ:
        return environ[variable]
    raise SettingsError(f"neither a file nor {variable} gives this secret")

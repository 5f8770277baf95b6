"""What a production profile refuses, each with what to do about it: a table read by `alicem check` and at start."""

from __future__ import annotations

import ipaddress
import stat
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from alicem.settings.tables import ROLES, Settings


@dataclass(frozen=True)
class Refusal:
    """`text`: what is wrong, the key first. `fix`: what to write or type."""

    text: str
    fix: str
    refuses: Callable[[Settings], bool]


def production_refusals(settings: Settings) -> tuple[str, ...]:
    """What a production profile would refuse, in plain words; empty when nothing."""
    return tuple(one.text for one in refusals(settings))


def refusals(settings: Settings) -> tuple[Refusal, ...]:
    return tuple(one for one in PRODUCTION_REFUSES if one.refuses(settings))


def _open_to(bits: int, path: Path | None) -> bool:
    return path is not None and path.exists() and bool(path.stat().st_mode & bits)


def _secret_is_open(path: Path | None) -> bool:
    return _open_to(stat.S_IRWXG | stat.S_IRWXO, path)


def _loopback(host: str | None) -> bool:
    try:
        return host in ("localhost", "localhost.localdomain") or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _host(listen: str) -> str:
    return listen.rpartition(":")[0].strip("[]")


def sqlite_file(settings: Settings) -> Path | None:
    """The file of the database, where it is one."""
    path = settings.database.url.removeprefix("sqlite:///")
    return None if path == settings.database.url else Path(path)


def _names_password(settings: Settings) -> bool:
    parts = urlsplit(settings.database.url)
    return parts.password is not None or "password=" in parts.query


def _lacks_roles(settings: Settings) -> bool:
    return set(settings.service.roles) != set(ROLES)


def _trusts_everybody(settings: Settings) -> bool:
    return any(ipaddress.ip_network(one).prefixlen == 0 for one in settings.service.trusted_proxies)


def _limit_is_zero(settings: Settings) -> bool:
    values = [getattr(settings.limits, one.name) for one in fields(settings.limits)]
    return any(value == () or (isinstance(value, (int, float)) and value <= 0) for value in values)


def _sends_spans_openly(settings: Settings) -> bool:
    parts = urlsplit(settings.traces.endpoint or "")
    return parts.scheme == "http" and not _loopback(parts.hostname)


_CHMOD = "chmod 600, and give it to the user the server runs as"

PRODUCTION_REFUSES: tuple[Refusal, ...] = (
    Refusal(
        "service.origin is plain http",
        "an https origin; TLS ends at the reverse proxy (deploy/)",
        lambda s: urlsplit(s.service.origin).scheme != "https",
    ),
    Refusal("service.demo_origin is set", "leave it out", lambda s: s.service.demo_origin is not None),
    Refusal("service.trusted_proxies believes everybody", "the proxy's own address alone", _trusts_everybody),
    Refusal(
        "service.roles lacks some: other workers have them, and SQLite serves one",
        "PostgreSQL in database.url, or all roles",
        lambda s: sqlite_file(s) is not None and _lacks_roles(s),
    ),
    Refusal(
        "database.url holds a password", "keep it in libpq's PGPASSFILE, or use peer authentication", _names_password
    ),
    Refusal("database.url: its file is readable by others", _CHMOD, lambda s: _open_to(stat.S_IRWXO, sqlite_file(s))),
    Refusal("trust.specimen accepts specimen documents", "leave it out", lambda s: s.trust.specimen),
    Refusal(
        "registry.simulated: the State's registry is simulated",
        "leave it out, with the State's registry in registry.url",
        lambda s: s.registry.simulated,
    ),
    Refusal("registry.url is plain http", "an https address", lambda s: urlsplit(s.registry.url).scheme != "https"),
    Refusal("mail.tls is none", 'tls = "starttls", or "tls"', lambda s: s.mail.tls == "none"),
    Refusal(
        "mail.host is this machine: a mail box of the demonstration?",
        "the relay's own name",
        lambda s: _loopback(s.mail.host),
    ),
    Refusal("face.actor offers the actor", "leave it out", lambda s: s.face.actor),
    Refusal(
        "face.challenge_seed makes the challenge predictable",
        "leave it out",
        lambda s: s.face.challenge_seed is not None,
    ),
    Refusal("keys.levels admits software keys", "leave `software` out", lambda s: "software" in s.keys.levels),
    Refusal("limits: one of them is zero", "a number of at least one, or the default", _limit_is_zero),
    Refusal("log.level is debug", 'level = "info"', lambda s: s.log.level == "debug"),
    Refusal("log.file is readable by others", _CHMOD, lambda s: _open_to(stat.S_IRWXO, s.log.file)),
    Refusal(
        "metrics.listen is not a loopback address",
        "127.0.0.1 and a port; collect from this machine, or through a tunnel",
        lambda s: s.metrics.listen is not None and not _loopback(_host(s.metrics.listen)),
    ),
    Refusal(
        "traces.endpoint is plain http to another machine", "https, or a collector on this machine", _sends_spans_openly
    ),
    Refusal("keys.file is readable by others", _CHMOD, lambda s: _secret_is_open(s.keys.file)),
    Refusal(
        "keys.token.pin_file is readable by others",
        _CHMOD,
        lambda s: s.keys.token is not None and _secret_is_open(s.keys.token.pin_file),
    ),
    Refusal("keys.master_key_file is readable by others", _CHMOD, lambda s: _secret_is_open(s.keys.master_key_file)),
    Refusal("registry.token_file is readable by others", _CHMOD, lambda s: _secret_is_open(s.registry.token_file)),
    Refusal(
        "registry.notices_token_file is readable by others",
        _CHMOD,
        lambda s: _secret_is_open(s.registry.notices_token_file),
    ),
    Refusal(
        "registry.certificate_key_file is readable by others",
        _CHMOD,
        lambda s: _secret_is_open(s.registry.certificate_key_file),
    ),
    Refusal("mail.password_file is readable by others", _CHMOD, lambda s: _secret_is_open(s.mail.password_file)),
)

"""A settings file parsed once at the edge: unknown keys are errors, paths are relative to the file, secrets come by file or environment."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from alicem.settings.production import production_refusals
from alicem.settings.tables import ROLES, Database, Settings

T = TypeVar("T")


class SettingsError(Exception):
    """The settings file says something it may not; the message names the key."""


def load(path: Path) -> Settings:
    """Parse `alicem.toml`. Raises `SettingsError` that names the key at fault, or what a production profile refuses."""
    settings = parse(path)
    refused = production_refusals(settings) if settings.service.profile == "production" else ()
    if refused:
        raise SettingsError("a production profile refuses: " + "; ".join(refused))
    return settings


def parse(path: Path) -> Settings:
    """`load` for `alicem check`, which tells by itself what a production profile refuses."""
    settings = read(Settings, path)
    for sentence, holds in _RULES:
        if not holds(settings):
            raise SettingsError(sentence)
    return settings


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _has_port(listen: str | None) -> bool:
    return listen is None or (listen.rpartition(":")[0] != "" and listen.rpartition(":")[2].isdecimal())


_RULES: tuple[tuple[str, Callable[[Settings], bool]], ...] = (
    (
        "service.profile: production, development or demo",
        lambda s: s.service.profile in ("production", "development", "demo"),
    ),
    ("service.listen: address:port", lambda s: _has_port(s.service.listen)),
    (
        f"service.roles: one or more of {', '.join(ROLES)}",
        lambda s: 0 < len(s.service.roles) == len({*s.service.roles} & {*ROLES}),
    ),
    (
        "service.worker: 1 to 32 small letters, digits and hyphens",
        lambda s: re.fullmatch("[a-z0-9-]{1,32}", s.service.worker) is not None,
    ),
    ("service.trusted_proxies: addresses or networks", lambda s: all(map(_is_network, s.service.trusted_proxies))),
    ("face.colours: required, offered or off", lambda s: s.face.colours in ("required", "offered", "off")),
    ("wallets.foreign: off, low or substantial", lambda s: s.wallets.foreign in ("off", "low", "substantial")),
    (
        "retention: terms of at least 1, and a share from 0 to 1",
        lambda s: (
            min(
                s.retention.identity_check_years,
                s.retention.idle_years,
                s.retention.unfinished_months,
                s.retention.journal_years,
            )
            >= 1
            and 0 <= s.retention.most_at_once <= 1
        ),
    ),
    ("log.level: debug, info, warning or error", lambda s: s.log.level in ("debug", "info", "warning", "error")),
    ("metrics.listen: address:port", lambda s: _has_port(s.metrics.listen)),
    ("traces.sample: a share from 0 to 1", lambda s: 0 <= s.traces.sample <= 1),
)
"""What no profile may say, whatever the types admit."""


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

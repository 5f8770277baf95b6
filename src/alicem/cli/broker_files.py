"""One file a service or a provider, as `alicem broker services` and `alicem broker providers` list, write and take it away."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import typer

from alicem import broker
from alicem.broker.folder import Connected, Folder
from alicem.broker.keys import write_private
from alicem.broker.providers import Provider
from alicem.broker.services import Service
from alicem.cli.says import REFUSED, USAGE, fail, out
from alicem.settings import SettingsError, read

T = TypeVar("T", bound=Service | Provider)


def now() -> datetime:
    return datetime.now(UTC)


def settings_of(config: Path) -> broker.BrokerSettings:
    try:
        return read(broker.BrokerSettings, config)
    except SettingsError as error:
        fail(str(error))


class Kind(Generic[T]):
    """What services and providers have in common on the command line."""

    def __init__(self, word: str, parse: Callable[[Path], T]) -> None:
        self.word, self.parse = word, parse

    def folder(self, config: Path) -> Folder[T]:
        try:
            return Folder(getattr(settings_of(config), self.word), self.parse, now)
        except SettingsError as error:
            fail(str(error))

    def path(self, config: Path, name: str) -> Path:
        """The file of this name. Fails where it could lie elsewhere."""
        if not name or name != Path(name).name or name.startswith("."):
            fail("a name is that of a file, without .toml", USAGE)
        folder: Path = getattr(settings_of(config), self.word)
        return folder / f"{name}.toml"

    def one(self, config: Path, name: str) -> T:
        path = self.path(config, name)
        try:
            return self.parse(path)
        except SettingsError as error:
            fail(str(error), REFUSED)

    def list(self, config: Path, as_json: bool, columns: Callable[[T], Mapping[str, Any]]) -> None:
        folder = self.folder(config)
        rows = [{"name": one.name, **columns(one)} for one in folder.all().values()]
        if as_json:
            out({self.word: rows, "faults": dict(folder.faults())})
            return
        for row in rows:
            typer.echo("  ".join(" ".join(one) if isinstance(one, tuple) else str(one) for one in row.values()))
        for sentence in folder.faults().values():
            typer.echo(f"not read: {sentence}", err=True)

    def show(self, config: Path, name: str, as_json: bool) -> None:
        told = {key: value for key, value in asdict(self.one(config, name).file).items() if value is not None}
        if as_json:
            out({key: str(value) if isinstance(value, Path) else value for key, value in told.items()})
            return
        typer.echo(toml(told), nl=False)

    def check(self, config: Path, name: str | None) -> None:
        if name is not None:
            self.one(config, name)
            return
        faults = self.folder(config).faults()
        for sentence in faults.values():
            typer.echo(sentence, err=True)
        if faults:
            raise typer.Exit(REFUSED)

    def add(self, config: Path, name: str, told: Mapping[str, Any], secret: str | None) -> T:
        """Write the file, and a secret beside it, when all of it is right."""
        path = self.path(config, name)
        if path.exists():
            fail(f"{path} is there already: change it, or remove it first", REFUSED)
        new = path.with_suffix(".new")
        written = [new]
        try:
            if secret is not None:
                write_private(path.with_suffix(".secret"), secret.encode())
                written.append(path.with_suffix(".secret"))
            write_private(new, toml(told).encode())
            self._differs(config, self.parse(new))
            new.rename(path)
        except SettingsError as error:
            for file in written:
                file.unlink(missing_ok=True)
            fail(str(error), USAGE)
        return self.one(config, name)

    def _differs(self, config: Path, one: Connected) -> None:
        if self.word == "services" and one.key in self.folder(config).all():
            raise SettingsError(f"client_id {one.key} is another service's")

    def remove(self, config: Path, name: str) -> None:
        path = self.path(config, name)
        if not path.exists():
            fail(f"{path}: there is no such file", REFUSED)
        path.unlink()
        path.with_suffix(".secret").unlink(missing_ok=True)


def toml(table: Mapping[str, Any]) -> str:
    """Texts, truths and lists of texts as TOML 1.0, whose basic strings are written as JSON's."""
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def _value(value: Any) -> str:
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)

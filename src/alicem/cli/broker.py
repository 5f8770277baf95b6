"""`alicem broker`: the application, and the files that say which services and providers it stands between."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import httpx
import typer
from sqlalchemy.exc import SQLAlchemyError

from alicem import broker
from alicem.broker import kept
from alicem.broker.alerts import spelled
from alicem.broker.folder import Connected, Folder
from alicem.broker.keys import EncryptionKeys, write_private
from alicem.broker.providers import Provider, read_provider
from alicem.broker.relying import ProviderFault, discover
from alicem.broker.services import Service, read_service
from alicem.cli.says import REFUSED, USAGE, fail, out
from alicem.settings import SettingsError, read
from alicem.store import Store
from alicem.store.migrate import UnknownSchema

app = typer.Typer(no_args_is_help=True, help="The broker between services and providers.")
services = typer.Typer(no_args_is_help=True, help="Services, one file each.")
providers = typer.Typer(no_args_is_help=True, help="Identity providers, one file each.")
keys = typer.Typer(no_args_is_help=True, help="Keys that providers encrypt to.")
app.add_typer(services, name="services")
app.add_typer(providers, name="providers")
app.add_typer(keys, name="keys")

Config = Annotated[Path, typer.Option("--config", help="broker.toml")]
AsJson = Annotated[bool, typer.Option("--json")]
Name = Annotated[str, typer.Argument(help="of the file, without .toml", show_default=False)]
CONFIG = Path("broker.toml")
T = TypeVar("T", bound=Service | Provider)


@app.callback()
def _broker() -> None:
    """The broker between services and providers."""


@app.command("serve")
def serve(config: Config = CONFIG) -> None:
    """Run the broker."""
    try:
        broker.serve(config)
    except (SettingsError, UnknownSchema) as error:
        fail(str(error))


def _now() -> datetime:
    return datetime.now(UTC)


def _settings(config: Path) -> broker.BrokerSettings:
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
            return Folder(getattr(_settings(config), self.word), self.parse, _now)
        except SettingsError as error:
            fail(str(error))

    def path(self, config: Path, name: str) -> Path:
        """The file of this name. Fails where it could lie elsewhere."""
        if not name or name != Path(name).name or name.startswith("."):
            fail("a name is that of a file, without .toml", USAGE)
        folder: Path = getattr(_settings(config), self.word)
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
        typer.echo(_toml(told), nl=False)

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
            write_private(new, _toml(told).encode())
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


def _toml(table: Mapping[str, Any]) -> str:
    """Texts, truths and lists of texts as TOML 1.0, whose basic strings are written as JSON's."""
    return "".join(f"{key} = {_toml_value(value)}\n" for key, value in table.items())


def _toml_value(value: Any) -> str:
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


_SERVICES, _PROVIDERS = Kind("services", read_service), Kind("providers", read_provider)


@services.command("list")
def list_services(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Services that are read, and files that are not."""
    _SERVICES.list(
        config, as_json, lambda one: {"client_id": one.key, "title": one.file.title, "scopes": one.file.scopes}
    )


@services.command("add")
def add_service(
    name: Name,
    title: Annotated[str, typer.Option(help="what people read", show_default=False)],
    redirect_uri: Annotated[list[str], typer.Option(help="may be given several times", show_default=False)],
    entity: Annotated[str, typer.Option(help="the organisation: one pseudonym for all its services")] = "",
    client_id: Annotated[str, typer.Option(help="made where it is not given")] = "",
    scope: Annotated[list[str], typer.Option(help="the most it may ask")] = ["openid"],  # noqa: B006
    post_logout_redirect_uri: Annotated[list[str], typer.Option()] = [],  # noqa: B006
    level: Annotated[list[str], typer.Option(help="what it may ask")] = ["eidas1", "eidas2", "eidas3"],  # noqa: B006
    auth: Annotated[str, typer.Option()] = "client_secret_post",
    signature: Annotated[str, typer.Option()] = "ES256",
    encryption_alg: Annotated[str, typer.Option()] = "",
    jwks_uri: Annotated[str, typer.Option()] = "",
    userinfo_signed: Annotated[bool, typer.Option("--userinfo-signed")] = False,
    consent: Annotated[bool, typer.Option("--consent", help="a private service whose page has a box to tick")] = False,
    allow: Annotated[list[str], typer.Option(help="the only providers")] = [],  # noqa: B006
    refuse: Annotated[list[str], typer.Option(help="providers that may not be used")] = [],  # noqa: B006
    config: Config = CONFIG,
) -> None:
    """Write a service's file and make its client secret. The broker that runs sees it within a second."""
    with_secret = auth != "private_key_jwt" or signature == "HS256"
    told = {
        "title": title, "client_id": client_id or secrets.token_hex(16), "entity": entity or name,
        "redirect_uris": redirect_uri, "post_logout_redirect_uris": post_logout_redirect_uri, "scopes": _openid(scope),
        "levels": level, "auth": auth, "signature": signature, "encryption_alg": encryption_alg, "jwks_uri": jwks_uri,
        "secret_file": f"{name}.secret" if with_secret else "", "userinfo_signed": userinfo_signed, "consent": consent,
        "allowed_providers": allow, "refused_providers": refuse,
    }  # fmt: skip
    told = {key: value for key, value in told.items() if value not in ("", [], False)}
    made = _SERVICES.add(config, name, told, secrets.token_hex(32) if with_secret else None)
    typer.echo(f"issuer         {_settings(config).origin}\nclient_id      {made.key}")
    if made.file.secret_file is not None:
        typer.echo(f"client secret  in {made.file.secret_file}")


def _openid(scopes: list[str]) -> list[str]:
    return list(dict.fromkeys(["openid", *(word for one in scopes for word in one.split())]))


@services.command("show")
def show_service(name: Name, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """What a service's file says, defaults too."""
    _SERVICES.show(config, name, as_json)


@services.command("check")
def check_services(
    name: Annotated[str | None, typer.Argument(help="one; all of them without")] = None, config: Config = CONFIG
) -> None:
    """Whether the files can be read, and what is wrong with those that cannot."""
    _SERVICES.check(config, name)


@services.command("remove")
def remove_service(name: Name, config: Config = CONFIG) -> None:
    """Take a service away, with the secret that `add` made. Sign-ins under way to it end."""
    _SERVICES.remove(config, name)


@providers.command("list")
def list_providers(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Providers that are read, and files that are not."""
    _PROVIDERS.list(
        config, as_json, lambda one: {"title": one.file.title, "issuer": one.file.issuer, "levels": one.file.levels}
    )


@providers.command("add")
def add_provider(
    name: Name,
    title: Annotated[str, typer.Option(help="what people read", show_default=False)],
    issuer: Annotated[str, typer.Option(show_default=False)],
    client_id: Annotated[str, typer.Option(help="of this broker at the provider", show_default=False)],
    secret_file: Annotated[Path | None, typer.Option(help="the client secret; made where it is not given")] = None,
    level: Annotated[list[str], typer.Option(help="what it may give")] = ["eidas2"],  # noqa: B006
    signature: Annotated[str, typer.Option()] = "ES256",
    userinfo: Annotated[str, typer.Option(help="json, or jwt where it is signed")] = "json",
    encryption_alg: Annotated[str, typer.Option(help="RSA-OAEP-256, RSA-OAEP or ECDH-ES")] = "",
    config: Config = CONFIG,
) -> None:
    """Write a provider's file. The broker that runs sees it within a second."""
    told = {
        "title": title, "issuer": issuer, "client_id": client_id, "levels": level, "signature": signature,
        "secret_file": str(secret_file.absolute()) if secret_file else f"{name}.secret", "userinfo": userinfo,
        "encryption_alg": encryption_alg,
    }  # fmt: skip
    told = {key: value for key, value in told.items() if value != ""}
    made = _PROVIDERS.add(config, name, told, secrets.token_hex(32) if secret_file is None else None)
    origin = _settings(config).origin
    typer.echo(f"redirect_uri   {origin}/callback/{made.name}\nlogged out at  {origin}/logged-out/{made.name}")
    typer.echo(f"keys           {origin}/client/keys\nclient secret  in {made.file.secret_file}")


@providers.command("show")
def show_provider(name: Name, config: Config = CONFIG, as_json: AsJson = False) -> None:
    """What a provider's file says, defaults too."""
    _PROVIDERS.show(config, name, as_json)


@providers.command("check")
def check_providers(
    name: Annotated[str | None, typer.Argument(help="one; all of them without")] = None,
    online: Annotated[bool, typer.Option("--online", help="ask each for its discovery document")] = False,
    config: Config = CONFIG,
) -> None:
    """Whether the files can be read, and with `--online` whether the providers answer."""
    _PROVIDERS.check(config, name)
    if online:
        found = [_PROVIDERS.one(config, name)] if name else list(_PROVIDERS.folder(config).all().values())
        answers = [asyncio.run(_answers(one)) for one in found if not one.file.coming]
        if not all(answers):
            raise typer.Exit(REFUSED)


async def _answers(provider: Provider) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            await discover(client, provider)
        except ProviderFault as fault:
            typer.echo(f"{provider.name}: {fault.reason}", err=True)
            return False
    typer.echo(f"{provider.name}: answers")
    return True


@providers.command("remove")
def remove_provider(name: Name, config: Config = CONFIG) -> None:
    """Take a provider away, with the secret that `add` made."""
    _PROVIDERS.remove(config, name)


@keys.command("list")
def list_keys(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Keys that providers encrypt to: algorithm, kid, until when they are published."""
    rows = [
        {"alg": one.alg, "kid": str(one.key.kid), "made": one.made, "until": one.until}
        for one in _encryption(config).all()
    ]
    if as_json:
        out(rows)
        return
    for row in rows:
        ends = "" if row["until"] is None else f"  until {datetime.fromtimestamp(int(str(row['until'])), UTC):%F %TZ}"
        typer.echo(f"{row['alg']}  {row['kid']}{ends}")


@keys.command("rotate")
def rotate_keys(config: Config = CONFIG) -> None:
    """A new key for each algorithm. The one before stays published for a day, and opens an hour longer."""
    _encryption(config).rotate(_now())


def _encryption(config: Path) -> EncryptionKeys:
    encryption = EncryptionKeys(_settings(config).encryption_file)
    try:
        encryption.all()
    except SettingsError as error:
        fail(str(error))
    return encryption


@app.command("reports")
def reports(config: Config = CONFIG, as_json: AsJson = False) -> None:
    """Sign-ins that people said were not theirs, newest first: session code, time, service, provider. Nobody is named."""
    told = [{name: value for name, value in asdict(row).items() if name != "person"} for row in _reported(config)]
    if as_json:
        out(told)
        return
    for row in told:
        at = f"{datetime.fromtimestamp(row['at'], UTC):%F %T}Z"
        typer.echo(f"{spelled(row['code'])}  {at}  {row['service'] or 'history'}  {row['provider']}  {row['level']}")


def _reported(config: Path) -> list[kept.SignedIn]:
    store = Store(_settings(config).database.url)
    try:
        return asyncio.run(store.read(kept.reported))
    except SQLAlchemyError as error:
        fail(f"the database does not answer ({type(error).__name__})")
    finally:
        store.close()

"""`alicem broker`: the application, and the files that say which services and providers it stands between."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import httpx
import typer
from sqlalchemy.exc import SQLAlchemyError

from alicem import broker
from alicem.broker import kept
from alicem.broker.alerts import spelled
from alicem.broker.keys import EncryptionKeys
from alicem.broker.providers import Provider, read_provider
from alicem.broker.relying import ProviderFault, discover
from alicem.broker.services import read_service
from alicem.cli.broker_files import Kind, now, settings_of
from alicem.cli.says import REFUSED, fail, out
from alicem.settings import SettingsError
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
    typer.echo(f"issuer         {settings_of(config).origin}\nclient_id      {made.key}")
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
    origin = settings_of(config).origin
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
    _encryption(config).rotate(now())


def _encryption(config: Path) -> EncryptionKeys:
    encryption = EncryptionKeys(settings_of(config).encryption_file)
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
    store = Store(settings_of(config).database.url)
    try:
        return asyncio.run(store.read(kept.reported))
    except SQLAlchemyError as error:
        fail(f"the database does not answer ({type(error).__name__})")
    finally:
        store.close()

"""`alicem clients`: who may sign people in. Running servers see a change by themselves, within a second or so."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from alicem.cli.says import REFUSED, USAGE, err, fail, out
from alicem.keys import KeysError
from alicem.keys.file import locked, replacing
from alicem.provider.client_keys import ClientKeys, KeysUnavailable
from alicem.provider.clients import Client, Reading, read
from alicem.provider.profiles import ASSERTION, ENCRYPTION_ENC, JWT, PROFILES
from alicem.settings import Settings, SettingsError, load

app = typer.Typer(no_args_is_help=True, help="Who may sign people in.")
Config = Annotated[Path, typer.Option("--config", help="alicem.toml")]
Json = Annotated[bool, typer.Option("--json", help="to standard output")]
HERE = Path("alicem.toml")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@app.command("list")
def list_clients(config: Config = HERE, as_json: Json = False) -> None:
    """Every client, in a line."""
    with _settings(config) as settings:
        reading = _read(settings)
    rows = [_row(client) for client in reading.clients.values()]
    if as_json:
        out(rows)
    else:
        for row in rows:
            typer.echo(f"{row['client_id']:32} {row['profile']:18} {row['sector']:18} {row['name']}")
    _tell(reading.faults)


@app.command("show")
def show(client_id: str, config: Config = HERE, as_json: Json = False) -> None:
    """A client, and what its developer configures. Never its secret."""
    with _settings(config) as settings:
        reading = _read(settings)
        client = reading.clients.get(client_id)
        if client is None:
            fail(f"there is no client {client_id}", REFUSED)
        if as_json:
            out({**_row(client), "scopes": sorted(client.scopes), "configuration": configuration(client, settings)})
            return
        _print({**_row(client), **configuration(client, settings)})


@app.command("check")
def check(
    config: Config = HERE,
    online: Annotated[bool, typer.Option("--online", help="fetch the keys of those that publish them, too")] = False,
    as_json: Json = False,
) -> None:
    """Say what is wrong with the client file, a sentence each: 1 if something is."""
    with _settings(config) as settings:
        try:
            reading = _read(settings)
            faults = reading.faults + (asyncio.run(_unreachable(reading)) if online else ())
        except SettingsError as error:
            faults = (str(error),)
    if as_json:
        out({"faults": list(faults)})
        raise typer.Exit(REFUSED if faults else 0)
    _tell(faults)


@app.command("add")
def add(
    client_id: str,
    name: Annotated[str, typer.Option(help="what the phone shows")],
    redirect_uri: Annotated[list[str], typer.Option(help="where people go back to; may be repeated")],
    scope: Annotated[str, typer.Option(help="the most it may ask, for instance 'openid email'")] = "openid",
    profile: Annotated[str, typer.Option(help=", ".join(PROFILES))] = "direct",
    sector: Annotated[str | None, typer.Option(help="whom its pseudonyms are for; by default its own")] = None,
    post_logout_redirect_uri: Annotated[list[str] | None, typer.Option(help="may be repeated")] = None,
    auth: Annotated[str | None, typer.Option(help="one way of those of the profile")] = None,
    id_token_alg: Annotated[str | None, typer.Option(help="HS256 or ES256")] = None,
    userinfo: Annotated[str | None, typer.Option(help="json or jwt")] = None,
    encryption_alg: Annotated[str | None, typer.Option(help="RSA-OAEP-256, RSA-OAEP or ECDH-ES")] = None,
    jwks_uri: Annotated[str | None, typer.Option(help="where the client publishes its keys")] = None,
    jwks_file: Annotated[str | None, typer.Option(help="a file of its keys beside the client file")] = None,
    config: Config = HERE,
    as_json: Json = False,
) -> None:
    """Add a client, with a new secret where it has one, and print what its developer configures."""
    if profile not in PROFILES:
        fail(f"a profile is one of {', '.join(PROFILES)}", USAGE)
    if not re.fullmatch(r"[A-Za-z0-9._~-]{1,100}", client_id):
        fail("a new client_id is 1 to 100 of A-Z a-z 0-9 . _ ~ -", USAGE)  # it names a file, too
    chosen = {
        "name": name,
        "profile": profile,
        "redirect_uris": redirect_uri,
        "post_logout_redirect_uris": post_logout_redirect_uri,
        "sector": sector or client_id,
        "scopes": scope.split(),
        "auth": auth,
        "id_token_alg": id_token_alg,
        "userinfo": userinfo,
        "encryption_alg": encryption_alg,
        "jwks_uri": jwks_uri,
        "jwks_file": jwks_file,
    }
    proves = (auth or PROFILES[profile].auth[0]) == ASSERTION
    table = {key: value for key, value in chosen.items() if value}
    with _settings(config) as settings, locked(settings.service.clients):
        client = _added(settings, client_id, table if proves else {**table, "secret_file": f"{client_id}.secret"})
        told = configuration(client, settings)
    if as_json:
        out(told)
        return
    _print(told)
    if client.secret:
        err.print(
            f"Hand {client_id}.secret, beside the client file, to the developer where nobody else reads.", markup=False
        )


@app.command("secret")
def secret(client_id: str, config: Config = HERE) -> None:
    """Replace a client's secret: what it had before is refused from the next second on."""
    with _settings(config) as settings, locked(settings.service.clients):
        client = _read(settings).clients.get(client_id)
        if client is None or client.secret_file is None:
            fail(f"there is no client {client_id} with a secret", REFUSED)
        _replace(client.secret_file, secrets.token_urlsafe(32), settings.service.clients)
        typer.echo(str(client.secret_file))


async def _unreachable(reading: Reading) -> tuple[str, ...]:
    """Of the clients that publish keys: whose are not there, or none that fits."""
    remote, faults = ClientKeys(lambda: datetime.now(UTC)), []
    for client in reading.clients.values():
        try:
            await client.recipient(remote)
            if ASSERTION in client.auth and not (await client.key_set(remote, lambda _: False)).signing:
                faults.append(f"{client.client_id}.jwks_uri: no ES256 key with use sig")
        except KeysUnavailable as error:
            faults.append(f"{client.client_id}.jwks_uri: {error}")
    return tuple(faults)


def configuration(client: Client, settings: Settings) -> dict[str, Any]:
    """What a client's developer sets, in the names of OpenID Connect Dynamic Client Registration 1.0 §2 and its extensions."""
    profile, encrypted = client.profile, client.encryption_alg
    signed = client.userinfo == JWT
    told = {
        "issuer": settings.service.origin,
        "discovery": f"{settings.service.origin}/.well-known/openid-configuration",
        "client_id": client.client_id,
        "token_endpoint_auth_method": client.auth[0],
        "token_endpoint_auth_signing_alg": "ES256" if ASSERTION in client.auth else None,
        "response_types": ["code"],
        "redirect_uris": list(client.redirect_uris),
        "post_logout_redirect_uris": list(client.post_logout_redirect_uris),
        "scope": " ".join(sorted(client.scopes, key=lambda scope: (scope != "openid", scope))),
        "acr_values": "eidas1, eidas2 or eidas3",
        "code_challenge_method": "S256" if profile.pkce else "S256, where it can",
        "require_pushed_authorization_requests": profile.pushed,
        "dpop_bound_access_tokens": profile.bound,
        "id_token_signed_response_alg": client.id_token_alg,
        "id_token_encrypted_response_alg": encrypted,
        "id_token_encrypted_response_enc": encrypted and ENCRYPTION_ENC,
        "userinfo_signed_response_alg": client.id_token_alg if signed else None,
        "userinfo_encrypted_response_alg": encrypted,
        "userinfo_encrypted_response_enc": encrypted and ENCRYPTION_ENC,
        "jwks_uri": client.jwks_uri,
    }
    return {name: value for name, value in told.items() if value is not None and value != []}


def _added(settings: Settings, client_id: str, table: Mapping[str, Any]) -> Client:
    """The client, once file and secret are written; a fault leaves both as they were."""
    file = settings.service.clients
    before = file.read_text("utf-8") if file.exists() else ""
    if client_id in _read(settings, before).clients:
        fail(f"there is a client {client_id} already", REFUSED)
    made = file.parent / table["secret_file"] if "secret_file" in table else None
    if made is not None:
        if made.exists():
            fail(f"{made} is there already", REFUSED)
        _replace(made, secrets.token_urlsafe(32), file)
    text = before + ("\n" if before else "") + written(client_id, table)
    reading = _read(settings, text)
    if reading.faults:
        if made is not None:
            made.unlink()
        _tell(reading.faults)
    _replace(file, text, file)
    return reading.clients[client_id]


def written(client_id: str, table: Mapping[str, Any]) -> str:
    """A table of TOML."""
    head = client_id if _BARE.fullmatch(client_id) else _string(client_id)
    return f"[{head}]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def _value(value: str | list[str]) -> str:
    return _string(value) if isinstance(value, str) else f"[{', '.join(map(_string, value))}]"


def _string(text: str) -> str:
    """A basic string of TOML 1.0 is one of JSON, save that DEL is escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _replace(file: Path, text: str, like: Path) -> None:
    """A file as a whole and durably, 0600 where it is new, of the owner of `like`, so that the server goes on reading it."""
    known = file.stat() if file.exists() else None
    owner = like.stat() if like.exists() else like.parent.stat()
    with replacing(file) as stream:
        stream.write(text.encode())
        if known is not None:
            os.fchmod(stream.fileno(), stat.S_IMODE(known.st_mode) if file == like else 0o600)
        if os.geteuid() == 0:
            os.fchown(stream.fileno(), owner.st_uid, owner.st_gid)


def _read(settings: Settings, text: str | None = None) -> Reading:
    return read(settings.service.clients, loopback=settings.service.profile != "production", text=text)


def _row(client: Client) -> dict[str, str]:
    return {
        "client_id": client.client_id,
        "name": client.name,
        "profile": client.profile.name,
        "sector": client.sector,
    }


def _print(told: Mapping[str, Any]) -> None:
    for name, value in told.items():
        words = (
            " ".join(map(str, value))
            if isinstance(value, list)
            else str(value).lower()
            if isinstance(value, bool)
            else value
        )
        typer.echo(f"{name:38} {words}")


def _tell(faults: tuple[str, ...]) -> None:
    """A sentence each; where there is one, the command ends refused."""
    for fault in faults:
        err.print(fault, style="bold red", markup=False, soft_wrap=True)
    if faults:
        raise typer.Exit(REFUSED)


@contextmanager
def _settings(config: Path) -> Iterator[Settings]:
    """The settings; what goes wrong inside ends the command with its sentence."""
    try:
        yield load(config)
    except (SettingsError, KeysError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")

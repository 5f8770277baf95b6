"""Clients of the provider, from `clients.toml`: one table a client, under its client_id. Unknown keys are errors. docs/clients.md tells each key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alicem.jose import BadToken
from alicem.provider.client_keys import MOST, ClientKeys, KeySet, KeysUnavailable, Lacks, Recipient, parse
from alicem.provider.client_rules import rules
from alicem.provider.profiles import JWT, PROFILES, Profile
from alicem.settings import SettingsError

_LEAST_SECRET = 32  # characters: an HS256 key has at least 256 bits (RFC 7518 §3.2)
_REQUIRED: Mapping[str, type] = {"name": str, "profile": str, "redirect_uris": list, "sector": str, "scopes": list}
_OPTIONAL: Mapping[str, type] = {
    "secret_file": str,
    "post_logout_redirect_uris": list,
    "auth": str,
    "id_token_alg": str,
    "userinfo": str,
    "encryption_alg": str,
    "encryption_enc": str,
    "jwks_uri": str,
    "jwks_file": str,
}
KEYS: Mapping[str, type] = {**_REQUIRED, **_OPTIONAL}
_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(frozen=True)
class Client:
    """`name`: what the phone shows. `sector`: what its pairwise subjects are derived for. `scopes`: the most it may ask.

    `secret` is empty where it has none. `userinfo`: `json` or `jwt`. `encryption_alg`: of id token and userinfo. `keys`: those of its file;
    those at `jwks_uri` are fetched.
    """

    client_id: str
    name: str
    profile: Profile
    secret: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    auth: tuple[str, ...]
    id_token_alg: str
    userinfo: str
    encryption_alg: str | None
    sector: str
    scopes: frozenset[str]
    jwks_uri: str | None = None
    keys: KeySet | None = None
    secret_file: Path | None = None

    def __repr__(self) -> str:
        return f"Client({self.client_id!r})"  # the secret must not reach a log

    async def key_set(self, remote: ClientKeys, lacks: Lacks) -> KeySet:
        """Its public keys. Raises `KeysUnavailable`."""
        if self.keys is not None:
            return self.keys
        if self.jwks_uri is None:
            raise KeysUnavailable("this client has no keys")
        return await remote.at(self.jwks_uri, lacks)

    async def recipient(self, remote: ClientKeys) -> Recipient | None:
        """Whom its answers are encrypted to, if they are. Raises `KeysUnavailable`."""
        alg = self.encryption_alg
        if alg is None:
            return None
        keys = await self.key_set(remote, lambda held: alg not in held.recipients)
        if alg not in keys.recipients:
            raise KeysUnavailable(f"the client publishes no key for {alg} with use enc")
        return keys.recipients[alg]


@dataclass(frozen=True)
class Reading:
    """A client file: the clients that are well, what is wrong with the others, a sentence each, and every file they are made of."""

    clients: Mapping[str, Client]
    faults: tuple[str, ...]
    files: tuple[Path, ...]


def load(path: Path, *, loopback: bool = True) -> Mapping[str, Client]:
    """All clients by client_id; `loopback`: whether keys may be fetched without TLS from this machine. Raises `SettingsError` with every fault."""
    reading = read(path, loopback=loopback)
    if reading.faults:
        raise SettingsError("; ".join(reading.faults))
    return reading.clients


def read(path: Path, *, loopback: bool = True, text: str | None = None) -> Reading:
    """`text`: what the file is to hold, where it does not yet. Raises `SettingsError` where it cannot be read at all."""
    try:
        tree = tomllib.loads(path.read_text("utf-8") if text is None else text)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    clients, faults, files = {}, [], [path]
    for client_id, table in tree.items():
        wrong = [f"{client_id}{fault}" for fault in _misshapen(client_id, table)]
        if not wrong:
            files += [path.parent / table[key] for key in ("secret_file", "jwks_file") if key in table]
            client, wrong = _client(client_id, table, path.parent, loopback)
        if not wrong:
            clients[client_id] = client
        faults += wrong
    return Reading(clients, tuple(faults), tuple(files))


def _misshapen(client_id: str, table: Any) -> Iterator[str]:
    if not _IDENTIFIER.fullmatch(client_id):
        yield ": a client_id is 1 to 200 visible ASCII characters"
    if not isinstance(table, dict):
        yield ": one table a client"
        return
    yield from (f": unknown key {key}" for key in table if key not in KEYS)
    yield from (f" lacks {key}" for key in _REQUIRED if key not in table)
    for key, kind in KEYS.items():
        value = table.get(key, kind())
        if not isinstance(value, kind):
            yield f".{key}: expected {kind.__name__}"
        elif isinstance(value, list) and not all(isinstance(one, str) for one in value):
            yield f".{key}: a list of strings"
    if isinstance(table.get("profile"), str) and table["profile"] not in PROFILES:
        yield f".profile: one of {', '.join(PROFILES)}"


def _client(client_id: str, table: Mapping[str, Any], base: Path, loopback: bool) -> tuple[Client, list[str]]:
    profile = PROFILES[table["profile"]]
    wrong: list[str] = []
    encryption = table.get("encryption_alg", profile.encryption_alg[0])
    client = Client(
        client_id=client_id,
        name=table["name"],
        profile=profile,
        secret=_of_file(table, "secret_file", base, _secret, wrong) or "",
        redirect_uris=tuple(table["redirect_uris"]),
        post_logout_redirect_uris=tuple(table.get("post_logout_redirect_uris", ())),
        auth=(table["auth"],) if "auth" in table else profile.auth,
        id_token_alg=table.get("id_token_alg", profile.id_token_alg[0]),
        userinfo=table.get("userinfo", profile.userinfo[0] if encryption is None else JWT),
        encryption_alg=encryption,
        sector=table["sector"],
        scopes=frozenset(table["scopes"]),
        jwks_uri=table.get("jwks_uri"),
        keys=_of_file(table, "jwks_file", base, parse, wrong),
        secret_file=base / table["secret_file"] if "secret_file" in table else None,
    )
    wrong += [text for holds, text in rules(client, table, loopback) if not holds]
    return client, [f"{client_id}.{text}" for text in wrong]


def _of_file(
    table: Mapping[str, Any], key: str, base: Path, made: Callable[[bytes], Any], wrong: list[str]
) -> Any | None:
    """What a file beside the client file holds; what is wrong with it is added to `wrong`."""
    if key not in table:
        return None
    file = base / table[key]
    try:
        with file.open("rb") as stream:
            return made(stream.read(MOST))
    except OSError as error:
        wrong.append(f"{key}: {file}: {error.strerror}")
    except (BadToken, ValueError) as error:
        wrong.append(f"{key}: {error}")
    return None


def _secret(data: bytes) -> str:
    try:
        secret = data.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise ValueError("not ASCII") from error
    if len(secret) < _LEAST_SECRET:
        raise ValueError(f"at least {_LEAST_SECRET} characters")
    return secret

"""Clients of the provider, from `clients.toml`: one table a client, under its client_id. Unknown keys are errors."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from alicem.provider.claims import SCOPES
from alicem.settings import SettingsError

PROFILES = ("franceconnect",)
ES256, HS256 = "ES256", "HS256"
ALGORITHMS = (ES256, HS256)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LEAST_SECRET = 32  # characters: an HS256 key has at least 256 bits (RFC 7518 §3.2)
_KEYS: Mapping[str, type] = {
    "name": str,
    "profile": str,
    "secret_file": str,
    "redirect_uris": list,
    "post_logout_redirect_uris": list,
    "id_token_alg": str,
    "sector": str,
    "scopes": list,
}
_OPTIONAL = ("post_logout_redirect_uris", "id_token_alg")


@dataclass(frozen=True)
class Client:
    """`name`: what the phone shows. `sector`: what its pairwise subjects are derived for. `scopes`: the most it may ask."""

    client_id: str
    name: str
    profile: str
    secret: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    id_token_alg: str
    sector: str
    scopes: frozenset[str]

    def __repr__(self) -> str:
        return f"Client({self.client_id!r})"  # the secret must not reach a log


def load(path: Path) -> Mapping[str, Client]:
    """All clients by client_id. Raises `SettingsError` that names the client and the key at fault."""
    try:
        tree = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    return {client_id: _client(client_id, table, path.parent) for client_id, table in tree.items()}


def _client(client_id: str, table: Any, base: Path) -> Client:
    _check_shape(client_id, table)
    client = Client(
        client_id=client_id,
        name=table["name"],
        profile=table["profile"],
        secret=_secret(client_id, base / table["secret_file"]),
        redirect_uris=tuple(table["redirect_uris"]),
        post_logout_redirect_uris=tuple(table.get("post_logout_redirect_uris", ())),
        id_token_alg=table.get("id_token_alg", ES256),
        sector=table["sector"],
        scopes=frozenset(table["scopes"]),
    )
    _check_values(client)
    return client


def _check_shape(client_id: str, table: Any) -> None:
    if not isinstance(table, dict):
        raise SettingsError(f"{client_id}: one table a client")
    for key in table:
        if key not in _KEYS:
            raise SettingsError(f"{client_id}: unknown key {key}")
    for key, kind in _KEYS.items():
        if key not in table and key not in _OPTIONAL:
            raise SettingsError(f"{client_id} lacks {key}")
        if key in table and not isinstance(table[key], kind):
            raise SettingsError(f"{client_id}.{key}: expected {kind.__name__}")
        if kind is list and not all(isinstance(one, str) for one in table.get(key, ())):
            raise SettingsError(f"{client_id}.{key}: a list of strings")


def _check_values(client: Client) -> None:
    uris = client.redirect_uris + client.post_logout_redirect_uris
    rules = (
        (client.profile in PROFILES, f"profile: one of {', '.join(PROFILES)}"),
        (client.id_token_alg in ALGORITHMS, f"id_token_alg: one of {', '.join(ALGORITHMS)}"),
        (bool(client.redirect_uris), "redirect_uris: at least one"),
        (all(map(_redirectable, uris)), "redirect_uris: absolute, https (http on loopback alone), without fragment"),
        (client.scopes <= SCOPES.keys() and "openid" in client.scopes, f"scopes: openid, among {', '.join(SCOPES)}"),
        (0 < len(client.name) <= 80, "name: 1 to 80 characters"),
        (bool(client.sector), "sector: a name"),
    )
    for holds, text in rules:
        if not holds:
            raise SettingsError(f"{client.client_id}.{text}")


def _redirectable(uri: str) -> bool:
    """RFC 6749 §3.1.2 and RFC 9700 §2.6."""
    parts = urlsplit(uri)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    return secure and bool(parts.hostname) and not parts.fragment and "#" not in uri


def _secret(client_id: str, file: Path) -> str:
    try:
        secret = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{client_id}.secret_file: {file}: {error}") from error
    if len(secret) < _LEAST_SECRET:
        raise SettingsError(f"{client_id}.secret_file: at least {_LEAST_SECRET} characters")
    return secret

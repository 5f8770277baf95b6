"""A service as its file says: `services/NAME.toml`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from alicem.broker.claims import SCOPES
from alicem.broker.keys import client_secret
from alicem.settings import SettingsError, read

LEVELS = ("eidas1", "eidas2", "eidas3")
ALGORITHMS = ("ES256", "HS256")
METHODS = ("client_secret_post", "client_secret_basic", "private_key_jwt")
ASSERTIONS = ("ES256", "PS256", "RS256")
ENCRYPTION = ("RSA-OAEP-256", "RSA-OAEP", "ECDH-ES")
CONTENT_ENCRYPTION = ("A256GCM",)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MOST_KEYS = 65_536  # bytes


@dataclass(frozen=True)
class ServiceFile:
    """One service: `services/NAME.toml`."""

    title: str
    """What people read."""
    client_id: str
    entity: str
    """The organisation; its services know a person by one pseudonym."""
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    """The most it may ask."""
    secret_file: Path | None = None
    """Its client secret, at least 32 characters; not needed with `private_key_jwt` and ES256."""
    post_logout_redirect_uris: tuple[str, ...] = ()
    levels: tuple[str, ...] = LEVELS
    """What it may ask."""
    auth: str = "client_secret_post"
    """How it proves who it is: one of `METHODS`, and no other way."""
    assertion_alg: str = "ES256"
    """How it signs with `private_key_jwt`: one of `ASSERTIONS`."""
    signature: str = "ES256"
    """`ES256`, or `HS256` with the client secret."""
    userinfo_signed: bool = False
    encryption_alg: str | None = None
    """One of `ENCRYPTION`: id_token and userinfo are then encrypted to a key of the service."""
    encryption_enc: str = "A256GCM"
    jwks_uri: str | None = None
    """Where the service publishes its keys; kept ten minutes."""
    jwks_file: Path | None = None
    """Or a file with them, beside this one."""
    consent: bool = False
    """A private service whose information page has a box to tick."""
    allowed_providers: tuple[str, ...] = ()
    """Names of the only providers that may be used; empty: all."""
    refused_providers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Service:
    """`keys`: the JWKS of `jwks_file`."""

    name: str
    file: ServiceFile
    secret: str = field(repr=False, default="")
    keys: Mapping[str, Any] | None = field(repr=False, default=None)

    @property
    def key(self) -> str:
        return self.file.client_id

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(one for one in (self.file.secret_file, self.file.jwks_file) if one is not None)

    @property
    def told_in_jwt(self) -> bool:
        """Whether its userinfo is a JWT."""
        return self.file.userinfo_signed or self.file.encryption_alg is not None

    def admits(self, provider: str) -> bool:
        """Whether the person may come by the provider of this name."""
        only = self.file.allowed_providers
        return (not only or provider in only) and provider not in self.file.refused_providers


def redirectable(address: str) -> bool:
    """RFC 6749 §3.1.2 and RFC 9700 §2.6."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    return secure and bool(parts.hostname) and "#" not in address and len(address) <= 2000


def _needs_keys(file: ServiceFile) -> bool:
    return file.auth == "private_key_jwt" or file.encryption_alg is not None


RULES: tuple[tuple[str, Callable[[ServiceFile], bool]], ...] = (
    ("title: 1 to 80 characters", lambda f: 1 <= len(f.title) <= 80 and f.title.isprintable()),
    ("client_id: letters, digits, . _ ~ -", lambda f: re.fullmatch(r"[A-Za-z0-9._~-]{1,80}", f.client_id) is not None),
    ("entity: 1 to 80 characters", lambda f: 1 <= len(f.entity) <= 80),
    (
        "redirect_uris: at least one, https (http on loopback alone), without fragment",
        lambda f: bool(f.redirect_uris) and all(map(redirectable, f.redirect_uris)),
    ),
    ("post_logout_redirect_uris: as redirect_uris", lambda f: all(map(redirectable, f.post_logout_redirect_uris))),
    (f"scopes: openid, among {', '.join(SCOPES)}", lambda f: "openid" in f.scopes and {*f.scopes} <= SCOPES.keys()),
    (f"levels: one or more of {', '.join(LEVELS)}", lambda f: bool(f.levels) and {*f.levels} <= {*LEVELS}),
    (f"auth: one of {', '.join(METHODS)}", lambda f: f.auth in METHODS),
    (f"assertion_alg: one of {', '.join(ASSERTIONS)}", lambda f: f.assertion_alg in ASSERTIONS),
    (f"signature: one of {', '.join(ALGORITHMS)}", lambda f: f.signature in ALGORITHMS),
    (f"encryption_alg: one of {', '.join(ENCRYPTION)}", lambda f: f.encryption_alg in (None, *ENCRYPTION)),
    (f"encryption_enc: {', '.join(CONTENT_ENCRYPTION)}", lambda f: f.encryption_enc in CONTENT_ENCRYPTION),
    (
        "jwks_uri or jwks_file, one of them, with private_key_jwt or encryption",
        lambda f: (f.jwks_uri is not None) + (f.jwks_file is not None) == _needs_keys(f),
    ),
    ("jwks_uri: https (http on loopback alone)", lambda f: f.jwks_uri is None or redirectable(f.jwks_uri)),
    (
        "secret_file: needed by client_secret_post, client_secret_basic and HS256",
        lambda f: f.secret_file is not None or (f.auth == "private_key_jwt" and f.signature == "ES256"),
    ),
)


def read_service(path: Path) -> Service:
    """Raises `SettingsError` that names the key at fault."""
    file = read(ServiceFile, path)
    for sentence, holds in RULES:
        if not holds(file):
            raise SettingsError(f"{path}: {sentence}")
    secret = "" if file.secret_file is None else client_secret(file.secret_file)
    return Service(path.stem, file, secret, None if file.jwks_file is None else _keys_of(file.jwks_file))


def _keys_of(path: Path) -> Mapping[str, Any]:
    try:
        tree = json.loads(path.read_bytes()[:_MOST_KEYS])
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: no JWKS can be read there") from error
    if not isinstance(tree, dict) or not isinstance(tree.get("keys"), list):
        raise SettingsError(f"{path}: not a JWKS (RFC 7517 §5)")
    return tree

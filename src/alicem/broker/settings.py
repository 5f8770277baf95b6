"""`broker.toml`, and one file for each service and each provider, parsed into frozen values."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey

from alicem.broker.claims import SCOPES
from alicem.settings import Database, SettingsError, read

LEVELS = ("eidas1", "eidas2", "eidas3")
ALGORITHMS = ("ES256", "HS256")


@dataclass(frozen=True)
class BrokerSettings:
    """`broker.toml`."""

    origin: str
    """Also the issuer services know, for instance `http://127.0.0.1:8001`."""
    database: Database
    """`url`: SQLAlchemy's."""
    services: Path
    """Folder with one file `NAME.toml` for each service."""
    providers: Path
    """Folder with one file `NAME.toml` for each provider; `NAME` stands in addresses."""
    key_file: Path
    """ES256 key in PEM; made at first start."""
    pseudonym_file: Path
    """Secret of the pseudonyms; made at first start. Another secret is other pseudonyms for everyone."""
    listen: str = "127.0.0.1:8001"
    rnipp: Path | None = None
    """The simulated register (`rnipp.toml`); without it everyone is found as stated."""
    demo_origin: str | None = None
    """Where the demonstration is introduced; its pages then say that they are one."""


@dataclass(frozen=True)
class ServiceFile:
    """One service: `services/NAME.toml`."""

    title: str
    client_id: str
    secret_file: Path
    entity: str
    """The organisation; its services know a person by one pseudonym."""
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    """The most it may ask."""
    post_logout_redirect_uris: tuple[str, ...] = ()
    signature: str = "ES256"
    """`ES256`, or `HS256` with the client secret."""
    userinfo_signed: bool = False
    consent: bool = False
    """A private service whose information page has a box to tick."""
    refused_providers: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProviderFile:
    """One provider: `providers/NAME.toml`."""

    title: str
    issuer: str = ""
    client_id: str = ""
    secret_file: Path | None = None
    signature: str = "ES256"
    """How it signs: `ES256`, or `HS256` with the client secret."""
    levels: tuple[str, ...] = ("eidas2",)
    """What it may give."""
    coming: bool = False
    """Listed, and cannot be chosen yet."""


@dataclass(frozen=True)
class Service:
    name: str
    file: ServiceFile
    secret: str


@dataclass(frozen=True)
class Provider:
    name: str
    file: ProviderFile
    secret: str


def read_services(folder: Path) -> Mapping[str, Service]:
    """Every service by its client_id. Raises `SettingsError`."""
    found: dict[str, Service] = {}
    for path in sorted(folder.glob("*.toml")):
        file = read(ServiceFile, path)
        unknown = set(file.scopes) - SCOPES.keys()
        if unknown or file.signature not in ALGORITHMS or file.client_id in found:
            raise SettingsError(f"{path}: {', '.join(sorted(unknown)) or file.signature}, or a client_id given twice")
        found[file.client_id] = Service(path.stem, file, _secret_of(file.secret_file))
    return found


def read_providers(folder: Path) -> Mapping[str, Provider]:
    """Every provider by its name. Raises `SettingsError`."""
    found = {}
    for path in sorted(folder.glob("*.toml")):
        file = read(ProviderFile, path)
        if file.signature not in ALGORITHMS or not set(file.levels) <= set(LEVELS):
            raise SettingsError(f"{path}: signature is ES256 or HS256, levels are {', '.join(LEVELS)}")
        if not file.coming and not (file.issuer and file.client_id and file.secret_file):
            raise SettingsError(f"{path}: a provider that can be chosen has issuer, client_id and secret_file")
        found[path.stem] = Provider(path.stem, file, _secret_of(file.secret_file) if file.secret_file else "")
    return found


def _secret_of(path: Path) -> str:
    try:
        secret = path.read_text("ascii").strip()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    if len(secret) < 32:
        raise SettingsError(f"{path}: a client secret has at least 32 characters")
    return secret


def signing_key(path: Path) -> ECKey:
    """The broker's ES256 key, made where there is none; its thumbprint is its `kid`."""
    if not path.exists():
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write_private(path, pem)
    key = ECKey.import_key(path.read_bytes())
    return ECKey.import_key(path.read_bytes(), {"kid": key.thumbprint(), "use": "sig", "alg": "ES256"})


def pseudonym_secret(path: Path, rng: Callable[[int], bytes]) -> str:
    """The secret of the pseudonyms, made where there is none."""
    if not path.exists():
        _write_private(path, rng(32).hex().encode())
    return _secret_of(path)


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)

"""An identity provider as its file says: `providers/NAME.toml`; `NAME` stands in addresses."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from alicem.broker.keys import client_secret
from alicem.broker.services import ALGORITHMS, CONTENT_ENCRYPTION, ENCRYPTION, LEVELS, redirectable
from alicem.settings import SettingsError, read


@dataclass(frozen=True)
class ProviderFile:
    """One provider: `providers/NAME.toml`."""

    title: str
    """What people read."""
    issuer: str = ""
    client_id: str = ""
    """Of this broker at the provider."""
    secret_file: Path | None = None
    """The client secret (`client_secret_post`), at least 32 characters."""
    signature: str = "ES256"
    """How it signs: `ES256`, or `HS256` with the client secret."""
    userinfo: str = "json"
    """`json`, or `jwt` where it is signed."""
    encryption_alg: str | None = None
    """One of `ENCRYPTION`: id_token and userinfo are a JWS in a JWE, to a key of `/client/keys`."""
    encryption_enc: str = "A256GCM"
    levels: tuple[str, ...] = ("eidas2",)
    """What it may give."""
    coming: bool = False
    """Listed, and cannot be chosen yet."""

    @property
    def told_in_jwt(self) -> bool:
        """Whether its userinfo is a JWT."""
        return self.userinfo == "jwt" or self.encryption_alg is not None


@dataclass(frozen=True)
class Provider:
    name: str
    file: ProviderFile
    secret: str = field(repr=False, default="")

    @property
    def key(self) -> str:
        return self.name

    @property
    def files(self) -> tuple[Path, ...]:
        return () if self.file.secret_file is None else (self.file.secret_file,)

    def reaches(self, level: str) -> bool:
        """Whether it may give this level or a higher one."""
        return any(LEVELS.index(one) >= LEVELS.index(level) for one in self.file.levels)


RULES: tuple[tuple[str, Callable[[ProviderFile], bool]], ...] = (
    ("title: 1 to 80 characters", lambda f: 1 <= len(f.title) <= 80 and f.title.isprintable()),
    (f"levels: one or more of {', '.join(LEVELS)}", lambda f: bool(f.levels) and {*f.levels} <= {*LEVELS}),
    (f"signature: one of {', '.join(ALGORITHMS)}", lambda f: f.signature in ALGORITHMS),
    ("userinfo: json, or jwt (always so with encryption_alg)", lambda f: f.userinfo in ("json", "jwt")),
    (f"encryption_alg: one of {', '.join(ENCRYPTION)}", lambda f: f.encryption_alg in (None, *ENCRYPTION)),
    (f"encryption_enc: {', '.join(CONTENT_ENCRYPTION)}", lambda f: f.encryption_enc in CONTENT_ENCRYPTION),
    (
        "a provider that can be chosen has issuer, client_id and secret_file",
        lambda f: f.coming or bool(f.issuer and f.client_id and f.secret_file),
    ),
    ("issuer: https (http on loopback alone)", lambda f: not f.issuer or redirectable(f.issuer)),
)


def read_provider(path: Path) -> Provider:
    """Raises `SettingsError` that names the key at fault."""
    if not re.fullmatch(r"[a-z0-9-]{1,40}", path.stem):
        raise SettingsError(f"{path}: the name is small letters, digits and hyphens")
    file = read(ProviderFile, path)
    for sentence, holds in RULES:
        if not holds(file):
            raise SettingsError(f"{path}: {sentence}")
    return Provider(path.stem, file, "" if file.secret_file is None else client_secret(file.secret_file))

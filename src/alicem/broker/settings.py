"""`broker.toml`. What a service's or a provider's file says is in `services` and `providers`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from alicem.settings import Database, Log, Mail


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
    """Secret of the pseudonyms; made at first start. Another secret is other pseudonyms for everyone, and nobody's history."""
    encryption_file: Path = Path("encryption.json")
    """Keys that providers encrypt to; made when a provider needs one."""
    listen: str = "127.0.0.1:8001"
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose `X-Forwarded-For` is believed."""
    sign_ins_per_minute_and_address: int = 120
    """Begun, or taken to a provider; as many failures of a service to be itself."""
    rnipp: Path | None = None
    """The simulated register (`rnipp.toml`); without it everyone is found as stated."""
    mail: Mail | None = None
    """Where letters leave; without it nobody is told of an unusual sign-in, and the pages say so."""
    support: str | None = None
    """Where reports of fraud are sent besides."""
    demo_origin: str | None = None
    """Where the demonstration is introduced; its pages then say that they are one."""
    log: Log = field(default_factory=Log)

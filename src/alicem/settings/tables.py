"""The tables of `alicem.toml` as frozen values. Each key is told in docs/operate.md; what has a default may be left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROLES = ("web", "enrolment", "provider")
"""What a worker does: pages for people, enrolments, sign-ins."""


@dataclass(frozen=True)
class Service:
    profile: str
    """`production`, `development` or `demo`."""
    origin: str
    listen: str = "127.0.0.1:8000"
    roles: tuple[str, ...] = ROLES
    worker: str = "w1"
    """This worker's name in the addresses of its enrolments, by which a proxy finds it again."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose `X-Forwarded-For` is believed; without them the other side of the connection is who asks."""
    drain_seconds: float = 900.0
    """How long enrolments that are under way may go on after the server was told to end."""
    clients: Path = Path("clients.toml")
    support_url: str = "/help"
    terms_version: str = "2026-11"
    demo_origin: str | None = None
    """Where personas, the actor and the software chips are served. Demo only."""


@dataclass(frozen=True)
class Database:
    url: str
    """SQLAlchemy's: `sqlite:////var/lib/alicem/alicem.db` (a relative path is relative to the settings file, as every path here), or
    `postgresql+psycopg://alicem@/alicem?host=/run/postgresql`; a password stays out of it, in libpq's `PGPASSFILE`."""


@dataclass(frozen=True)
class Token:
    """A PKCS#11 token in which signing and fingerprint keys are made and stay. Wants requirements/pkcs11.txt installed."""

    module: Path
    """The token's library, for instance /usr/lib/softhsm/libsofthsm2.so."""
    label: str
    pin_file: Path


@dataclass(frozen=True)
class Keys:
    file: Path
    master_key_file: Path | None = None
    """32 bytes in base64url; else the environment variable `ALICEM_MASTER_KEY`."""
    levels: Mapping[str, str] = field(
        default_factory=lambda: {
            "keystore": "high",
            "passkey": "high",
            "passkey_synced": "substantial",
            "webcrypto": "substantial",
        }
    )
    """The highest level each kind of device key may give. A kind that is not listed is refused."""
    token: Token | None = None


@dataclass(frozen=True)
class Trust:
    folder: Path
    specimen: bool = False


@dataclass(frozen=True)
class Registry:
    url: str
    token_file: Path
    timeout_seconds: float = 5.0
    authority_file: Path | None = None
    """Certificates of who may vouch for the registry, PEM; by default the machine's."""
    certificate_file: Path | None = None
    """Our own certificate with its chain, PEM, where the registry wants one of its callers."""
    certificate_key_file: Path | None = None
    simulated: bool = False
    notices_token_file: Path | None = None
    """The token the registry comes with when it tells of documents lost or stolen; without it such notices are not taken."""


@dataclass(frozen=True)
class Mail:
    host: str
    port: int
    sender: str
    tls: str = "starttls"
    """`starttls`, `tls`, or `none` (loopback only)."""
    username: str | None = None
    password_file: Path | None = None


@dataclass(frozen=True)
class Face:
    networks: Path | None = None
    """The operator's own face networks and their thresholds (docs/face-networks.md)."""
    colours: str = "required"
    """Whether the screen's colours are sought in the face's reflection. `required`: where they are not seen the person is told how to make them seen,
    and whoever wants none goes to an office. `offered`: they may be refused, and then recordings on a display may pass. `off`."""
    virtual_camera_signs: bool = True
    """Whether a camera that looks like a program is refused."""
    shared: bool = True
    """Session processes are forked from one that loaded the networks; else each loads them. Linux alone can share."""
    actor: bool = False
    """Whether the pages offer the actor in place of a camera."""
    challenge_seed: str | None = None
    """Makes the live challenge predictable. For tests alone."""


@dataclass(frozen=True)
class Retention:
    identity_check_years: int = 5
    idle_years: int = 2
    unfinished_months: int = 2
    most_at_once: float = 0.1
    """Share of all accounts that one run may erase by itself, where it is more than a hundred: else the clock may be wrong."""
    face_try_days: int = 7
    journal_years: int = 5


@dataclass(frozen=True)
class Limits:
    enrolments_per_hour_and_address: int = 8
    suspensions_per_hour_and_address: int = 10
    sign_ins_per_minute_and_address: int = 60
    sign_ins_per_minute_and_client: int = 60_000
    """Of one client: FranceConnect is one, with everybody behind it."""
    instructions_per_minute_and_address: int = 120
    approvals_per_hour_and_account: int = 60
    token_failures_per_minute_and_client: int = 30
    """Wrong secrets of one client from one address, so that a stranger cannot shut a client out."""
    face_tries_a_session: int = 3
    face_tries_a_week: int = 6
    face_attempts_a_week: int = 20
    """Tries begun, whatever came of them: nobody breaks off until a challenge comes that suits a recording."""
    session_processes: int | None = None
    """Sessions that read a chip or a face at once; by default one a core."""
    sign_in_chips: int = 32
    """Documents read again at sign-ins at once, each by a small process of its own."""
    session_queue: int = 50
    """People who may wait for one of these; whoever comes after them is told to come back."""
    session_wait_seconds: float = 300.0
    session_answer_seconds: float = 20.0
    """A session process that owes an answer for so long hangs, and is ended."""
    enrolment_seconds: float = 1800.0
    resume_seconds: float = 600.0
    """How long an enrolment waits for a phone that lost its connection."""
    minimum_age: int = 18
    documents: tuple[str, ...] = ("passport", "residence_permit")


@dataclass(frozen=True)
class Log:
    level: str = "info"
    file: Path | None = None
    """Opened again on SIGHUP; without it standard error, which systemd keeps."""
    access: bool = False
    """A line for each request: its route and status, nothing else of it."""


@dataclass(frozen=True)
class Metrics:
    listen: str | None = None
    """Address and port of their own for Prometheus; off unless set."""


@dataclass(frozen=True)
class Traces:
    endpoint: str | None = None
    """Where spans go by OTLP over HTTP, path included; off unless set."""
    sample: float = 0.01
    """Share of requests that are traced."""


@dataclass(frozen=True)
class Wallets:
    foreign: str = "off"
    """The highest level of a copy that a wallet of another maker may hold, `low` or `substantial`; `off`: none is given."""


@dataclass(frozen=True)
class SignIn:
    chip: bool = True
    """Whether a document can be read again at a sign-in; without it `eidas3` cannot be reached."""


@dataclass(frozen=True)
class Settings:
    service: Service
    database: Database
    keys: Keys
    trust: Trust
    registry: Registry
    mail: Mail
    face: Face = Face()
    retention: Retention = Retention()
    limits: Limits = Limits()
    log: Log = Log()
    metrics: Metrics = Metrics()
    traces: Traces = Traces()
    wallets: Wallets = Wallets()
    sign_in: SignIn = SignIn()

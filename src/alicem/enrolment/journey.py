"""What one person has proven so far, and what the steps need of the rest of the product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from alicem.accounts import NewAccount
from alicem.accounts.states import State
from alicem.credential import Offers
from alicem.enrolment.children import SessionProcess
from alicem.enrolment.pool import Pool
from alicem.enrolment.registry_client import RegistryClient
from alicem.enrolment.session import Chosen, ProtocolError, Session
from alicem.evidence import Check, CivilIdentity, DocumentFacts, Level
from alicem.keys import KeyRing
from alicem.reasons import Refused
from alicem.settings import Settings
from alicem.store import Store

_log = structlog.get_logger("alicem.enrolment")


@dataclass(frozen=True)
class Enrolment:
    """What the steps need of the rest."""

    settings: Settings
    store: Store
    ring: KeyRing
    offers: Offers
    pool: Pool
    registry: RegistryClient
    clock: Callable[[], datetime]
    rng: Callable[[int], bytes]


@dataclass
class Journey:
    """What this person has proven so far. It lives in memory until the credential is issued."""

    room: Enrolment
    session: Session
    chosen: Chosen
    level: Level = Level.LOW
    email: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    identity: CivilIdentity | None = None
    document: DocumentFacts | None = None
    consent_at: datetime | None = None
    registry_at: datetime | None = None
    checks: list[Check] = field(default_factory=list)
    erased: list[tuple[str, datetime]] = field(default_factory=list)
    measurements: dict[str, Any] = field(default_factory=dict)
    fingerprints: tuple[str, ...] = ()
    seen: State | None = None
    new: NewAccount | None = None
    account: int = 0
    reply_key: EllipticCurvePublicKey | None = None

    @property
    def process(self) -> SessionProcess:
        """The session process; only from step 3 to the end of step 5."""
        if self.session.process is None:
            raise ProtocolError(4500)
        return self.session.process

    async def told(self, name: str, within: float | None = None) -> dict[str, Any]:
        """What the session process tells next. Raises `Refused` for its refusal, `ProtocolError` for a phone that misbehaved, `ProcessDied`."""
        told = await self.process.told(name, within=within)
        if told["tell"] == "refused":
            raise Refused(told["reason"])
        if told["tell"] == "broken":
            _log.warning("protocol error", why=told["why"])
            raise ProtocolError
        return told

    def demo_measurements(self) -> dict[str, Any]:
        """Scores travel in the demonstration alone: a person who tries to pass must not be told how near they were."""
        if self.room.settings.service.profile != "demo" or not self.facts:
            return {}
        chip = {name: self.facts[name] for name in ("round_trips", "commands", "bytes")}
        return {"measurements": {**self.measurements, "chip": chip}}

    def prove(self, name: str, clause: str, at: datetime) -> None:
        self.checks.append(Check(name, clause, at))

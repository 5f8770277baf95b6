"""The seven steps as a table, and what each does on the server. A step takes the journey so far, adds what it proved, or raises `Refused`."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sqlalchemy import Connection

from alicem import jose, journal
from alicem.accounts import NewAccount, create, records, suspension
from alicem.accounts.registration import read_registration
from alicem.credential import Offer, Offers
from alicem.credential.endpoints import CONFIGURATION, GRANT
from alicem.enrolment import receipts
from alicem.enrolment.identity import civil_identity, document_facts, fingerprints, query_of
from alicem.enrolment.mail import send_code, valid_address
from alicem.enrolment.pool import Pool, PoolFull
from alicem.enrolment.registry_client import RegistryClient
from alicem.enrolment.session import Chosen, ProtocolError, Session
from alicem.evidence import Check, CivilIdentity, DocumentFacts, Evidence, Level, Path
from alicem.jose import BadToken
from alicem.keys import KeyRing
from alicem.reasons import Refused
from alicem.settings import Settings
from alicem.store import Store

_log = structlog.get_logger("alicem.enrolment")

CODE_TRIES, LETTERS = 5, 3
CODE_LIFE = timedelta(minutes=10)


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
    new: NewAccount | None = None
    reply_key: EllipticCurvePublicKey | None = None

    def prove(self, name: str, clause: str, at: datetime) -> None:
        self.checks.append(Check(name, clause, at))


async def choose(journey: Journey) -> None:
    """Step 1: the device key has signed; its kind must be one this server accepts."""
    room, chosen = journey.room, journey.chosen
    if chosen.path == Path.OFFICE:
        raise Refused("office_path")
    cap = room.settings.keys.levels.get(chosen.key_kind)
    if cap is None:
        raise Refused("key_kind_refused")
    journey.level = min(Level.HIGH, Level.from_name(cap))
    journey.prove("device_key", "eIDAS 2015/1502 annex 2.2.1", chosen.at)


async def contact(journey: Journey) -> None:
    """Step 2: an e-mail address, proven by a code that lives in this function alone."""
    journey.session.step(2, "contact", email_sent=False, tries_left=CODE_TRIES)
    for _ in range(LETTERS):
        address = await _address(journey)
        if await _proves_address(journey, address):
            journey.email = address
            journey.prove("email", "Alicem enrolment 1, step 2", journey.room.clock())
            return
    raise Refused("email_code_expired")


async def _address(journey: Journey) -> str:
    while True:
        message = await journey.session.receive("contact")
        if "email" not in message:
            raise ProtocolError
        try:
            return valid_address(message["email"])
        except Refused as refusal:
            journey.session.refuse(refusal.reason, final=False)
            journey.session.step(2, "contact", **_same_step(journey))


def _same_step(journey: Journey) -> dict[str, Any]:
    return {key: value for key, value in journey.session.current.items() if key not in ("step", "name")}


async def _proves_address(journey: Journey, address: str) -> bool:
    """Send a letter and take codes until one is right (True), or tries and time are over (False)."""
    room, session = journey.room, journey.session
    code = f"{int.from_bytes(room.rng(8), 'big') % 1_000_000:06d}"
    await send_code(room.settings.mail, address, code, journey.chosen.language)
    until = room.clock() + CODE_LIFE
    for left in range(CODE_TRIES, 0, -1):
        session.step(2, "contact", email_sent=True, tries_left=left)
        message = await session.receive("contact")
        if "code" not in message:
            session.inbox.put_nowait(message)  # another address: another letter
            return False
        if room.clock() > until:
            break
        if hmac.compare_digest(str(message["code"])[:16].encode(), code.encode()):
            return True
        session.refuse(Refused("email_code_wrong").reason, final=False, tries_left=left - 1)
    session.refuse(Refused("email_code_expired").reason, final=False)
    session.step(2, "contact", email_sent=False, tries_left=CODE_TRIES)
    return False


def _opening(journey: Journey) -> dict[str, Any]:
    settings = journey.room.settings
    return {
        "do": "open",
        "session": journey.session.name,
        "seal_key": journey.chosen.seal_key,
        "trust": str(settings.trust.folder),
        "accepted": list(settings.limits.documents),
        "challenge_seed": settings.face.challenge_seed,
    }


async def document_and_chip(journey: Journey) -> None:
    """Steps 3 and 4: the process reads and proves the chip; the registry says whether the document is valid, and who it is."""
    room = journey.room
    try:  # only now: a process is for people who proved an address, not for whoever opens connections
        process = await room.pool.take()
    except PoolFull as error:
        raise Refused("busy") from error
    journey.session.begin_process(process, _opening(journey))
    facts = await _told(journey, "document")
    journey.facts = facts
    journey.prove("passive_authentication", "ICAO 9303-11 §5.1", datetime.fromisoformat(facts["passive_at"]))
    journey.prove("active_authentication", "ICAO 9303-11 §6.1", datetime.fromisoformat(facts["active_at"]))
    journey.session.send("hint", hint="checking_registry")
    civil = await room.registry.check(query_of(facts))
    journey.registry_at = room.clock()
    journey.prove("registry", "eIDAS 2015/1502 annex 2.1.2", journey.registry_at)
    journey.identity = civil_identity(facts, civil)
    if journey.identity.birthdate.age_at(room.clock().date()) < room.settings.limits.minimum_age:
        raise Refused("holder_is_minor")
    journey.document = document_facts(facts, room.ring)


async def face(journey: Journey) -> None:
    """Step 5: express consent, then the live check against the chip's portrait, three tries a session and six a week."""
    limits, session = journey.room.settings.limits, journey.session
    process = session.process
    assert process is not None  # noqa: S101 - step 3 made it
    tries, told = limits.face_tries_a_session, {"outcome": ""}
    while True:
        left = min(tries, limits.face_tries_a_week - await _recent_refusals(journey))
        if left <= 0:
            raise Refused("face_tries_exhausted")
        if told["outcome"] != "interrupted":  # a connection that came back was told the step already
            version = journey.room.settings.service.terms_version
            session.step(5, "face", consent_version=version, variant="all", tries_left=left)
        consent = await session.receive("consent")
        if consent.get("biometrics") is not True:
            raise Refused("consent_refused")
        journey.consent_at = journey.room.clock()
        process.say({"do": "face"})
        told = await _told(journey, "face")
        journey.measurements = {"scores": told.get("scores"), "thresholds": told.get("thresholds")}
        if told["outcome"] == "accept":
            break
        if told["outcome"] != "interrupted":
            tries -= await _face_refused(journey, told, left)
    at = datetime.fromisoformat(told["at"])
    journey.prove("liveness", "ISO/IEC 30107-3", at)
    journey.prove("face_comparison", "eIDAS 2015/1502 annex 2.1.2", at)
    gone = await journey.room.pool.give_back(process)
    session.process = None
    journey.erased = [(what, gone) for what in ("document_lines", "chip_answers", "portrait", "frames", "embeddings")]


async def _face_refused(journey: Journey, told: dict[str, Any], left: int) -> int:
    """Tell why; how many tries it cost."""
    refusal = Refused(told["reason"])
    cost = int(refusal.reason.counts_as_try)
    if cost:
        fingerprint, now = fingerprints(journey.facts, journey.room.ring)[0], journey.room.clock()
        await journey.room.store.write(lambda c: _note_refusal(c, journey, fingerprint, now, refusal))
    final = left - cost <= 0 or "retry" not in refusal.reason.next
    if final:
        raise Refused(refusal.reason.name, tries_left=left - cost)
    journey.session.refuse(refusal.reason, final=False, tries_left=left - cost, **demo_measurements(journey))
    return cost


def _note_refusal(connection: Connection, journey: Journey, fingerprint: str, now: datetime, refusal: Refused) -> None:
    records.add_face_refusal(connection, fingerprint, now)
    journal.append(connection, now, "face_refused", journey.room.rng, content={"reason": refusal.reason.name})


def demo_measurements(journey: Journey) -> dict[str, Any]:
    """Scores travel in the demonstration alone: a person who tries to pass must not be told how near they were."""
    if journey.room.settings.service.profile != "demo" or not journey.measurements:
        return {}
    chip = {name: journey.facts[name] for name in ("round_trips", "commands", "bytes")}
    return {"measurements": {**journey.measurements, "chip": chip}}


async def _recent_refusals(journey: Journey) -> int:
    names, room = fingerprints(journey.facts, journey.room.ring), journey.room
    since = room.clock() - timedelta(days=room.settings.retention.face_refusal_days)
    return await room.store.read(lambda c: records.face_refusals_since(c, names, since))


async def _told(journey: Journey, name: str) -> dict[str, Any]:
    process = journey.session.process
    assert process is not None  # noqa: S101 - step 3 made it
    told = await process.told(name)
    if told["tell"] == "refused":
        raise Refused(told["reason"])
    if told["tell"] == "broken":
        _log.warning("protocol error", why=told["why"])
        raise ProtocolError
    return told


async def code(journey: Journey) -> None:
    """Step 6: the phone registers its PIN key; the server draws its share and the suspension code."""
    room, session, chosen = journey.room, journey.session, journey.chosen
    suspension_code, challenge = suspension.draw(room.rng), jose.b64(room.rng(32))
    evidence = evidence_of(journey)
    while True:
        session.step(
            6,
            "code",
            suspension_code=suspension.shown(suspension_code),
            challenge=challenge,
            **demo_measurements(journey),
        )
        message = await session.receive("code")
        try:
            read = read_registration(
                message.get("registration", ""),
                chosen.device_key,
                origin=session.origin,
                session=session.name,
                challenge=challenge,
            )
        except BadToken:
            session.refuse(Refused("registration_refused").reason, final=False)
            continue
        journey.reply_key = read.reply_key
        journey.new = NewAccount(
            evidence, chosen.device_key, chosen.key_kind, read.pin_key, room.rng(32), suspension_code
        )
        return


def evidence_of(journey: Journey) -> Evidence:
    assert journey.identity is not None and journey.document is not None and journey.registry_at is not None  # noqa: S101 - steps 4 and 5 came before
    return Evidence(
        path=Path.FACE,
        level=journey.level,
        identity=journey.identity,
        document=journey.document,
        email=journey.email,
        checks=tuple(journey.checks),
        terms_version=journey.session.terms_version,
        biometrics_consent_at=journey.consent_at,
        agents=(),
        registry_checked_at=journey.registry_at,
        specimen=journey.room.settings.trust.specimen,
    )


async def confirmation(journey: Journey) -> None:
    """Step 7: the credential is fetched; account, phone, status and journal are one transaction; then the receipt."""
    room, session, new = journey.room, journey.session, journey.new
    assert new is not None and journey.reply_key is not None  # noqa: S101 - step 6 came before
    issued = asyncio.Event()
    offer = Offer(new.evidence, new.device_key, lambda c, index: _create(room, c, new, index), issued.set)
    grant = {GRANT: {"pre-authorized_code": room.offers.add(offer)}}
    session.step(
        7,
        "confirmation",
        credential_offer={
            "credential_issuer": session.origin,
            "credential_configuration_ids": [CONFIGURATION],
            "grants": grant,
        },
        share=jose.encrypt_to(journey.reply_key, new.share),
    )
    await issued.wait()
    now = room.clock()
    session.send("receipt", receipt=receipts.enrolment(room.ring, session.origin, new.evidence, journey.erased, now))
    await room.registry.write_to_holder(query_of(journey.facts), jose.b64(room.rng(24)), now)


def _create(room: Enrolment, connection: Connection, new: NewAccount, index: int) -> None:
    create(connection, new, index, ring=room.ring, now=room.clock(), rng=room.rng)


STEPS: tuple[tuple[str, Callable[[Journey], Awaitable[None]]], ...] = (
    ("choose", choose),
    ("contact", contact),
    ("document and chip", document_and_chip),
    ("face", face),
    ("code", code),
    ("confirmation", confirmation),
)
"""In order; document and chip are steps 3 and 4, told by the session process itself."""

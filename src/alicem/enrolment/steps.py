"""The seven steps as a table, and what each does on the server. A step takes the journey so far, adds what it proved, or raises `Refused`."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from alicem import jose
from alicem.accounts import Earlier, NewAccount, chip_was_read, create, earlier, suspension
from alicem.accounts.records import phone_by_thumbprint
from alicem.accounts.registration import read_registration
from alicem.credential import Offer
from alicem.credential.metadata import offer_of
from alicem.enrolment import receipts
from alicem.enrolment.face_step import face
from alicem.enrolment.identity import civil_identity, document_facts, fingerprints, query_of, require_age
from alicem.enrolment.journey import Journey
from alicem.enrolment.mail import send_code, valid_address
from alicem.enrolment.pool import PoolFull
from alicem.enrolment.renewal import renewed
from alicem.enrolment.session import ProtocolError
from alicem.evidence import Evidence, Level, Path
from alicem.jose import BadToken
from alicem.reasons import Refused

CODE_TRIES, LETTERS = 5, 3
CODE_LIFE = timedelta(minutes=10)

CHIP_PROOFS = {
    "AA": ("active_authentication", "ICAO 9303-11 §6.1"),
    "CA": ("chip_authentication", "ICAO 9303-11 §6.2"),
    "PACE": ("pace_chip_authentication_mapping", "ICAO 9303-11 §4.4.3.5"),
}
"""By how the chip library calls a proof that the chip is no copy, up to the first hyphen."""


async def choose(journey: Journey) -> None:
    """Step 1: the device key has signed; it is new, and its kind one this server accepts."""
    room, chosen = journey.room, journey.chosen
    thumbprint = jose.thumbprint(chosen.device_key)
    if await room.store.look_up(lambda c: phone_by_thumbprint(c, thumbprint)) is not None:
        raise ProtocolError(4401)
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
        "accepted": list(settings.limits.documents),
        "challenge_seed": settings.face.challenge_seed,
    }


async def document_and_chip(journey: Journey) -> None:
    """Steps 3 and 4: the process reads and proves the chip; the registry says whether the document is valid, and who it is."""
    room = journey.room
    try:  # only now: a process is for people who proved an address, not for whoever opens connections
        process = await room.pool.take(journey.session.queue)
    except PoolFull as error:
        raise Refused("busy") from error
    journey.session.begin_process(process, _opening(journey))
    facts = await journey.told("document")
    journey.facts = facts
    journey.prove("passive_authentication", "ICAO 9303-11 §5.1", datetime.fromisoformat(facts["passive_at"]))
    for proof in facts["proofs"]:
        name, clause = CHIP_PROOFS[proof.partition("-")[0]]
        journey.prove(name, clause, datetime.fromisoformat(facts["chip_at"]))
    journey.session.send("hint", hint="checking_registry")
    civil = await room.registry.check(query_of(facts))
    journey.registry_at = room.clock()
    journey.prove("registry", "eIDAS 2015/1502 annex 2.1.2", journey.registry_at)
    journey.identity = civil_identity(facts, civil)
    require_age(journey.identity, room.settings.limits.minimum_age, room.clock().date())
    journey.document = document_facts(facts, room.ring, room.clock())
    journey.fingerprints = fingerprints(facts, room.ring, room.clock())
    found = await room.store.write(lambda c: chip_was_read(c, journey.fingerprints))
    journey.seen = None if found is None else found.state


async def code(journey: Journey) -> None:
    """Step 6: the phone registers its PIN key, and says what becomes of the account this document or its own has already."""
    room, session = journey.room, journey.session
    suspension_code, challenge = suspension.draw(room.rng), jose.b64(room.rng(32))
    found = await room.store.write(lambda c: earlier(c, journey.fingerprints))
    while journey.new is None:
        session.step(
            6,
            "code",
            suspension_code=suspension.shown(suspension_code),
            challenge=challenge,
            earlier=_told(found),
            **journey.demo_measurements(),
        )
        message = await session.receive("code")
        try:
            journey.new = await _registered(journey, message, challenge, suspension_code, found)
        except Refused as refusal:
            session.refuse(refusal.reason, final=False)


def _told(found: Earlier | None) -> dict[str, Any] | None:
    return None if found is None else {"state": found.state, "phones": found.phones, "may_keep": found.may_keep}


async def _registered(
    journey: Journey, message: dict[str, Any], challenge: str, suspension_code: str, found: Earlier | None
) -> NewAccount:
    """Raises `Refused` (`registration_refused`, `renewal_mismatch`): the phone may say it again."""
    chosen, session = journey.chosen, journey.session
    token = message.get("registration", "")
    try:
        read = read_registration(
            token, chosen.device_key, origin=session.origin, session=session.name, challenge=challenge
        )
    except BadToken as error:
        raise Refused("registration_refused") from error
    continues = await renewed(journey, message["renews"], challenge) if message.get("renews") else None
    journey.reply_key = read.reply_key
    return NewAccount(
        evidence_of(journey),
        chosen.device_key,
        chosen.key_kind,
        chosen.passkey,
        read.pin_key,
        journey.room.rng(32),
        suspension_code,
        journey.fingerprints,
        seen=journey.seen,
        keep=message.get("phones") == "keep",
        continues=continues,
    )


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
    """Step 7: the credential is fetched; account, phone, status and journal are one transaction; then the receipt.

    The State is asked to write to the holder before anything leaves: no identity is made that its holder hears nothing of.
    """
    room, session, new = journey.room, journey.session, journey.new
    assert new is not None and journey.reply_key is not None  # noqa: S101 - step 6 came before
    await room.registry.write_to_holder(query_of(journey.facts), jose.b64(room.rng(24)), room.clock())
    issued = asyncio.Event()
    offer = Offer(new.evidence, new.device_key, lambda c, index: _create(journey, c, new, index), issued.set)
    session.step(
        7,
        "confirmation",
        credential_offer=offer_of(session.origin, room.offers.add(offer)),
        share=jose.encrypt_to(journey.reply_key, new.share),
    )
    await issued.wait()
    now = room.clock()
    receipt = receipts.enrolment(room.ring, session.origin, new.evidence, journey.erased, now)
    await (
        session.connected.wait()
    )  # a line lost since the credential left is waited for: without its receipt a phone is not enrolled
    session.part(receipt=receipt, account=str(journey.account))


def _create(journey: Journey, connection: Connection, new: NewAccount, index: int) -> None:
    room = journey.room
    journey.account = create(connection, new, index, ring=room.ring, now=room.clock(), rng=room.rng)


STEPS: tuple[tuple[str, Callable[[Journey], Awaitable[None]]], ...] = (
    ("choose", choose),
    ("contact", contact),
    ("document and chip", document_and_chip),
    ("face", face),
    ("code", code),
    ("confirmation", confirmation),
)
"""In order; document and chip are steps 3 and 4, told by the session process itself."""

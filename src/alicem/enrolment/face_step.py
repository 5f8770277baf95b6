"""Step 5: express consent, then the live check against the chip's portrait, and how often one may try.

A try is written down under the document's keyed fingerprint before its first action is told, so that breaking off does not win another challenge for
nothing: few refusals count, and few tries may be begun at all, both for seven days. An accepted try leaves no trace.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection

from alicem import journal
from alicem.accounts import face_tries
from alicem.enrolment.identity import fingerprints
from alicem.enrolment.journey import Journey
from alicem.enrolment.link import TRY_SECONDS
from alicem.enrolment.session import ProtocolError
from alicem.face.challenge import MAY_BE_LEFT_OUT
from alicem.reasons import Reason, Refused, load

ERASED = ("document_lines", "chip_answers", "portrait", "frames", "embeddings")
"""What is gone with the session process."""

_log = structlog.get_logger("alicem.enrolment")
LEFT_OUT = {"may_be_left_out": list(MAY_BE_LEFT_OUT)}


async def face(journey: Journey) -> None:
    """Try until accepted. Raises `Refused` when no try is left, consent is refused, or another try cannot help."""
    tries, told = journey.room.settings.limits.face_tries_a_session, {"outcome": ""}
    while told["outcome"] != "accept":
        left = await _left(journey, tries)
        if told["outcome"] != "interrupted":  # a connection that came back was told the step already
            version = journey.room.settings.service.terms_version
            colours = journey.room.settings.face.colours
            journey.session.step(5, "face", consent_version=version, colours=colours, tries_left=left, **LEFT_OUT)
        order = await _consent(journey)
        told = await _try(journey, order)
        if told["outcome"] in ("refuse", "doubtful"):
            tries -= _tell_refusal(journey, Refused(told["reason"]), left)
    at = datetime.fromisoformat(told["at"])
    journey.prove("liveness", "ISO/IEC 30107-3", at)
    journey.prove("face_comparison", "eIDAS 2015/1502 annex 2.1.2", at)
    gone = await journey.room.pool.give_back(journey.process)
    journey.session.process = None
    journey.erased = [(what, gone) for what in ERASED]


async def _consent(journey: Journey) -> dict[str, Any]:
    """The person agrees, and says beforehand what is to be left out; the order of a try. Raises `Refused`, `ProtocolError`."""
    said = await journey.session.receive("consent")
    if said.get("biometrics") is not True:
        raise Refused("consent_refused")
    without, settings = said.get("without"), journey.room.settings.face
    if without is not None and without not in MAY_BE_LEFT_OUT:
        raise ProtocolError
    journey.consent_at = journey.room.clock()
    colours, required = said.get("colours") is not False, settings.colours == "required"
    if required and not colours:
        raise ProtocolError
    return {
        "do": "face",
        "without": without,
        "colours": colours and settings.colours != "off",
        "colours_required": required,
        "virtual_camera_signs": settings.virtual_camera_signs,
    }


async def _left(journey: Journey, tries: int) -> int:
    """How many counted tries are left. Raises `Refused` (`face_tries_exhausted`)."""
    room = journey.room
    names = fingerprints(journey.facts, room.ring, room.clock())
    since = room.clock() - timedelta(days=room.settings.retention.face_try_days)
    begun, counted = await room.store.read(lambda c: face_tries.since(c, names, since))
    left = min(tries, room.settings.limits.face_tries_a_week - counted)
    if left <= 0 or begun >= room.settings.limits.face_attempts_a_week:
        raise Refused("face_tries_exhausted")
    return left


async def _try(journey: Journey, order: dict[str, Any]) -> dict[str, Any]:
    """One try, written down before and after; what the session process tells of it."""
    room = journey.room
    name = fingerprints(journey.facts, room.ring, room.clock())[0]
    number = await room.store.write(lambda c: face_tries.begin(c, name, room.clock()))
    journey.process.say(order)
    told = await journey.told("face", within=TRY_SECONDS + room.settings.limits.session_answer_seconds)
    journey.measurements = {name: told.get(name) for name in ("scores", "thresholds", "missed")}
    await room.store.write(lambda c: _note(c, journey, number, told))
    _log.info("face try", outcome=told["outcome"], reason=told.get("reason"))
    return told


def _note(connection: Connection, journey: Journey, number: int, told: dict[str, Any]) -> None:
    reason = load()[told["reason"]] if told.get("reason") else None
    counted = reason is not None and reason.counts_as_try
    face_tries.end(connection, number, accepted=told["outcome"] == "accept", counted=counted)
    if reason is not None:
        content = {"reason": reason.name}
        journal.append(connection, journey.room.clock(), "face_refused", journey.room.rng, content=content)


def _tell_refusal(journey: Journey, refusal: Refused, left: int) -> int:
    """Say why; how many tries it cost. Raises the refusal when it is final."""
    reason: Reason = refusal.reason
    left -= reason.counts_as_try
    if left <= 0 or "retry" not in reason.next:
        raise Refused(reason.name, tries_left=left)
    journey.session.refuse(reason, final=False, tries_left=left, **journey.demo_measurements())
    return int(reason.counts_as_try)

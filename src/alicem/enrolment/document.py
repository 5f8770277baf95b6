"""Steps 3 and 4 in the session process: the document's lines, its chip, and what its State signed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from alicem.enrolment.link import Interrupted, Link, TooLate
from alicem.jose import BadToken, b64, unb64
from alicem.reasons import Refused
from emrtd import errors, mrz
from emrtd.authenticity import prove_chip
from emrtd.exchange import Answers, Batch, Protocol, Traffic, check_answers
from emrtd.keys import Access, Can, MrzKey
from emrtd.passive import AuthenticDocument, RawDocument, passive_authentication
from emrtd.pki.trust import TrustStore
from emrtd.reading import read_document

ISSUER = "FRA"
"""The State whose documents are accepted: its registry is the one asked."""
RESIDENCE_PERMITS = ("IR", "AR", "CR")  # Regulation (EC) 1030/2002, annex
ANSWER_SECONDS = 30.0
WHOLE = 21_000
"""Bytes of a whole reading, about: of this much is told how far it is."""

REASONS: tuple[tuple[type[errors.EmrtdError], str], ...] = (
    (errors.WrongAccessKey, "access_key_refused"),
    (errors.AccessNumberNeedsPace, "access_key_refused"),
    (errors.PaceNotSupported, "pace_not_supported"),
    (errors.SignerRevoked, "document_signer_revoked"),
    (errors.ChipIsCopy, "chip_is_copy"),
    (errors.NoChipKey, "chip_cannot_prove"),
    (errors.NotGenuine, "document_not_authentic"),
    (errors.MalformedApdu, "chip_unreadable"),
    (errors.Malformed, "document_not_authentic"),
    (errors.GroupNotRead, "document_not_authentic"),
    (errors.WireFailure, "chip_unreadable"),
)
"""From the chip library's errors to rows of reasons.toml; the first that fits."""


@dataclass(frozen=True)
class DocumentLines:
    """What step 3 gives: how to open the chip, and what was claimed."""

    kind: str
    access: Access


@dataclass(frozen=True)
class Proven:
    """What step 4 gives: a document its State signed, on a chip that is no copy."""

    document: AuthenticDocument
    kind: str
    chip_key: bytes
    proofs: tuple[str, ...]
    traffic: Traffic
    passive_at: datetime
    chip_at: datetime

    def facts(self) -> dict[str, Any]:
        """For the session: everything but the portrait."""
        zone, document = self.document.mrz, self.document
        return {
            "kind": self.kind,
            "issuer": zone.issuer,
            "number": zone.number,
            "birth_date": zone.birth_date,
            "expiry_date": zone.expiry_date,
            "expires": document.expiry_date.isoformat(),
            "sex": zone.sex,
            "nationality": zone.nationality,
            "primary": zone.primary,
            "secondary": zone.secondary,
            "names_full": zone.names_full,
            "surname": document.surname,
            "given_names": document.given_names,
            "birthdate": _iso(document),
            "chip_key": b64(self.chip_key),
            "chip_protocol": document.protocol,
            "passive_at": self.passive_at.isoformat(),
            "proofs": list(self.proofs),
            "chip_at": self.chip_at.isoformat(),
            "round_trips": self.traffic.round_trips,
            "commands": self.traffic.commands,
            "bytes": self.traffic.bytes,
        }


def _iso(document: AuthenticDocument) -> str:
    """`YYYY-MM-DD` with `00` for what is unknown."""
    born = document.birth_date
    return f"{born.year or 0:04}-{born.month or 0:02}-{born.day or 0:02}"


def read_lines(plain: bytes, accepted: tuple[str, ...], today: date) -> DocumentLines:
    """The content of `mrz`. Raises `Refused` (`mrz_invalid`, `document_type_not_accepted`, `document_expired`)."""
    try:
        given = json.loads(plain)
        kind, expires, access = _from_lines(given) if "lines" in given else _typed(given)
    except (errors.Refusal, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused("mrz_invalid") from error
    if kind not in accepted:
        raise Refused("document_type_not_accepted")
    if expires < today:
        raise Refused("document_expired")
    return DocumentLines(kind, access)


def _from_lines(given: dict[str, Any]) -> tuple[str, date, Access]:
    zone = mrz.parse("\n".join(given["lines"]))
    access = MrzKey(zone.number, zone.birth_date, zone.expiry_date)
    return kind_of(zone), expiry(zone.expiry_date), access


def _typed(given: dict[str, Any]) -> tuple[str, date, Access]:
    expires = expiry(given["expiry_date"])
    if "can" in given:
        return given["kind"], expires, Can(given["can"])
    return given["kind"], expires, MrzKey(given["number"], given["birth_date"], given["expiry_date"])


def kind_of(zone: mrz.Mrz) -> str:
    """`passport`, `residence_permit`, or something that is not accepted."""
    if zone.issuer != ISSUER:
        return "foreign"
    if zone.document_code.startswith("P"):
        return "passport"
    return "residence_permit" if zone.document_code in RESIDENCE_PERMITS else "other"


def expiry(text: str) -> date:
    """`YYMMDD` of a document in force: this century (9303-3 §4.7). Raises `ValueError`."""
    return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6]))


def read_chip(
    link: Link, lines: DocumentLines, trust: TrustStore, rng: Callable[[int], bytes], clock: Callable[[], datetime]
) -> Proven:
    """Step 4 until the chip is read and proven. A lost chip or connection begins the step again where reading stopped.

    Raises `Refused`.
    """
    traffic = Traffic()
    try:
        raw = read_over(link, partial(read_document, lines.access, rng=rng), traffic)
        return _prove(link, lines, raw, trust, traffic, clock)
    except errors.EmrtdError as error:
        raise Refused(reason_of(error)) from error


def read_over(
    link: Link, read: Callable[..., Protocol[RawDocument]], traffic: Traffic, whole: int = WHOLE
) -> RawDocument:
    """Have the phone read its chip. `read`: `read_document` but for `contact` and `resume`; `whole`: bytes that are expected.

    Raises every error of the chip library but `TagLost`.
    """
    lost = errors.TagLost()
    while True:
        link.send("step", step=4, name="chip", resume_at=_fraction(lost, whole))
        try:
            _, found = link.wait_for("chip_found")
            return _drive(link, read(contact=_answers(found), resume=lost.read), traffic)
        except Interrupted:
            continue  # before the first batch: nothing was read
        except errors.TagLost as again:
            lost = again if again.read else lost


def _drive(link: Link, reading: Protocol[RawDocument], traffic: Traffic) -> RawDocument:
    """One reading. Raises `TagLost`, which knows what was read, and every other error of the chip library."""
    try:
        batch = next(reading)
        while True:
            try:
                answers = _exchange(link, batch, traffic)
            except Interrupted as gone:
                batch = reading.throw(errors.TagLost(_answers(gone.plain) if gone.plain else ()))
            else:
                batch = reading.send(answers)
    except StopIteration as end:
        raw: RawDocument = end.value
        return raw


def _fraction(lost: errors.TagLost, whole: int) -> float:
    return round(min(1.0, sum(len(piece) for pieces in lost.read.values() for piece in pieces.values()) / whole), 3)


def _exchange(link: Link, batch: Batch, traffic: Traffic) -> Answers:
    commands = [
        {"apdu": b64(one.apdu), "allowed": [f"{status:04X}" for status in one.allowed]} for one in batch.commands
    ]
    link.send("chip_batch", commands=commands, progress=list(batch.progress), note=batch.note)
    try:
        _, plain = link.wait_for("chip_answers", seconds=ANSWER_SECONDS)
    except TooLate as error:
        raise Interrupted from error
    answers = _answers(plain)
    traffic.count(batch, answers)
    return check_answers(batch, answers)


def _answers(plain: bytes) -> Answers:
    try:
        answers = json.loads(plain)["answers"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadToken("answers are not JSON") from error
    if not isinstance(answers, list) or len(answers) > 512:
        raise BadToken("at most 512 answers")
    return tuple(unb64(one) for one in answers)


def _prove(
    link: Link,
    lines: DocumentLines,
    raw: RawDocument,
    trust: TrustStore,
    traffic: Traffic,
    clock: Callable[[], datetime],
) -> Proven:
    link.send("hint", hint="checking_document")
    document = passive_authentication(raw, trust, at=clock())
    passive_at = clock()
    proofs = prove_chip(document, raw)
    if kind_of(document.mrz) != lines.kind:
        raise Refused("document_type_not_accepted")
    if document.expiry_date < clock().astimezone(UTC).date():
        raise Refused("document_expired")
    if document.chip_key is None:
        raise errors.NoChipKey("the State signed no key by which the chip could prove itself")
    return Proven(document, lines.kind, document.chip_key, proofs, traffic, passive_at, clock())


def reason_of(error: errors.EmrtdError) -> str:
    """The row of reasons.toml for a chip that could not be read or did not prove itself."""
    return next((name for kind, name in REASONS if isinstance(error, kind)), "chip_unreadable")

"""Registering a security code, and making the account with its first phone, or giving an account another phone.

One document has one account: whoever enrols with a document that has one goes on with it, number and all, so that services know them again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sqlalchemy import Connection

from alicem import jose, journal
from alicem.accounts import at_rest, life, records, suspension
from alicem.accounts.states import JOURNAL, Event, Stage, State, after
from alicem.credential import Status, set_status
from alicem.evidence import Evidence
from alicem.jose import BadToken
from alicem.keys import KeyRing

MOST_PHONES = 5
"""Phones an account may have."""


@dataclass(frozen=True)
class Registration:
    """A PIN public key whose private half was used, and where to send the share."""

    pin_key: EllipticCurvePublicKey
    reply_key: EllipticCurvePublicKey


@dataclass(frozen=True)
class NewAccount:
    """An account with its first phone, or another phone of the account that the document has already.

    `fingerprints`: of the document under every live key, newest first. `seen`: how the document's account was when
    the document was checked: a suspension since then makes the phone void. `keep`: whether the earlier phones stay. `continues`: number of the
    account whose phone and code asked that this document, another of the same person, take the place of its own.
    """

    evidence: Evidence
    device_key: EllipticCurvePublicKey
    key_kind: str
    passkey: EllipticCurvePublicKey | None
    pin_key: EllipticCurvePublicKey
    share: bytes = field(repr=False)
    suspension_code: str = field(repr=False)
    fingerprints: tuple[str, ...]
    seen: State | None = None
    keep: bool = False
    continues: int | None = None


@dataclass(frozen=True)
class Earlier:
    """The account a document has already. `phones`: how many of them are active."""

    number: int
    state: State
    phones: int

    @property
    def may_keep(self) -> bool:
        """Whether another phone may join those it has."""
        return self.state is State.ACTIVE and 0 < self.phones < MOST_PHONES


def earlier(connection: Connection, fingerprints: Sequence[str]) -> Earlier | None:
    """The account of a document under any live fingerprint key."""
    number = records.by_fingerprints(connection, fingerprints)
    if number is None:
        return None
    state = State(records.state_of(connection, number))
    return Earlier(number, state, records.active_phones(connection, number))


def chip_was_read(connection: Connection, fingerprints: Sequence[str]) -> Earlier | None:
    """The account of a document whose chip was just read; its row moves to the newest fingerprint key, which needs the number only a chip gives."""
    found = earlier(connection, fingerprints)
    if found is not None:
        records.set_fingerprint(connection, found.number, fingerprints[0])
    return found


def read_registration(
    token: str, device_key: EllipticCurvePublicKey, *, origin: str, session: str, challenge: str
) -> Registration:
    """Verify the PIN-signed statement inside the device-signed one (enrolment.md, step 6). Raises `BadToken`."""
    outer = jose.unpack(token, "alicem-registration+jwt")
    inner = jose.unpack(jose.check(outer, device_key).decode("ascii", "replace"), "alicem-pin+jwt")
    pin_key = jose.public_key(inner.header.get("jwk"))
    jose.check(inner, pin_key)
    payload = inner.json()
    if (payload.get("aud"), payload.get("session"), payload.get("challenge")) != (origin, session, challenge):
        raise BadToken("the registration is of another session")
    return Registration(pin_key, jose.public_key(payload.get("reply_key")))


def create(
    connection: Connection,
    new: NewAccount,
    status_index: int,
    *,
    ring: KeyRing,
    now: datetime,
    rng: Callable[[int], bytes],
) -> int:
    """Write account and phone, or the phone alone where the document or `continues` names an account; the account's number."""
    known = earlier(connection, new.fingerprints)
    if new.continues is not None and known is not None and known.number != new.continues:
        life.apply(connection, known.number, Event.CLOSE, by="continued", now=now, rng=rng)
        known = None  # the same person, who had begun anew with the other document
    number = new.continues if known is None else known.number
    if number is None or not records.lives(connection, number):
        number = _begin(connection, new, now, rng)
    else:
        _continue(connection, number, new, now, rng)
    _add_phone(connection, number, new, status_index, _stage(new, known), ring, now, rng)
    return number


def _stage(new: NewAccount, known: Earlier | None) -> Stage:
    if known is not None and known.state is State.SUSPENDED and new.seen is not State.SUSPENDED:
        return Stage.VOID
    return Stage.JOINING if new.keep and known is not None and known.may_keep else Stage.ISSUED


def _begin(connection: Connection, new: NewAccount, now: datetime, rng: Callable[[int], bytes]) -> int:
    number = int.from_bytes(rng(8), "big") >> 11  # 53 bits: exact in every JSON reader
    month = f"{now:%Y-%m}"
    records.add_account(
        connection,
        number=number,
        state=after(None, Event.ENROL),
        used_month=month,
        checked_month=month,
        fingerprint=new.fingerprints[0],
        suspension=suspension.digest(new.suspension_code),
    )
    journal.append(connection, now, JOURNAL[Event.ENROL], rng, account=number, content=_content(new))
    return number


def _continue(connection: Connection, number: int, new: NewAccount, now: datetime, rng: Callable[[int], bytes]) -> None:
    """The person was checked again: the account keeps its number, and what its new phone brings takes effect with the first right code."""
    for index in records.remove_waiting_phones(connection, number):
        set_status(connection, index, Status.REVOKED)
    records.recheck(
        connection,
        number,
        checked_month=f"{now:%Y-%m}",
        fingerprint=new.fingerprints[0],
        suspension=suspension.digest(new.suspension_code),
    )
    journal.append(connection, now, "phone_issued", rng, account=number, content=_content(new))


def _content(new: NewAccount) -> dict[str, Any]:
    evidence = new.evidence
    consent = evidence.biometrics_consent_at  # GDPR, article 7(1): who relies on consent can show it
    return {
        "path": evidence.path,
        "level": evidence.level.name.lower(),
        "key_kind": new.key_kind,
        "terms": evidence.terms_version,
        "biometrics_consent_at": None if consent is None else int(consent.timestamp()),
    }


def _add_phone(
    connection: Connection,
    number: int,
    new: NewAccount,
    status_index: int,
    stage: Stage,
    ring: KeyRing,
    now: datetime,
    rng: Callable[[int], bytes],
) -> None:
    thumbprint = jose.thumbprint(new.device_key)
    pin_key = json.dumps(jose.public_jwk(new.pin_key)).encode()
    records.add_phone(
        connection,
        account=number,
        thumbprint=thumbprint,
        device_key=json.dumps(jose.public_jwk(new.device_key)),
        key_kind=new.key_kind,
        passkey=None if new.passkey is None else json.dumps(jose.public_jwk(new.passkey)),
        stage=stage,
        level=int(new.evidence.level),
        status_index=status_index,
        pin_key=at_rest.protect(ring, rng, thumbprint, "pin_key", pin_key, now),
        share=at_rest.protect(ring, rng, thumbprint, "share", new.share, now),
    )

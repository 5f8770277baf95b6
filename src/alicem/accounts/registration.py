"""Registering a security code, and making the account with its first phone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sqlalchemy import Connection, insert

from alicem import jose, journal
from alicem.accounts import at_rest, records, suspension
from alicem.accounts.states import Event, State
from alicem.evidence import Evidence
from alicem.jose import BadToken
from alicem.keys import KeyRing


@dataclass(frozen=True)
class Registration:
    """A PIN public key whose private half was used, and where to send the share."""

    pin_key: EllipticCurvePublicKey
    reply_key: EllipticCurvePublicKey


@dataclass(frozen=True)
class NewAccount:
    evidence: Evidence
    device_key: EllipticCurvePublicKey
    key_kind: str
    pin_key: EllipticCurvePublicKey
    share: bytes
    suspension_code: str


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
    """Write account and phone; the account number. The document's earlier account, if any, is closed: one document, one account."""
    earlier = records.by_fingerprints(connection, (new.evidence.document.fingerprint,))
    if earlier is not None:
        records.move(connection, earlier, Event.CLOSE)
        journal.append(connection, now, "account_closed", rng, content={"by": "enrolled_again"})
    number = int.from_bytes(rng(8), "big") >> 11  # 53 bits: exact in every JSON reader
    month = f"{now:%Y-%m}"
    connection.execute(
        insert(records.accounts).values(
            number=number,
            state=State.ENROLLED,
            level=int(new.evidence.level),
            used_month=month,
            checked_month=month,
            fingerprint=new.evidence.document.fingerprint,
            suspension=suspension.digest(new.suspension_code),
            status_index=status_index,
        )
    )
    _add_phone(connection, number, new, ring, rng)
    content = {"path": new.evidence.path, "level": new.evidence.level.name.lower(), "key_kind": new.key_kind}
    journal.append(connection, now, "account_enrolled", rng, account=number, content=content)
    return number


def _add_phone(
    connection: Connection, number: int, new: NewAccount, ring: KeyRing, rng: Callable[[int], bytes]
) -> None:
    thumbprint = jose.thumbprint(new.device_key)
    pin_key = json.dumps(jose.public_jwk(new.pin_key)).encode()
    connection.execute(
        insert(records.phones).values(
            account=number,
            thumbprint=thumbprint,
            device_key=json.dumps(jose.public_jwk(new.device_key)),
            key_kind=new.key_kind,
            pin_key=at_rest.protect(ring, rng, thumbprint, "pin_key", pin_key),
            share=at_rest.protect(ring, rng, thumbprint, "share", new.share),
            sequence=0,
            used=0,
            paused_until=0,
        )
    )

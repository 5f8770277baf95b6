"""What a right instruction does, one function a purpose (docs/protocols/approval.md, *Instruction*). Runs in the transaction that ends its try."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from alicem import jose, journal, limits
from alicem.accounts import at_rest, life, records
from alicem.accounts.states import Event, Stage
from alicem.jose import BadToken, Unverified
from alicem.keys import KeyRing

APPROVAL_SECONDS = 120
ABOUT_THEMSELVES = ("suspend", "close", "adopt", "remove_others", "record")
"""Purposes that are for nothing but themselves: their request is the hash of their name."""


@dataclass(frozen=True)
class Given:
    """An instruction as it came. `challenge`: SHA-256 of it; `expires`: its end as Unix time, 0 where it is not ours."""

    outer: Unverified
    inner: Unverified
    digest: bytes
    thumbprint: str
    challenge: bytes
    expires: int
    sequence: int
    purpose: str
    request: bytes
    reply_key: ec.EllipticCurvePublicKey


@dataclass(frozen=True)
class Outcome:
    """What the phone is told. `status`: HTTP."""

    status: int
    body: dict[str, Any]

    @classmethod
    def refused(cls, name: str, **members: Any) -> Outcome:
        return cls(403, {"outcome": name, **members})

    @classmethod
    def done(cls, **members: Any) -> Outcome:
        return cls(200, {"outcome": "done", **members})


@dataclass(frozen=True)
class Effects:
    ring: KeyRing
    origin: str
    rng: Callable[[int], bytes]
    receipt: Callable[[datetime], str]
    approvals_per_hour: int

    def act(self, connection: Connection, phone: Any, given: Given, now: datetime) -> Outcome:
        """Do what was asked. The code was right and the account admits this purpose."""
        if phone.used_month != f"{now:%Y-%m}":
            records.touch(connection, phone.account, now)
        return _EFFECTS[given.purpose](self, connection, phone, given, now)

    def again(self, connection: Connection, phone: Any, given: Given) -> Outcome:
        """The answer of what was done already."""
        return self._open(connection, phone, given) if given.purpose == "open" else Outcome.done()

    def _open(self, connection: Connection, phone: Any, *_: Any) -> Outcome:
        return Outcome.done(phones=records.active_phones(connection, phone.account))

    def _activate(self, connection: Connection, phone: Any, _given: Given, now: datetime) -> Outcome:
        if phone.stage != Stage.ACTIVE:
            life.first_code(connection, phone, now=now, rng=self.rng)
        return Outcome.done()

    def _approve(self, connection: Connection, phone: Any, given: Given, now: datetime) -> Outcome:
        """For `renew` and `copy` too: somebody will take it for what its hash says."""
        who, most = str(phone.account), self.approvals_per_hour
        if not limits.counted(connection, self.ring, "approvals", who, most=most, seconds=3600, now=now):
            return Outcome.refused("too_many_approvals")
        records.add_approval(connection, given.request, phone.id, int(now.timestamp()) + APPROVAL_SECONDS)
        return Outcome.done()

    def _suspend(self, connection: Connection, phone: Any, _given: Given, now: datetime) -> Outcome:
        life.apply(connection, phone.account, Event.SUSPEND, by="phone", now=now, rng=self.rng)
        return Outcome.done()

    def _close(self, connection: Connection, phone: Any, _given: Given, now: datetime) -> Outcome:
        life.apply(connection, phone.account, Event.CLOSE, by="phone", now=now, rng=self.rng)
        return Outcome.done(receipt=self.receipt(now))

    def _change(self, connection: Connection, phone: Any, given: Given, now: datetime) -> Outcome:
        """First phase: the new key waits beside the old."""
        try:
            key = self._new_pin_key(given)
        except BadToken:
            return Outcome.refused("instruction_refused")
        plain = json.dumps(jose.public_jwk(key)).encode()
        sealed = at_rest.protect(self.ring, self.rng, phone.thumbprint, "next_pin_key", plain, now)
        records.update_phone(connection, phone.id, next_pin_key=sealed)
        return Outcome.done()

    def _new_pin_key(self, given: Given) -> ec.EllipticCurvePublicKey:
        """The key of `pin_key`, which it signed itself, over this instruction's challenge. Raises `BadToken`."""
        payload = given.inner.json()
        statement = jose.unpack(payload["pin_key"], "alicem-new-pin+jwt")
        key = jose.public_key(statement.header.get("jwk"))
        jose.check(statement, key)
        said = statement.json()
        if (said.get("aud"), said.get("challenge")) != (self.origin, payload["challenge"]):
            raise BadToken("a new PIN key of another instruction")
        return key

    def _adopt(self, connection: Connection, phone: Any, _given: Given, now: datetime) -> Outcome:
        """Second phase: the new key signed this, so it takes the place of the old."""
        if phone.next_pin_key is not None:
            plain = at_rest.unprotect(self.ring, phone.thumbprint, "next_pin_key", phone.next_pin_key)
            moved = at_rest.protect(self.ring, self.rng, phone.thumbprint, "pin_key", plain, now)
            records.update_phone(connection, phone.id, pin_key=moved)
            journal.append(connection, now, "code_changed", self.rng, account=phone.account)
        return Outcome.done()

    def _suspension_code(self, connection: Connection, phone: Any, given: Given, now: datetime) -> Outcome:
        if not records.set_suspension(connection, phone.account, given.request):
            return Outcome.refused("instruction_refused")
        journal.append(connection, now, "suspension_code_changed", self.rng, account=phone.account)
        return Outcome.done()

    def _remove_others(self, connection: Connection, phone: Any, _given: Given, now: datetime) -> Outcome:
        life.remove_phones(connection, phone.account, phone.id, by="phone", now=now, rng=self.rng)
        return Outcome.done()

    def _record(self, *_: Any) -> Outcome:
        """None: the record is read once this is on disk, so that it tells of this instruction too."""
        return Outcome.done()


_EFFECTS: dict[str, Callable[..., Outcome]] = {
    "activate": Effects._activate,
    "open": Effects._open,
    "approve": Effects._approve,
    "suspend": Effects._suspend,
    "close": Effects._close,
    "change": Effects._change,
    "adopt": Effects._adopt,
    "suspension_code": Effects._suspension_code,
    "remove_others": Effects._remove_others,
    "renew": Effects._approve,
    "copy": Effects._approve,
    "record": Effects._record,
}
PURPOSES = tuple(_EFFECTS)

"""The security code, server side: instructions signed by PIN key and device key, counted before the code is looked at.

approval.md fixes the order. Until a valid device signature came with an unspent challenge of ours, every failure has one answer and nothing
is counted, so nobody can lock a stranger's account. A try is durable before its code is verified, so a crash never gives one back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from alicem import jose, journal
from alicem.accounts import at_rest, records
from alicem.accounts.states import REFUSAL, Event, State
from alicem.jose import BadToken, Unverified
from alicem.keys import KeyRing
from alicem.store import Store

TRIES_A_ROUND = 4
PAUSES = (60, 300, 3600)
"""Seconds after the first, second and third round; after the fourth the account is locked."""
MOST_TRIES = TRIES_A_ROUND * (len(PAUSES) + 1)
CHALLENGE_SECONDS = 60
APPROVAL_SECONDS = 120
PURPOSES = ("activate", "open", "approve", "suspend", "close")
_FIXED_REQUEST = {
    purpose: jose.b64(hashlib.sha256(text).digest())
    for purpose, text in (("open", b""), ("suspend", b"suspend"), ("close", b"close"))
}
_DECOY = ec.derive_private_key(
    1, ec.SECP256R1()
).public_key()  # verified against for unknown phones: same work, same time


class Uniform(Exception):
    """The one answer before device signature and challenge are right."""


@dataclass(frozen=True)
class Outcome:
    """What the phone is told. `status`: HTTP."""

    status: int
    body: dict[str, Any]

    @classmethod
    def refused(cls, name: str, **members: Any) -> Outcome:
        return cls(403, {"outcome": name, **members})


UNIFORM = Outcome(401, {"outcome": "instruction_refused"})


@dataclass(frozen=True)
class Instruction:
    """The inner statement, covered by the device signature; its PIN signature not yet verified."""

    inner: Unverified
    digest: bytes
    thumbprint: str
    challenge: str
    sequence: int
    purpose: str
    request: bytes
    reply_key: ec.EllipticCurvePublicKey


@dataclass(frozen=True)
class Counted:
    """The phone's row after its try was counted."""

    phone: Any


@dataclass
class Instructions:
    """What verifying instructions needs. `receipt(now)`: the signed receipt of an erased account."""

    store: Store
    ring: KeyRing
    origin: str
    clock: Callable[[], datetime]
    rng: Callable[[int], bytes]
    receipt: Callable[[datetime], str] = field()

    async def challenge(self) -> str:
        """A fresh challenge, good for one instruction."""
        value = jose.b64(self.rng(32))
        expires = int(self.clock().timestamp()) + CHALLENGE_SECONDS
        await self.store.write(lambda c: records.add_challenge(c, _digest(value), expires))
        return value

    async def perform(self, token: str) -> Outcome:
        """Verify, count, verify the code, act. Never raises for what a phone sent."""
        try:
            instruction = await self._read(token)
            begun = await self.store.write(lambda c: self._begin(c, instruction))
        except (Uniform, BadToken):
            return UNIFORM
        if isinstance(begun, Outcome):
            return begun
        right = self._code_is_right(begun.phone, instruction)
        outcome = await self.store.write(lambda c: self._finish(c, instruction, right))
        return self._with_share(outcome, begun.phone, instruction)

    async def _read(self, token: str) -> Instruction:
        outer = jose.unpack(token, "alicem-instruction+jwt")
        thumbprint = str(outer.header.get("kid", ""))[:64]
        phone = await self.store.read(lambda c: records.phone_by_thumbprint(c, thumbprint))
        key = _DECOY if phone is None else jose.public_key(json.loads(phone.device_key))
        jose.check(outer, key)
        if phone is None:
            raise Uniform
        return parse(outer, thumbprint, self.origin)

    def _begin(self, connection: Connection, given: Instruction) -> Counted | Outcome:
        """Everything before the code, and the try itself; committed by the caller."""
        now = int(self.clock().timestamp())
        phone = records.phone_by_thumbprint(connection, given.thumbprint)
        if phone is None:
            raise Uniform
        if phone.sequence == given.sequence and phone.last_instruction == given.digest:
            return Counted(phone)  # sent again after a lost answer: no new try
        if not records.take_challenge(connection, _digest(given.challenge), now):
            raise Uniform
        if given.sequence <= phone.sequence:
            return self._clone(connection, phone)
        blocked = self._blocked(phone, given, now)
        if blocked is not None:
            return blocked
        used = phone.used + 1
        round_over = used % TRIES_A_ROUND == 0 and used < MOST_TRIES
        records.update_phone(
            connection,
            phone.id,
            sequence=given.sequence,
            used=used,
            paused_until=now + PAUSES[used // TRIES_A_ROUND - 1] if round_over else phone.paused_until,
            last_instruction=given.digest,
            last_outcome="counted",
        )
        return Counted(records.phone_by_thumbprint(connection, given.thumbprint))

    def _blocked(self, phone: Any, given: Instruction, now: int) -> Outcome | None:
        if phone.used >= MOST_TRIES:
            return Outcome.refused("account_locked")
        state = State(phone.state)
        allowed = {State.ENROLLED: ("activate", "close"), State.SUSPENDED: ("close",)}.get(state, PURPOSES)
        if state is State.LOCKED or given.purpose not in allowed:
            return Outcome.refused(REFUSAL[state])
        if phone.paused_until > now:
            return Outcome.refused("code_paused", pause_seconds=phone.paused_until - now)
        return None

    def _clone(self, connection: Connection, phone: Any) -> Outcome:
        now = self.clock()
        if State(phone.state) in (State.ENROLLED, State.ACTIVE):
            records.move(connection, phone.account, Event.CLONE)
            journal.append(connection, now, "clone_suspected", self.rng, account=phone.account)
        return Outcome.refused("clone_suspected")

    def _code_is_right(self, phone: Any, given: Instruction) -> bool:
        stored = at_rest.unprotect(self.ring, phone.thumbprint, "pin_key", phone.pin_key)
        try:
            jose.check(given.inner, jose.public_key(json.loads(stored)))
        except BadToken:
            return False
        return True

    def _finish(self, connection: Connection, given: Instruction, right: bool) -> Outcome:
        phone = records.phone_by_thumbprint(connection, given.thumbprint)
        if phone is None or phone.last_instruction != given.digest:
            return Outcome.refused("instruction_refused")  # overtaken by a later instruction: its try stays counted
        if phone.last_outcome == "done":
            return Outcome(200, {"outcome": "done"})
        if not right:
            return self._wrong(connection, phone)
        records.update_phone(connection, phone.id, used=0, paused_until=0, last_outcome="done")
        return self._act(connection, phone, given)

    def _wrong(self, connection: Connection, phone: Any) -> Outcome:
        now = self.clock()
        records.update_phone(connection, phone.id, last_outcome="code_wrong")
        if phone.used >= MOST_TRIES:
            if State(phone.state) in (State.ENROLLED, State.ACTIVE):
                records.move(connection, phone.account, Event.LOCK)
                journal.append(connection, now, "account_locked", self.rng, account=phone.account)
            return Outcome.refused("account_locked")
        left = -phone.used % TRIES_A_ROUND
        pause = max(0, phone.paused_until - int(now.timestamp()))
        return Outcome.refused("code_wrong", tries_left=left, pause_seconds=pause)

    def _act(self, connection: Connection, phone: Any, given: Instruction) -> Outcome:
        now = self.clock()
        records.touch(connection, phone.account, now)
        if given.purpose == "activate" and State(phone.state) is State.ENROLLED:
            records.move(connection, phone.account, Event.ACTIVATE)
            journal.append(connection, now, "account_activated", self.rng, account=phone.account)
        if given.purpose == "approve":
            records.add_approval(connection, given.request, phone.id, int(now.timestamp()) + APPROVAL_SECONDS)
        if given.purpose == "suspend":
            records.move(connection, phone.account, Event.SUSPEND)
            journal.append(
                connection, now, "account_suspended", self.rng, account=phone.account, content={"by": "phone"}
            )
        if given.purpose == "close":
            records.move(connection, phone.account, Event.CLOSE)
            journal.append(connection, now, "account_closed", self.rng, content={"by": "phone"})
            return Outcome(200, {"outcome": "done", "receipt": self.receipt(now)})
        return Outcome(200, {"outcome": "done"})

    def _with_share(self, outcome: Outcome, phone: Any, given: Instruction) -> Outcome:
        if outcome.status != 200:
            return outcome
        share = at_rest.unprotect(self.ring, phone.thumbprint, "share", phone.share)
        return Outcome(200, {**outcome.body, "share": jose.encrypt_to(given.reply_key, share)})


def parse(outer: Unverified, thumbprint: str, origin: str) -> Instruction:
    """The instruction inside a device-signed envelope. Raises `BadToken`."""
    inner = jose.unpack(outer.payload.decode("ascii", "replace"), "alicem-pin+jwt")
    payload = inner.json()
    sequence, purpose, request = payload.get("sequence"), payload.get("purpose"), payload.get("request")
    if payload.get("aud") != origin or purpose not in PURPOSES or not isinstance(payload.get("challenge"), str):
        raise BadToken("not an instruction for this server")
    if not isinstance(sequence, int) or isinstance(sequence, bool) or not 0 < sequence < 1 << 53:
        raise BadToken("not a sequence number")
    if (
        not isinstance(request, str)
        or request != _FIXED_REQUEST.get(purpose, request)
        or len(jose.unb64(request)) != 32
    ):
        raise BadToken("not the hash of what is asked")
    return Instruction(
        inner,
        hashlib.sha256(outer.signing_input).digest(),
        thumbprint,
        payload["challenge"],
        sequence,
        purpose,
        jose.unb64(request),
        jose.public_key(payload.get("reply_key")),
    )


def _digest(challenge: str) -> bytes:
    return hashlib.sha256(challenge.encode()).digest()

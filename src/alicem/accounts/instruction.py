"""The security code, server side: instructions signed by PIN key and device key, counted before the code is looked at.

approval.md fixes the order. Until a valid device signature came with an unspent challenge of ours, every failure has one answer in one time and
nothing is counted, so nobody can lock a stranger's account. A try is durable before its code is verified, so a crash never gives one back.
What a right instruction does is in `effects`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from alicem import jose
from alicem.accounts import at_rest, challenges, effects, life, passkey, records
from alicem.accounts.effects import Given, Outcome
from alicem.accounts.own_record import own_record
from alicem.accounts.states import ALLOWED, LIFE, REFUSAL, Event, Stage, State
from alicem.jose import BadToken
from alicem.keys import KeyRing
from alicem.store import Store

TRIES_A_ROUND = 4
PAUSES = (60, 300, 3600)
"""Seconds after the first, second and third round; after the fourth the account is locked."""
MOST_TRIES = TRIES_A_ROUND * (len(PAUSES) + 1)
_MOST = 16 * 1024
_FIXED_REQUEST = {
    purpose: hashlib.sha256(text).digest()
    for purpose, text in (("open", b""), *((name, name.encode()) for name in effects.ABOUT_THEMSELVES))
}
_NOBODY = json.dumps(jose.public_jwk(ec.derive_private_key(1, ec.SECP256R1()).public_key()))
"""A device key to verify against where there is no phone: same work, same time."""


class Uniform(Exception):
    """The one answer before device signature and challenge are right."""


UNIFORM = Outcome(401, {"outcome": "instruction_refused"})


@dataclass(frozen=True)
class Counted:
    """The phone's row after its try was counted."""

    phone: Any


@dataclass
class Instructions:
    """What verifying instructions needs. `receipt(now)`: the signed receipt of an erased account. `approvals_per_hour`: of one account."""

    store: Store
    ring: KeyRing
    origin: str
    clock: Callable[[], datetime]
    rng: Callable[[int], bytes]
    receipt: Callable[[datetime], str]
    approvals_per_hour: int = 60

    def __post_init__(self) -> None:
        self._effects = effects.Effects(self.ring, self.origin, self.rng, self.receipt, self.approvals_per_hour)

    def challenge(self) -> str:
        """A fresh challenge, good for one instruction; nothing is written."""
        now = self.clock()
        return challenges.draw(self.ring.secret("transaction", now).value, int(now.timestamp()), self.rng)

    async def perform(self, token: str, assertion: Any = None) -> Outcome:
        """Verify, count, verify the code, act. Never raises for what a phone sent."""
        try:
            given = await self._read(token, assertion)
            begun = await self.store.write(lambda c: self._begin(c, given))
        except (Uniform, BadToken):
            return UNIFORM
        if isinstance(begun, Outcome):
            return begun
        right = self._code_is_right(begun.phone, given)
        outcome = await self.store.write(lambda c: self._finish(c, given, right))
        if outcome.status != 200:
            return outcome
        if given.purpose == "record":
            return await self._with_record(outcome, begun.phone, given)
        return self._with_share(outcome, begun.phone, given)

    async def _read(self, token: str, assertion: Any) -> Given:
        """The instruction, its device signature right and its challenge one of ours. Nothing is answered before all was looked at."""
        secrets = tuple(key.value for key in self.ring.secret_all("transaction"))
        given = parse(token, self.origin, secrets)
        phone = await self.store.look_up(lambda c: records.keys_of(c, given.thumbprint))
        jose.check(given.outer, jose.public_key(json.loads(_NOBODY if phone is None else phone.device_key)))
        if phone is None or given.expires == 0:
            raise Uniform
        if phone.passkey is not None:
            key = jose.public_key(json.loads(phone.passkey))
            shown = passkey.parse(assertion)
            passkey.check(shown, key, given.outer.payload, self.origin)
            if shown.kind != phone.key_kind:  # WebAuthn Level 3 §6.1.3: whether a passkey may be copied never changes
                raise Uniform
        return given

    def _begin(self, connection: Connection, given: Given) -> Counted | Outcome:
        """Everything before the code, and the try itself; committed by the caller."""
        now = self._seconds()
        phone = records.phone_by_thumbprint(connection, given.thumbprint, hold=True)
        if phone is None:
            raise Uniform
        if phone.sequence == given.sequence and phone.last_instruction == given.digest:
            return Counted(phone)  # sent again after a lost answer: no new try
        spent = given.expires >= now and records.spend_challenge(connection, given.challenge, given.expires)
        if not spent:
            raise Uniform
        if given.sequence <= phone.sequence:
            life.apply(connection, phone.account, Event.CLONE, by="sequence", now=self.clock(), rng=self.rng)
            return Outcome.refused("clone_suspected")
        return self._blocked(phone, given, now) or self._count(connection, phone, given, now)

    def _blocked(self, phone: Any, given: Given, now: int) -> Outcome | None:
        if phone.used >= MOST_TRIES:
            return Outcome.refused("account_locked")
        if not allowed(phone, given):
            return Outcome.refused(REFUSAL[State(phone.state)])
        if phone.paused_until > now:
            return Outcome.refused("code_paused", pause_seconds=phone.paused_until - now)
        return None

    def _count(self, connection: Connection, phone: Any, given: Given, now: int) -> Counted:
        used = phone.used + 1
        round_over = used % TRIES_A_ROUND == 0 and used < MOST_TRIES
        records.count_try(
            connection,
            phone.id,
            sequence=given.sequence,
            used=used,
            paused_until=now + PAUSES[used // TRIES_A_ROUND - 1] if round_over else phone.paused_until,
            last_instruction=given.digest,
        )
        return Counted(phone)

    def _code_is_right(self, phone: Any, given: Given) -> bool:
        """Whether the PIN key in force made the inner signature; the one to come, for `adopt`."""
        column = "next_pin_key" if given.purpose == "adopt" and phone.next_pin_key is not None else "pin_key"
        stored = at_rest.unprotect(self.ring, phone.thumbprint, column, getattr(phone, column))
        try:
            jose.check(given.inner, jose.public_key(json.loads(stored)))
        except BadToken:
            return False
        return True

    def _finish(self, connection: Connection, given: Given, right: bool) -> Outcome:
        phone = records.phone_by_thumbprint(connection, given.thumbprint, hold=True)
        if phone is None or phone.last_instruction != given.digest:
            return Outcome.refused("instruction_refused")  # overtaken by a later instruction: its try stays counted
        if phone.last_outcome == "done":
            return self._effects.again(connection, phone, given)
        if phone.last_outcome not in ("counted", "code_wrong"):
            return Outcome.refused(phone.last_outcome)
        if not right:
            return self._wrong(connection, phone)
        outcome = self._right(connection, phone, given)
        if given.purpose != "close":
            records.end_try(connection, phone.id, str(outcome.body["outcome"]))
        if given.purpose != "change" and phone.next_pin_key is not None:
            records.drop_next_code(connection, phone.id)
        return outcome

    def _right(self, connection: Connection, phone: Any, given: Given) -> Outcome:
        if not allowed(phone, given):  # suspended or locked while the code was looked at
            return Outcome.refused(REFUSAL[State(phone.state)])
        return self._effects.act(connection, phone, given, self.clock())

    def _wrong(self, connection: Connection, phone: Any) -> Outcome:
        now = self.clock()
        records.wrong_code(connection, phone.id)
        if phone.used >= MOST_TRIES:
            if (State(phone.state), Event.LOCK) in LIFE:
                life.apply(connection, phone.account, Event.LOCK, by="tries", now=now, rng=self.rng)
            return Outcome.refused("account_locked")
        left = -phone.used % TRIES_A_ROUND
        pause = max(0, phone.paused_until - int(now.timestamp()))
        return Outcome.refused("code_wrong", tries_left=left, pause_seconds=pause)

    def _with_share(self, outcome: Outcome, phone: Any, given: Given) -> Outcome:
        share = at_rest.unprotect(self.ring, phone.thumbprint, "share", phone.share)
        return Outcome(200, {**outcome.body, "share": jose.encrypt_to(given.reply_key, share)})

    async def _with_record(self, outcome: Outcome, phone: Any, given: Given) -> Outcome:
        """Without the share: what is kept of a suspended account may be read, and its vault stays shut."""
        told = await self.store.read(lambda c: own_record(c, phone.account, phone.id, self.clock()))
        if told is None:  # closed or expired in between
            return Outcome.refused("instruction_refused")
        plain = json.dumps(told, separators=(",", ":")).encode()
        return Outcome(200, {**outcome.body, "record": jose.encrypt_to(given.reply_key, plain)})

    def _seconds(self) -> int:
        return int(self.clock().timestamp())


def allowed(phone: Any, given: Given) -> bool:
    """Whether this phone may give this instruction while its account is as it is."""
    return given.purpose in ALLOWED.get((State(phone.state), Stage(phone.stage)), ())


def parse(token: str, origin: str, secrets: tuple[bytes, ...]) -> Given:
    """The instruction inside a device-signed envelope, no signature of it verified yet. Raises `BadToken`."""
    if not isinstance(token, str) or len(token) > _MOST:
        raise BadToken("not an instruction")
    outer = jose.unpack(token, "alicem-instruction+jwt")
    inner = jose.unpack(outer.payload.decode("ascii", "replace"), "alicem-pin+jwt")
    payload = inner.json()
    purpose, challenge = payload.get("purpose"), payload.get("challenge")
    if payload.get("aud") != origin or purpose not in effects.PURPOSES or not isinstance(challenge, str):
        raise BadToken("not an instruction for this server")
    return Given(
        outer=outer,
        inner=inner,
        digest=hashlib.sha256(outer.signing_input).digest(),
        thumbprint=str(outer.header.get("kid", ""))[:64],
        challenge=hashlib.sha256(challenge.encode()).digest(),
        expires=challenges.end_of(challenge, secrets),
        sequence=_sequence(payload.get("sequence")),
        purpose=purpose,
        request=_request(purpose, payload),
        reply_key=jose.public_key(payload.get("reply_key")),
    )


def _sequence(given: Any) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 0 < given < 1 << 53:
        raise BadToken("not a sequence number")
    return given


def _request(purpose: str, payload: Any) -> bytes:
    request = jose.unb64(payload.get("request", ""))
    expected = _FIXED_REQUEST.get(purpose, request)
    if purpose == "change":
        expected = hashlib.sha256(str(payload.get("pin_key")).encode()).digest()
    if len(request) != 32 or request != expected:
        raise BadToken("not the hash of what is asked")
    return request

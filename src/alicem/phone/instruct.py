"""Instructions: what the owner's code orders, signed inside by the PIN key and outside by the device key (approval.md).

What was sent and not answered is sent again, unchanged, before anything else: a lost answer is no clone and costs no second try.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from alicem import jose
from alicem.jose import b64, decrypt
from alicem.phone.code import pin_key
from alicem.phone.state import Phone, Storage
from alicem.reasons import Refused


@dataclass(frozen=True)
class Answer:
    """A right instruction's answer: the server's share, the receipt of a closed account, how many phones the account has, or its record (JSON)."""

    share: bytes = b""
    receipt: str | None = None
    phones: int | None = None
    record: bytes = b""


class WrongCode(Refused):
    """`code_wrong`, with the tries left and the pause before the next."""

    def __init__(self, tries_left: int, pause_seconds: int) -> None:
        super().__init__("code_wrong", tries_left=tries_left)
        self.pause_seconds = pause_seconds


class AccountClosed(Exception):
    """A `close` whose answer was lost had been done: the account is gone, and everything here is erased."""


@dataclass
class Device:
    """A phone with its storage, its way to the server, its clock and its randomness."""

    storage: Storage
    http: httpx.AsyncClient
    clock: Callable[[], datetime]
    rng: Callable[[int], bytes]
    phone: Phone = field(repr=False)
    closing: bool = False
    """A `close` was refused as a stranger's: it was done, or came too late for its challenge. The next instruction tells which."""

    async def instruct(self, code: str, purpose: str, about: bytes) -> Answer:
        """Have the server do `purpose` for `about`, by the owner's code.

        Raises `Refused`, `WrongCode`, `AccountClosed`, and `httpx.HTTPError` where no answer came: then it stays pending.
        """
        await self.settle()
        pin = pin_key(code, self.phone.salt)
        return await self.order(pin, purpose, about, await self.challenge())

    async def challenge(self) -> str:
        """A challenge of the server, for one instruction. Raises `Refused`."""
        challenge = _body(await self.http.post("/phone/challenge", json={})).get("challenge")
        if not isinstance(challenge, str):
            raise Refused("rate_limited")
        return challenge

    async def order(
        self, pin: ec.EllipticCurvePrivateKey, purpose: str, about: bytes, challenge: str, **more: str
    ) -> Answer:
        """An instruction signed by this PIN key. `more`: members that only some purposes have."""
        self.phone = self.storage.next_sequence(self.phone)
        reply_key = ec.generate_private_key(ec.SECP256R1())
        inner = {
            "aud": self.phone.origin,
            "challenge": challenge,
            "sequence": self.phone.sequence,
            "purpose": purpose,
            "request": b64(hashlib.sha256(about).digest()),
            "reply_key": jose.public_jwk(reply_key.public_key()),
            "iat": int(self.clock().timestamp()),
            **more,
        }
        statement = jose.sign(pin, "alicem-pin+jwt", inner)
        kid = jose.thumbprint(self.phone.device_key.public_key())
        self._remember(jose.sign(self.phone.device_key, "alicem-instruction+jwt", statement, kid=kid))
        try:
            answer = await self._send()
        except httpx.TransportError:
            answer = await self._send()
        if answer.status_code == 401 and self.closing:
            self.storage.wipe()
            raise AccountClosed
        return _read(answer, reply_key)

    async def settle(self) -> None:
        """Learn what became of an instruction whose answer was lost. Raises `Refused`, `httpx.HTTPError`, `AccountClosed`."""
        if self.phone.pending is None:
            return
        purpose = purpose_of(self.phone.pending)
        answer = await self._send()
        self.closing = purpose == "close" and answer.status_code == 401
        if purpose == "close" and answer.status_code == 200:
            self.storage.wipe()
            raise AccountClosed
        if purpose == "adopt" and answer.status_code == 200:
            self.adopted()

    def adopted(self) -> None:
        """The new code is the code."""
        if self.phone.next_salt is not None:
            self.save(salt=self.phone.next_salt, next_salt=None)

    def save(self, **changes: Any) -> None:
        """Change the record, durably."""
        self.phone = replace(self.phone, **changes)
        self.storage.save(self.phone)

    async def _send(self) -> httpx.Response:
        """Send what is pending; forgotten once the server said what became of it. Raises `Refused` where it did not."""
        answer = await self.http.post("/phone/instruction", json={"instruction": self.phone.pending})
        if answer.status_code == 429 or answer.status_code >= 500:
            raise Refused("rate_limited" if answer.status_code == 429 else "internal")
        self._remember(None)
        return answer

    def _remember(self, pending: str | None) -> None:
        self.save(pending=pending)


def purpose_of(instruction: str) -> str:
    """What a stored instruction of ours orders."""
    outer = jose.unpack(instruction, "alicem-instruction+jwt")
    return str(jose.unpack(outer.payload.decode(), "alicem-pin+jwt").json()["purpose"])


def _read(answer: httpx.Response, reply_key: ec.EllipticCurvePrivateKey) -> Answer:
    body = _body(answer)
    if answer.status_code == 200:
        if "record" in body:
            return Answer(record=decrypt(body["record"], reply_key))
        return Answer(decrypt(body["share"], reply_key), body.get("receipt"), body.get("phones"))
    if body.get("outcome") == "code_wrong":
        raise WrongCode(body["tries_left"], body["pause_seconds"])
    raise Refused(str(body.get("outcome", "internal")))


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        tree = answer.json()
    except ValueError:
        return {}
    return tree if isinstance(tree, dict) else {}

"""Instructions: what the owner's code orders, signed inside by the PIN key and outside by the device key (approval.md)."""

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
    """A right instruction's answer: the server's share, and the receipt of a closed account."""

    share: bytes
    receipt: str | None = None


class WrongCode(Refused):
    """`code_wrong`, with the tries left and the pause before the next."""

    def __init__(self, tries_left: int, pause_seconds: int) -> None:
        super().__init__("code_wrong", tries_left=tries_left)
        self.pause_seconds = pause_seconds


@dataclass
class Device:
    """A phone with its storage, its way to the server, its clock and its randomness."""

    storage: Storage
    http: httpx.AsyncClient
    clock: Callable[[], datetime]
    rng: Callable[[int], bytes]
    phone: Phone = field(repr=False)

    async def instruct(self, code: str, purpose: str, about: bytes) -> Answer:
        """Have the server do `purpose` for `about`, by the owner's code. Raises `Refused`, `WrongCode`, `httpx.HTTPError`."""
        answer = await self.http.post("/phone/challenge", json={})
        challenge = _body(answer).get("challenge")
        if not isinstance(challenge, str):
            raise Refused("rate_limited")
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
        }
        return await self._send(self._signed(inner, code), reply_key)

    def _signed(self, inner: dict[str, Any], code: str) -> str:
        device_key = self.phone.device_key
        statement = jose.sign(pin_key(code, self.phone.salt), "alicem-pin+jwt", inner)
        kid = jose.thumbprint(device_key.public_key())
        return jose.sign(device_key, "alicem-instruction+jwt", statement, kid=kid)

    async def _send(self, instruction: str, reply_key: ec.EllipticCurvePrivateKey) -> Answer:
        self._remember(instruction)
        try:
            answer = await self.http.post("/phone/instruction", json={"instruction": instruction})
        except httpx.TransportError:  # the same instruction again has the same outcome: a lost answer is no clone
            answer = await self.http.post("/phone/instruction", json={"instruction": instruction})
        self._remember(None)
        body = _body(answer)
        if answer.status_code == 200:
            return Answer(decrypt(body["share"], reply_key), body.get("receipt"))
        if body.get("outcome") == "code_wrong":
            raise WrongCode(body["tries_left"], body["pause_seconds"])
        raise Refused(str(body.get("outcome", "internal")))

    def _remember(self, pending: str | None) -> None:
        self.phone = replace(self.phone, pending=pending)
        self.storage.save(self.phone)


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        tree = answer.json()
    except ValueError:
        return {}
    return tree if isinstance(tree, dict) else {}

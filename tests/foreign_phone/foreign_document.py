"""The document read again at a sign-in, from docs/protocols/approval.md (*eidas3*) alone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from foreign_enrolment import FIRST_CONTACT, run_batch
from foreign_jose import b64, fresh_key, hkdf, jwk_of, public_key, sign, unb64
from foreign_person import Holder
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from emrtd.errors import TagLost


class ReadingRefused(Exception):
    """The reason the server gave."""


@dataclass
class DocumentReading:
    """`session`: the request's `state`; `reference`: of its link."""

    origin: str
    reference: str
    session: str
    device_key: ec.EllipticCurvePrivateKey
    access_key: Mapping[str, str]
    holder: Holder
    clock: Callable[[], float] = time.time
    heard: list[str] = field(default_factory=list)
    _seal_key: ec.EllipticCurvePrivateKey = field(default_factory=fresh_key)
    _sealing: AESGCM | None = None
    _id: int = 0

    async def run(self) -> None:
        """Until the chip is proven. Raises `ReadingRefused`."""
        address = f"{self.origin.replace('http', 'ws', 1)}/signin/chip/{self.reference}"
        while True:
            async with connect(address, subprotocols=[Subprotocol("alicem.chip.v1")], proxy=None) as socket:
                async for text in socket:
                    message: dict[str, Any] = json.loads(text)
                    if self.holder.loses_the_line(message):
                        break
                    if message["type"] == "proven":
                        return
                    await self._answer(socket, message)

    async def _answer(self, socket: ClientConnection, message: dict[str, Any]) -> None:
        self.heard.append(message.get("name", message["type"]))
        match message:
            case {"type": "step", "name": "proof"}:
                await self._send(socket, "proof", proof=self._proof(message["challenge"]))
            case {"type": "step", "name": "access"}:
                secret = self._seal_key.exchange(ec.ECDH(), public_key(message["seal_key"]))
                self._sealing = AESGCM(hkdf(secret, self.session.encode(), "alicem seal v1"))
                await self._send_sealed(socket, "access_key", self.access_key)
            case {"type": "step", "name": "chip"}:
                await asyncio.to_thread(self.holder.lay_document)
                await self._on_chip(socket, "chip_found", FIRST_CONTACT)
            case {"type": "chip_batch"}:
                batch = [(unb64(one["apdu"]), one["allowed"]) for one in message["commands"]]
                await self._on_chip(socket, "chip_answers", batch)
            case {"type": "refused", "final": True}:
                raise ReadingRefused(message["reason"])

    def _proof(self, challenge: str) -> str:
        about = {"aud": self.origin, "session": self.session, "challenge": challenge, "iat": int(self.clock())}
        header = {"typ": "alicem-chip+jwt", "jwk": jwk_of(self.device_key)}
        return sign(self.device_key, header, {**about, "seal_key": jwk_of(self._seal_key)})

    async def _on_chip(self, socket: ClientConnection, kind: str, batch: list[tuple[bytes, list[str]]]) -> None:
        answers: list[bytes] = []
        try:
            await asyncio.to_thread(run_batch, batch, self.holder.transmit, answers)
        except TagLost:
            kind = "chip_lost"
        await self._send_sealed(socket, kind, {"answers": [b64(one) for one in answers]})

    async def _send_sealed(self, socket: ClientConnection, kind: str, content: Mapping[str, Any]) -> None:
        assert self._sealing is not None
        number = self._id + 1
        plaintext, bound = json.dumps(content).encode(), f"{kind}\n{number}".encode()
        await self._send(socket, kind, sealed=b64(self._sealing.encrypt(number.to_bytes(12, "big"), plaintext, bound)))

    async def _send(self, socket: ClientConnection, kind: str, **members: Any) -> None:
        self._id += 1
        await socket.send(json.dumps({"v": 1, "type": kind, "id": self._id, **members}))

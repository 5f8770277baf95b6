"""The document read again for a sign-in (approval.md, *eidas3*): the phone proves itself, gives what opens the chip, and carries what passes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import websockets
from cryptography.hazmat.primitives.asymmetric import ec

from alicem import jose
from alicem.enrolment.seal import Seal
from alicem.phone.instruct import Device
from alicem.phone.relay import first_contact, relay
from alicem.reasons import Refused
from emrtd.errors import TagLost
from emrtd.exchange import Transmit

SUBPROTOCOL = "alicem.chip.v1"
_RECONNECTIONS = 5
_CLOSED = {
    1009: "wire_malformed",
    4400: "wire_malformed",
    4401: "instruction_refused",
    4408: "signin_expired",
    4503: "busy",
}
Message = dict[str, Any]
Observe = Callable[[str, Message], None]
LayDocument = Callable[[], Transmit]
"""Lays the document on the phone, again after it was lost."""


class DocumentReading:
    """One reading. `session`: `state` of the request; `observe(name, message)` is told of every message."""

    def __init__(
        self,
        device: Device,
        reference: str,
        session: str,
        access_key: Mapping[str, str],
        lay_document: LayDocument,
        observe: Observe = lambda *_: None,
    ) -> None:
        self._device, self._reference, self._session = device, reference, session
        self._access_key, self._lay_document, self._observe = access_key, lay_document, observe
        self._seal_key = ec.generate_private_key(ec.SECP256R1())
        self._seal: Seal | None = None
        self._transmit: Transmit | None = None
        self._sent = 0  # over all connections: it is the nonce of the seal

    async def run(self) -> None:
        """Until the chip is proven. Raises `Refused`."""
        for _ in range(_RECONNECTIONS):
            try:
                return await self._converse()
            except websockets.ConnectionClosed as closed:
                if closed.rcvd is not None and closed.rcvd.code in _CLOSED:
                    raise Refused(_CLOSED[closed.rcvd.code]) from closed
            except websockets.InvalidStatus as gone:
                raise Refused("signin_expired") from gone
        raise Refused("internal")

    async def _converse(self) -> None:
        async with websockets.connect(
            self._address(), subprotocols=[websockets.Subprotocol(SUBPROTOCOL)], proxy=None
        ) as socket:
            async for text in socket:
                message = json.loads(text)
                self._observe("server", message)
                if message["type"] == "proven":
                    return
                if message["type"] == "refused" and message["final"]:
                    raise Refused(message["reason"])
                answer = await self._answer(message)
                if answer is not None:
                    self._observe("phone", answer)
                    await socket.send(json.dumps(answer))
        raise websockets.ConnectionClosedError(None, None)

    def _address(self) -> str:
        parts = urlsplit(self._device.phone.origin)
        scheme = "wss" if parts.scheme == "https" else "ws"
        return str(urlunsplit((scheme, parts.netloc, f"/signin/chip/{self._reference}", "", "")))

    async def _answer(self, message: Message) -> Message | None:
        """What the phone says to it, if anything."""
        if message["type"] == "chip_batch" and self._transmit is not None:
            return self._sealed(*await asyncio.to_thread(relay, message, self._transmit))
        if message["type"] != "step":
            return None
        if message["name"] == "proof":
            return self._numbered("proof", proof=self._proof(message["challenge"]))
        if message["name"] == "access":
            self._seal = Seal(self._seal_key, jose.public_key(message["seal_key"]), self._session)
            return self._sealed("access_key", json.dumps(self._access_key).encode())
        return await asyncio.to_thread(self._find)

    def _find(self) -> Message:
        """The document is laid down and met; or lost again already, and then asked for anew."""
        try:
            self._transmit = self._lay_document()
            return self._sealed("chip_found", first_contact(self._transmit))
        except TagLost:
            return self._numbered("chip_lost")

    def _proof(self, challenge: str) -> str:
        device_key = self._device.phone.device_key
        payload = {
            "aud": self._device.phone.origin,
            "session": self._session,
            "challenge": challenge,
            "iat": int(self._device.clock().timestamp()),
            "seal_key": jose.public_jwk(self._seal_key.public_key()),
        }
        return jose.sign(device_key, "alicem-chip+jwt", payload, jwk=jose.public_jwk(device_key.public_key()))

    def _sealed(self, kind: str, plain: bytes) -> Message:
        assert self._seal is not None  # noqa: S101 - the chip is asked after the access key
        return self._numbered(kind, sealed=self._seal.seal(kind, self._sent + 1, plain))

    def _numbered(self, kind: str, **members: Any) -> Message:
        self._sent += 1
        return {"v": 1, "type": kind, "id": self._sent, **members}

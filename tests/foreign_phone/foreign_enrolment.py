"""The phone's half of an enrolment (enrolment.md): one WebSocket, a document, a face, a code; then the issuance."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from foreign_jose import (
    Untrusted,
    b64,
    decrypt,
    fresh_key,
    hkdf,
    jwk_of,
    pin_key,
    public_key,
    root_of,
    sign,
    unb64,
    verify_chained,
)
from foreign_person import Holder
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.typing import Subprotocol

from emrtd.errors import TagLost

PAGE = Path(__file__).parents[2] / "docs" / "protocols" / "enrolment.md"
FIRST_CONTACT = [
    (bytes.fromhex(command), allowed.split())
    for command, allowed in re.findall(
        r"^\| `([0-9A-F]{10,})`[^|]*\| `([0-9A-F ]+)` \|$", PAGE.read_text(), re.MULTILINE
    )
]
PRE_AUTHORIZED = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
FRAME_MS, EYES_MS = 100, 40

Message = dict[str, Any]
Present = Callable[[str, str], Awaitable[str]]
"""Session and challenge of step 6; the presentation with which an enrolled phone asks to continue its account."""


class EnrolmentRefused(Exception):
    """The server ended the enrolment. `reason`: a row of reasons.toml."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, repr=False)
class Enrolled:
    """What a complete enrolment leaves to the phone."""

    device_key: ec.EllipticCurvePrivateKey
    salt: bytes
    share: bytes
    account: str
    anchor: str
    credential: str
    receipt: str
    suspension_code: str
    earlier: Message | None


@dataclass(repr=False)
class Enrolment:
    """One session. `present` makes it continue the account of an enrolled phone; `keep` leaves the other phones theirs."""

    origin: str
    http: httpx.AsyncClient
    holder: Holder
    code: str
    keep: bool = False
    present: Present | None = None
    device_key: ec.EllipticCurvePrivateKey = field(default_factory=fresh_key)
    _seal_key: ec.EllipticCurvePrivateKey = field(default_factory=fresh_key)
    _reply_key: ec.EllipticCurvePrivateKey = field(default_factory=fresh_key)
    _salt: bytes = field(default_factory=lambda: os.urandom(32))
    _sealing: AESGCM | None = None
    _id: int = 0
    _heard: int = 0
    _session: str = ""
    _letters: int = 0
    _code_step: Message = field(default_factory=dict)
    _credential: str = ""
    _share: bytes = b""
    _eyes: list[int] | None = None
    _patience: int = 3

    async def run(self) -> Enrolled:
        """All seven steps. Raises `EnrolmentRefused`."""
        self._letters = len(await self.holder.letters())
        opened = (await self.http.post(f"{self.origin}/enrolment", json={})).raise_for_status().json()
        self._session = opened["session"]
        url = self.origin.replace("http", "ws", 1) + opened["url"]
        while True:
            try:
                return await self._connected(url)
            except ConnectionClosed as closed:
                if closed.rcvd is not None:
                    raise EnrolmentRefused(f"closed_{closed.rcvd.code}") from None

    async def _connected(self, url: str) -> Enrolled:
        """One connection, from its first `step`. Raises `ConnectionClosed` where the line is lost."""
        async with (
            connect(url, subprotocols=[Subprotocol("alicem.enrolment.v1")], proxy=None) as self._socket,
            contextlib.AsyncExitStack() as self._camera,
        ):
            while True:
                message = self._received(await self._socket.recv())
                if self.holder.loses_the_line(message):
                    self._socket.transport.abort()
                    raise ConnectionClosedError(None, None)  # with whatever else had come, the farewell included
                await self._answer(message)
                if message["type"] == "receipt":
                    return self._enrolled(message)

    def _received(self, text: str | bytes) -> Message:
        message: Message = json.loads(text)
        if message["v"] != 1 or message["id"] <= self._heard:
            raise Untrusted("a message out of order")
        self._heard = message["id"]
        return message

    async def _answer(self, message: Message) -> None:
        match message["type"]:
            case "step" if message.get("resume"):
                await self._send("resume", proof=self._proof("resume", message["challenge"]))
            case "step":
                await self._camera.aclose()
                await getattr(self, f"_step_{message['name']}")(message)
            case "chip_batch":
                batch = [(unb64(one["apdu"]), one["allowed"]) for one in message["commands"]]
                await self._on_chip("chip_answers", batch)
            case "action":
                self._eyes = message.get("eyes")
                self.holder.camera.perform(_unless_none(message["action"]), _steady_ms())
            case "light":
                self.holder.camera.light(_unless_none(message["colour"]), _steady_ms())
            case "refused":
                self._patience -= 1
                if message["final"] or not self._patience:
                    raise EnrolmentRefused(message["reason"])
            case "queue" | "hint" | "receipt":
                pass
            case unknown:
                raise Untrusted(f"a message of type {unknown}")

    async def _step_choose(self, step: Message) -> None:
        proof = self._proof("choose", step["challenge"], path="face", terms_version=step["terms_version"])
        await self._send("choose", path="face", language="fr", key_kind="software", proof=proof)

    async def _step_contact(self, step: Message) -> None:
        if step["email_sent"]:
            await self._send("contact", code=await self.holder.next_letter(self._letters))
        else:
            await self._send("contact", email=self.holder.persona.email)

    async def _step_document(self, step: Message) -> None:
        secret = self._seal_key.exchange(ec.ECDH(), public_key(step["seal_key"]))
        self._sealing = AESGCM(hkdf(secret, self._session.encode(), "alicem seal v1"))
        kind = self.holder.persona.document.kind
        await self._send_sealed("mrz", _json({**self.holder.access_key(), "kind": kind}))

    async def _step_chip(self, step: Message) -> None:
        await asyncio.to_thread(self.holder.lay_document)
        await self._on_chip("chip_found", FIRST_CONTACT)

    async def _step_face(self, step: Message) -> None:
        await self._send(
            "consent", biometrics=True, consent_version=step["consent_version"], without=None, colours=True
        )
        await self._send_sealed("camera", _json(self.holder.camera.about))
        filming = asyncio.create_task(self._film())
        self._camera.callback(filming.cancel)

    async def _step_code(self, step: Message) -> None:
        self._code_step = step
        challenge, pin = step["challenge"], pin_key(self.code, self._salt)
        about = {"aud": self.origin, "session": self._session, "challenge": challenge, "iat": int(time.time())}
        inner_header = {"typ": "alicem-pin+jwt", "jwk": jwk_of(pin)}
        inner = sign(pin, inner_header, {**about, "reply_key": jwk_of(self._reply_key)})
        answer = {"registration": sign(self.device_key, {"typ": "alicem-registration+jwt"}, inner)}
        if self.present is not None:
            answer["renews"] = await self.present(self._session, challenge)
            self.present = None  # refused, the enrolment goes on for an account of its own
        await self._send("code", phones="keep" if self.keep else "replace", **answer)

    async def _step_confirmation(self, step: Message) -> None:
        self._share = decrypt(step["share"], self._reply_key)
        if self._credential:
            return  # it came before the line was lost; the receipt follows
        form = {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": step["credential_offer"]["grants"][PRE_AUTHORIZED]["pre-authorized_code"]}  # fmt: skip
        token = (await self._post("token", data=form))["access_token"]
        nonce = (await self._post("nonce"))["c_nonce"]
        header = {"typ": "openid4vci-proof+jwt", "jwk": jwk_of(self.device_key)}
        proof = sign(self.device_key, header, {"aud": self.origin, "iat": int(time.time()), "nonce": nonce})
        asked = {"credential_configuration_id": "identity", "proofs": {"jwt": [proof]}}
        issued = await self._post("credential", json=asked, headers={"Authorization": f"Bearer {token}"})
        self._credential = issued["credentials"][0]["credential"]

    def _enrolled(self, message: Message) -> Enrolled:
        anchor, receipt = root_of(self._credential), message["receipt"]
        credential, _ = verify_chained(self._credential.split("~")[0], "dc+sd-jwt", anchor, time.time())
        verify_chained(receipt, "alicem-receipt+jwt", anchor, time.time())
        if credential["cnf"]["jwk"] != jwk_of(self.device_key):
            raise Untrusted("the credential is bound to another key")
        code, earlier = self._code_step["suspension_code"], self._code_step.get("earlier")
        return Enrolled(
            self.device_key,
            self._salt,
            self._share,
            message["account"],
            anchor,
            self._credential,
            receipt,
            code,
            earlier,
        )

    async def _post(self, what: str, **request: Any) -> Message:
        answer = await self.http.post(f"{self.origin}/credential/{what}", **request)
        body: Message = answer.raise_for_status().json()
        return body

    def _proof(self, purpose: str, challenge: str, **more: str) -> str:
        about = {"aud": self.origin, "session": self._session, "challenge": challenge, "iat": int(time.time())}
        header = {"typ": "alicem-enrolment+jwt", "jwk": jwk_of(self.device_key)}
        return sign(self.device_key, header, {**about, "purpose": purpose, "seal_key": jwk_of(self._seal_key), **more})

    async def _on_chip(self, kind: str, batch: list[tuple[bytes, list[str]]]) -> None:
        answers: list[bytes] = []
        try:
            await asyncio.to_thread(run_batch, batch, self.holder.transmit, answers)
        except TagLost:
            kind = "chip_lost"
        await self._send_sealed(kind, _json({"answers": [b64(one) for one in answers]}))

    async def _film(self) -> None:
        start = _steady_ms()
        for tick in range(1 << 20):
            if tick % (FRAME_MS // 20) == 0:
                now = _steady_ms()
                await self._send_sealed("frame", int(now).to_bytes(8, "big") + self.holder.camera.frame(now))
            if self._eyes and tick % (EYES_MS // 20) == 0:
                now = _steady_ms()
                await self._send_sealed("eyes", int(now).to_bytes(8, "big") + self.holder.camera.eyes(now, *self._eyes))
            await asyncio.sleep(max(0.0, (start + (tick + 1) * 20 - _steady_ms()) / 1000))

    async def _send_sealed(self, kind: str, plaintext: bytes) -> None:
        assert self._sealing is not None
        number = self._id + 1
        sealed = self._sealing.encrypt(number.to_bytes(12, "big"), plaintext, f"{kind}\n{number}".encode())
        await self._send(kind, sealed=b64(sealed))

    async def _send(self, kind: str, **members: Any) -> None:
        self._id += 1
        await self._socket.send(json.dumps({"v": 1, "type": kind, "id": self._id, **members}))


def run_batch(batch: list[tuple[bytes, list[str]]], transmit: Callable[[bytes], bytes], answers: list[bytes]) -> None:
    """Fills `answers`, up to the first that is not allowed. Raises `TagLost`."""
    for command, allowed in batch:
        answer, data = transmit(command), b""
        while answer[-2] == 0x61:
            data += answer[:-2]
            answer = transmit(bytes((command[0] & 0x03, 0xC0, 0, 0, answer[-1])))
        answers.append(data + answer)
        if answer[-2:].hex().upper() not in allowed:
            return


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _steady_ms() -> float:
    return time.monotonic() * 1000


def _unless_none(word: str) -> str | None:
    return None if word == "none" else word

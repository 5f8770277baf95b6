"""Enrolling from the Python phone: the seven steps of docs/protocols/enrolment.md, with a chip and a camera given from outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import websockets
from cryptography.hazmat.primitives.asymmetric import ec

from alicem import jose
from alicem.enrolment.seal import Seal
from alicem.phone.approve import show
from alicem.phone.code import is_trivial, pin_key
from alicem.phone.instruct import Device
from alicem.phone.relay import first_contact, relay
from alicem.phone.state import new_phone, open_vault, seal_vault
from alicem.phone.trust import anchor_of, verified
from alicem.reasons import Refused
from emrtd.exchange import Transmit

SUBPROTOCOL = "alicem.enrolment.v1"
LASTING = ("birth_family_name", "given_name", "birthdate", "birthplace_cog", "birthcountry_cog")
"""Claims that a renewed document must agree in."""
FRAME_SECONDS, EYES_SECONDS = 0.1, 0.04
_RECONNECTIONS = 5
_QUEUE = {
    "fr": ("Vous êtes la prochaine personne.", "Vous êtes à la place {} dans la file."),
    "en": ("You are next.", "You are number {} in the queue."),
}
Message = dict[str, Any]


class Camera(Protocol):
    """Someone in front of a camera, and the screen before them. Times are milliseconds of one steady clock.

    `about`: what the phone says of the camera (enrolment.md, `camera`).
    """

    about: Message

    def perform(self, action: str | None, at_ms: float) -> None: ...

    def light(self, colour: str | None, at_ms: float) -> None: ...

    def frame(self, at_ms: float) -> bytes: ...

    def eyes(self, at_ms: float, x: int, y: int, width: int, height: int) -> bytes: ...


@dataclass
class Holder:
    """The person with the phone and what they have at hand. `lay_document`: puts the chip on the phone, again after a loss."""

    email: str
    code: str
    kind: str
    number: str
    birth_date: str
    expiry_date: str
    lay_document: Callable[[], Transmit]
    camera: Camera
    read_letter: Callable[[], Awaitable[str]]
    without: str | None = None
    """The movement that the person cannot do: `smile` or `blink`."""
    colours: bool = True
    """Whether the screen may change its colour."""
    keep_phones: bool = False
    """Whether the account's other phones stay."""
    renewing: str | None = None
    """Today's code of this phone, where a renewed document is to continue its identity."""


@dataclass(frozen=True)
class Enrolled:
    """What an enrolment leaves: the signed receipt, the suspension code to write down, a demo server's measurements."""

    receipt: Message
    suspension_code: str
    measurements: Message = field(repr=False)


class RefusedAt(Refused):
    """A final refusal, with the step it came at and a demo server's measurements."""

    def __init__(self, name: str, step: str, message: Message) -> None:
        super().__init__(name, tries_left=message.get("tries_left"))
        self.step = step
        self.measurements: Message = message.get("measurements", {})


class Enrolment:
    """One enrolment. `observe(name, message)` is told of every message, for displays and transcripts."""

    def __init__(
        self, device: Device, holder: Holder, observe: Callable[[str, Message], None] = lambda *_: None
    ) -> None:
        self._device, self._holder, self._observe = device, holder, observe
        self._phone = new_phone(device.phone.origin, device.phone.language, device.rng)  # the device's when all is done
        self._seal_key = ec.generate_private_key(ec.SECP256R1())
        self._seal: Seal | None = None
        self._session: Message = {}
        self._socket: websockets.ClientConnection | None = None
        self._sent = 0
        self._step = "choose"
        self._email_sent = False
        self._transmit: Transmit | None = None
        self._film: asyncio.Task[None] | None = None
        self._eyes: asyncio.Task[None] | None = None
        self._reply_key = ec.generate_private_key(ec.SECP256R1())
        self._suspension_code = ""
        self._measurements: Message = {}
        self._credential = ""
        self._share = b""

    async def run(self) -> Enrolled:
        """Raises `RefusedAt`, or `Refused` (`session_expired`, `rate_limited`, `busy`) when the session cannot be had."""
        answer = await self._device.http.post("/enrolment", json={})
        if answer.status_code != 201:
            raise Refused("rate_limited" if answer.status_code == 429 else "busy")
        self._session = answer.json()
        for _ in range(_RECONNECTIONS):
            try:
                return await self._converse()
            except websockets.ConnectionClosed as closed:
                if closed.rcvd is not None and closed.rcvd.code >= 4000:
                    raise Refused("session_expired") from closed
            except websockets.InvalidStatus as gone:
                raise Refused("session_expired") from gone
            finally:
                self._stop_film()
        raise Refused("session_expired")

    async def _converse(self) -> Enrolled:
        async with websockets.connect(
            self._address(), subprotocols=[websockets.Subprotocol(SUBPROTOCOL)], proxy=None
        ) as socket:
            self._socket = socket
            async for text in socket:
                message = json.loads(text)
                self._observe("server", message)
                receipt = await self._handle(message)
                if receipt is not None:
                    return receipt
        raise websockets.ConnectionClosedError(None, None)

    def _address(self) -> str:
        parts = urlsplit(self._phone.origin)
        return str(urlunsplit(("wss" if parts.scheme == "https" else "ws", parts.netloc, self._session["url"], "", "")))

    async def _handle(self, message: Message) -> Enrolled | None:
        kind = message["type"]
        if kind == "step":
            self._measurements = message.get("measurements", self._measurements)
            await self._on_step(message)
        elif kind == "chip_batch":
            await self._on_batch(message)
        elif kind == "action":
            self._on_action(message)
        elif kind == "light":
            colour = message["colour"]
            self._holder.camera.light(None if colour == "none" else colour, _now_ms())
        elif kind == "refused":
            self._stop_film()
            if message["final"]:
                raise RefusedAt(message["reason"], self._step, message)
        elif kind == "receipt":
            return await self._on_receipt(message)
        return None

    async def _on_step(self, message: Message) -> None:
        if "challenge" in message and message["step"] != 6:
            await self._prove("resume" if message["resume"] else "choose", message)
        if message.get("resume"):
            return
        self._step = message["name"]
        handlers = {
            "contact": self._on_contact,
            "document": self._on_document,
            "chip": self._on_chip,
            "face": self._on_face,
            "code": self._on_code,
            "confirmation": self._on_confirmation,
        }
        if self._step in handlers:
            await handlers[self._step](message)

    async def _prove(self, purpose: str, message: Message) -> None:
        """enrolment.md, *The device key signs the session*."""
        device_key = self._phone.device_key
        payload = {
            "aud": self._phone.origin,
            "session": self._session["session"],
            "challenge": message["challenge"],
            "iat": int(self._device.clock().timestamp()),
            "purpose": purpose,
            "seal_key": jose.public_jwk(self._seal_key.public_key()),
        }
        if purpose == "choose":
            payload |= {"path": "face", "terms_version": message["terms_version"]}
        proof = jose.sign(device_key, "alicem-enrolment+jwt", payload, jwk=jose.public_jwk(device_key.public_key()))
        members = {"path": "face", "language": self._phone.language, "key_kind": "software"}
        await self._send(purpose, proof=proof, **(members if purpose == "choose" else {}))

    async def _on_contact(self, message: Message) -> None:
        if message["email_sent"]:
            await self._send("contact", code=await self._holder.read_letter())
        else:
            await self._send("contact", email=self._holder.email)

    async def _on_document(self, message: Message) -> None:
        self._seal = Seal(self._seal_key, jose.public_key(message["seal_key"]), self._session["session"])
        holder = self._holder
        lines = {
            "kind": holder.kind,
            "number": holder.number,
            "birth_date": holder.birth_date,
            "expiry_date": holder.expiry_date,
        }
        await self._send_sealed("mrz", json.dumps(lines).encode())

    async def _on_chip(self, _message: Message) -> None:
        self._transmit = self._holder.lay_document()
        await self._send_sealed("chip_found", await asyncio.to_thread(first_contact, self._transmit))

    async def _on_batch(self, message: Message) -> None:
        assert self._transmit is not None  # noqa: S101 - a batch comes after `chip_found`
        await self._send_sealed(*await asyncio.to_thread(relay, message, self._transmit))

    async def _on_face(self, message: Message) -> None:
        holder = self._holder
        said = {"without": holder.without, "colours": holder.colours}
        await self._send("consent", biometrics=True, consent_version=message["consent_version"], **said)
        await self._send_sealed("camera", json.dumps(holder.camera.about).encode())
        self._stop_film()
        self._film = asyncio.create_task(self._send_pictures("frame", FRAME_SECONDS, holder.camera.frame))

    def _on_action(self, message: Message) -> None:
        """Do it; where it says where the eyes are, these are filmed beside."""
        camera, action = self._holder.camera, message["action"]
        camera.perform(None if action == "none" else action, _now_ms())
        self._stop_eyes()
        if "eyes" in message:
            x, y, width, height = message["eyes"]
            take = partial(camera.eyes, x=x, y=y, width=width, height=height)
            self._eyes = asyncio.create_task(self._send_pictures("eyes", EYES_SECONDS, take))

    async def _send_pictures(self, kind: str, period: float, take: Callable[[float], bytes]) -> None:
        """As a camera gives them: at their own pace, never in a rush."""
        following = time.monotonic()
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                at = _now_ms()
                jpeg = await asyncio.to_thread(take, at)
                await self._send_sealed(kind, int(at).to_bytes(8, "big") + jpeg)
                following = max(following + period, time.monotonic())
                await asyncio.sleep(following - time.monotonic())

    def _stop_film(self) -> None:
        self._stop_eyes()
        if self._film is not None:
            self._film.cancel()
            self._film = None

    def _stop_eyes(self) -> None:
        if self._eyes is not None:
            self._eyes.cancel()
            self._eyes = None

    async def _on_code(self, message: Message) -> None:
        self._stop_film()
        holder, phone = self._holder, self._phone
        if is_trivial(holder.code, holder.birth_date):
            raise Refused("code_trivial")
        self._suspension_code = message["suspension_code"]
        pin = await asyncio.to_thread(pin_key, holder.code, phone.salt)
        inner = {
            "aud": phone.origin,
            "session": self._session["session"],
            "challenge": message["challenge"],
            "reply_key": jose.public_jwk(self._reply_key.public_key()),
            "iat": int(self._device.clock().timestamp()),
        }
        statement = jose.sign(pin, "alicem-pin+jwt", inner, jwk=jose.public_jwk(pin.public_key()))
        registration = jose.sign(phone.device_key, "alicem-registration+jwt", statement)
        phones = "keep" if holder.keep_phones else "replace"
        await self._send("code", registration=registration, phones=phones, **await self._renewal(message))

    async def _renewal(self, message: Message) -> dict[str, str]:
        """enrolment.md, step 6: the identity this phone holds is shown, for the new document to continue it."""
        device, code = self._device, self._holder.renewing
        if code is None or message["earlier"] is not None:
            return {}
        answer = await device.instruct(code, "renew", f"renew.{self._session['session']}".encode())
        credential = open_vault(device.phone, answer.share, device.storage.load_vault())["credential"]
        return {"renews": show(device, credential, LASTING, nonce=message["challenge"], aud=self._phone.origin)}

    async def _on_confirmation(self, message: Message) -> None:
        """The credential, over OpenID4VCI 1.0; told again after a lost line, when it is here already."""
        if self._credential:
            return
        device = self._device
        self._share = jose.decrypt(message["share"], self._reply_key)
        (grant, offered), *_ = message["credential_offer"]["grants"].items()
        form = {"grant_type": grant, "pre-authorized_code": offered["pre-authorized_code"]}
        token = (await device.http.post("/credential/token", data=form)).raise_for_status().json()["access_token"]
        nonce = (await device.http.post("/credential/nonce")).raise_for_status().json()["c_nonce"]
        proof = jose.sign(
            self._phone.device_key,
            "openid4vci-proof+jwt",
            {"aud": self._phone.origin, "iat": int(device.clock().timestamp()), "nonce": nonce},
            jwk=jose.public_jwk(self._phone.device_key.public_key()),
        )
        asked = {"credential_configuration_id": "identity", "proofs": {"jwt": [proof]}}
        headers = {"Authorization": f"Bearer {token}"}
        answer = await device.http.post("/credential/credential", json=asked, headers=headers)
        self._credential = answer.raise_for_status().json()["credentials"][0]["credential"]

    async def _on_receipt(self, message: Message) -> Enrolled:
        """Pin the authority, seal the vault, activate by a first right code."""
        device, holder, receipt = self._device, self._holder, message["receipt"]
        anchor = anchor_of(receipt, "alicem-receipt+jwt")
        payload, _leaf = verified(receipt, "alicem-receipt+jwt", anchor, device.clock())
        device.phone = replace(self._phone, anchor=anchor, account=message["account"])
        device.storage.save(device.phone)
        access = {"number": holder.number, "birth_date": holder.birth_date, "expiry_date": holder.expiry_date}
        content = {"credential": self._credential, "access_key": access, "receipt": receipt, "history": []}
        device.storage.save_vault(seal_vault(device.phone, self._share, content, device.rng))
        await device.instruct(holder.code, "activate", receipt.encode())
        return Enrolled(payload, self._suspension_code, self._measurements)

    async def _send(self, kind: str, **members: Any) -> None:
        assert self._socket is not None  # noqa: S101 - only within `_converse`
        self._sent += 1
        message = {"v": 1, "type": kind, "id": self._sent, **members}
        self._observe("phone", message)
        await self._socket.send(json.dumps(message))

    async def _send_sealed(self, kind: str, plain: bytes) -> None:
        assert self._seal is not None  # noqa: S101 - made at step 3
        await self._send(kind, sealed=self._seal.seal(kind, self._sent + 1, plain))


def queue_text(position: int, language: str) -> str:
    """What a phone shows of `queue`. `language`: `fr` or `en`."""
    following, later = _QUEUE[language]
    return following if position == 1 else later.format(position)


def _now_ms() -> float:
    return time.monotonic() * 1000

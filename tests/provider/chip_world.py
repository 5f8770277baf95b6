"""A provider that reads documents again, people with documents to lay on their phones, and a phone of the tests that does wrong on demand."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx
import websockets
from cryptography.hazmat.primitives.asymmetric import ec
from provider_world import Browser, Person, World, enrol, fresh_device
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from alicem import jose, provider
from alicem.demo import personas
from alicem.demo.specimen import SpecimenState
from alicem.enrolment.children import CHIP, nursery
from alicem.enrolment.pool import Pool
from alicem.enrolment.seal import Seal
from alicem.evidence import Level
from alicem.phone import approve as phone_approve
from alicem.phone.relay import first_contact, relay
from alicem.reasons import Refused
from alicem.web.pages import Pages
from emrtd.authenticity import prove_chip
from emrtd.exchange import Transmit, run
from emrtd.keys import MrzKey
from emrtd.passive import passive_authentication
from emrtd.pki.trust import TrustStore
from emrtd.reading import read_document
from emrtd.softchip import ChipDocument, SoftChip
from emrtd.softchip.personalise import zone_date

JPEG = b"\xff\xd8\xff\xe0 nobody looks at it here"
HIGH = {"software": "high", "webcrypto": "substantial"}


@cache
def specimen_state(name: str) -> SpecimenState:
    return SpecimenState.make(datetime.now(UTC) - timedelta(days=30), secrets.token_bytes)


@dataclass(frozen=True)
class Document:
    """A document in somebody's pocket: what is printed on it, its chip, the key the chip proves."""

    access_key: Mapping[str, str]
    chip: ChipDocument = field(repr=False)
    chip_key: bytes

    def laid(self) -> Transmit:
        return SoftChip(self.chip, secrets.token_bytes).transmit


def document_of(name: str, state: str = "trusted") -> Document:
    """A new document of a persona, of the State that the provider trusts or of another."""
    persona, at = personas.load()[name], datetime.now(UTC)
    chip = specimen_state(state).personalise(persona, at=at, rng=secrets.token_bytes, portrait=JPEG)
    printed = persona.document
    access_key = {
        "number": printed.number,
        "birth_date": zone_date(printed.born),
        "expiry_date": f"{printed.expiry_date:%y%m%d}",
    }
    return Document(access_key, chip, key_of(chip, access_key, state))


def key_of(chip: ChipDocument, access_key: Mapping[str, str], issuer: str) -> bytes:
    access = MrzKey(access_key["number"], access_key["birth_date"], access_key["expiry_date"])
    reading = read_document(access, rng=secrets.token_bytes, files=(14, 15))
    raw = run(reading, SoftChip(chip, secrets.token_bytes).transmit)
    state = specimen_state(issuer)
    document = passive_authentication(raw, TrustStore.of([state.authority], [state.revocations]), at=datetime.now(UTC))
    prove_chip(document, raw)
    assert document.chip_key is not None
    return document.chip_key


def reading(world: World, **limits: Any) -> World:
    """The provider of the world, with documents read again at sign-ins. `close_chips` ends it."""
    trust = world.folder / "trust"
    specimen_state("trusted").save_trust(trust)
    settings = replace(world.settings, limits=replace(world.settings.limits, **limits))
    asked = replace(settings.limits, session_processes=settings.limits.sign_in_chips)
    pool = Pool(nursery(trust, shared=True, program=CHIP), trust, asked)
    clients = provider.load(settings.service.clients)
    room = provider.Provider(
        settings, world.store, world.ring, clients, world.clock, secrets.token_bytes, Pages(), pool
    )

    async def close(_request: Request) -> Response:
        await pool.close()
        return Response()

    assert world.served.app is not None
    routes = [*provider.routes(room), Route("/close-chips", close), Mount("/", world.served.app)]
    world.served.app = Starlette(routes=routes)
    return world


def close_chips(world: World) -> None:
    httpx.get(f"{world.origin}/close-chips", timeout=20)


def enrolled_with(world: World, document: Document, **more: Any) -> Person:
    known = {"level": Level.HIGH, "chip_key": document.chip_key, "access_key": document.access_key}
    return enrol(world, **{**known, **more})


def approve_with(person: Person, browser: Browser, lay: Callable[[], Transmit] | None) -> str:
    """As `provider_world.approve`, with a document. What the phone was told."""

    async def answer() -> str:
        device = fresh_device(person)
        try:
            asked = await phone_approve.fetch(device, browser.link)
            await phone_approve.approve(device, asked, browser.number, person.code, lay)
        except Refused as refused:
            return refused.reason.name
        finally:
            await device.http.aclose()
        return "done"

    return asyncio.run(answer())


async def approved(person: Person, browser: Browser) -> str:
    """Only the instruction: the request object that it is for."""
    device = fresh_device(person)
    try:
        asked = await phone_approve.fetch(device, browser.link)
        await device.instruct(person.code, "approve", f"{asked.token}.{browser.number}".encode())
        return asked.token
    finally:
        await device.http.aclose()


@dataclass
class Wire:
    """A connection at `/signin/chip/REF`, by hand. What is None is as the protocol says."""

    socket: Any
    person: Person
    session: str
    seal_key: ec.EllipticCurvePrivateKey
    sent: int = 0
    seal: Seal | None = None

    async def hear(self) -> dict[str, Any]:
        return dict(json.loads(await asyncio.wait_for(self.socket.recv(), 20)))

    async def until(self, name: str) -> dict[str, Any]:
        """The next message of this type, or step of this name."""
        while True:
            message = await self.hear()
            if name in (message["type"], message.get("name")):
                return message

    async def say(self, kind: str, **members: Any) -> None:
        self.sent += 1
        await self.socket.send(json.dumps({"v": 1, "type": kind, "id": self.sent, **members}))

    async def say_sealed(self, kind: str, plain: bytes) -> None:
        assert self.seal is not None
        await self.say(kind, sealed=self.seal.seal(kind, self.sent + 1, plain))

    async def prove(self, key: ec.EllipticCurvePrivateKey | None = None, **changes: Any) -> None:
        challenge = (await self.until("proof"))["challenge"]
        key = key or self.person.device.phone.device_key
        payload = {
            "aud": self.person.device.phone.origin,
            "session": self.session,
            "challenge": challenge,
            "seal_key": jose.public_jwk(self.seal_key.public_key()),
            **changes,
        }
        proof = jose.sign(key, "alicem-chip+jwt", payload, jwk=jose.public_jwk(key.public_key()))
        await self.say("proof", proof=proof)

    async def give(self, access_key: Mapping[str, str]) -> None:
        step = await self.until("access")
        self.seal = Seal(self.seal_key, jose.public_key(step["seal_key"]), self.session)
        await self.say_sealed("access_key", json.dumps(access_key).encode())

    async def find(self, transmit: Transmit) -> dict[str, Any]:
        """Lay the document down; the step that asked for it."""
        step = await self.until("chip")
        await self.say_sealed("chip_found", first_contact(transmit))
        return step

    async def carry(self, transmit: Transmit, most: int = 20) -> dict[str, Any]:
        """Batches, until something else is said."""
        for _ in range(most):
            message = await self.hear()
            while message["type"] == "hint":
                message = await self.hear()
            if message["type"] != "chip_batch":
                return message
            await self.say_sealed(*relay(message, transmit))
        return {}


def connect(world: World, browser: Browser) -> Any:
    address = f"{world.origin.replace('http', 'ws', 1)}/signin/chip/{browser.link.partition('#')[2]}"
    return websockets.connect(address, subprotocols=[websockets.Subprotocol("alicem.chip.v1")], proxy=None)


def wire_of(socket: Any, person: Person, token: str) -> Wire:
    session = str(jose.unpack(token, "oauth-authz-req+jwt").json()["state"])
    return Wire(socket, person, session, ec.generate_private_key(ec.SECP256R1()))


def stored(world: World) -> bytes:
    """All that the provider has on disk but its trust and people's phones."""
    files = (file for file in world.folder.rglob("*") if file.is_file())
    return b"".join(
        file.read_bytes() for file in files if not {"trust", "phone"} & {file.parent.name.rstrip("0123456789")}
    )

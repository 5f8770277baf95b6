"""A phone that says what a test wants: the enrolment WebSocket by hand."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from alicem import jose
from alicem.demo.town import Town
from alicem.enrolment.seal import Seal

SUBPROTOCOL = "alicem.enrolment.v1"
Message = dict[str, Any]


class Wire:
    """One session and its current connection."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.http = httpx.Client(base_url=town.alicem, trust_env=False)
        self.session: Message = self.http.post("/enrolment", json={}).raise_for_status().json()
        self.device_key = ec.generate_private_key(ec.SECP256R1())
        self.seal_key = ec.generate_private_key(ec.SECP256R1())
        self.sent = 0
        self.socket: ClientConnection
        self.seal: Seal | None = None

    @contextmanager
    def connected(self, **changes: Any) -> Iterator[Wire]:
        address = self.town.alicem.replace("http", "ws", 1) + self.session["url"]
        options: dict[str, Any] = {"subprotocols": [SUBPROTOCOL], "proxy": None} | changes
        with connect(address, **options) as self.socket:
            yield self

    def hear(self, *kinds: str) -> Message:
        """The next message of one of these types; others are passed over."""
        while True:
            message: Message = json.loads(self.socket.recv(timeout=30))
            if not kinds or message["type"] in kinds:
                return message

    def say(self, kind: str, **members: Any) -> None:
        self.sent += 1
        self.socket.send(json.dumps({"v": 1, "type": kind, "id": self.sent, **members}))

    def say_sealed(self, kind: str, plain: bytes) -> None:
        assert self.seal is not None
        self.say(kind, sealed=self.seal.seal(kind, self.sent + 1, plain))

    def proof(self, challenge: str, purpose: str = "choose", **changes: Any) -> str:
        key = changes.pop("device_key", self.device_key)
        typ = changes.pop("typ", "alicem-enrolment+jwt")
        payload = {
            "aud": self.town.alicem,
            "session": self.session["session"],
            "challenge": challenge,
            "iat": int(time.time()),
            "purpose": purpose,
            "seal_key": jose.public_jwk(self.seal_key.public_key()),
            "path": "face",
            "terms_version": self.session["terms_version"],
        } | changes
        return jose.sign(key, typ, payload, jwk=jose.public_jwk(key.public_key()))

    def choose(self, **changes: Any) -> Message:
        """Through step 1; the answer."""
        step = self.hear("step")
        self.say("choose", language="fr", key_kind="software", proof=self.proof(step["challenge"], **changes))
        return self.hear("step", "refused")

    def resume(self, **changes: Any) -> None:
        step = self.hear("step")
        assert step["resume"] is True
        self.say("resume", proof=self.proof(step["challenge"], "resume", **changes))

    def letter(self, address: str) -> str:
        for _ in range(50):
            letters = httpx.get(f"{self.town.stage}/letters", params={"to": address}, trust_env=False).json()["letters"]
            if letters:
                break
            time.sleep(0.1)
        digits: str = "".join(character for character in letters[0]["text"] if character.isdigit())[:6]
        return digits

    def contact(self, address: str) -> None:
        """Through step 2."""
        self.say("contact", email=address)
        assert self.hear("step")["email_sent"] is True
        self.say("contact", code=self.letter(address))
        self.document_step(self.hear("step", "refused"))

    def prove_address(self) -> None:
        """Step 2 with an address of its own, without waiting for what follows."""
        address = f"{secrets.token_hex(6)}@courriel.example"
        self.say("contact", email=address)
        assert self.hear("step")["email_sent"] is True
        self.say("contact", code=self.letter(address))

    def document_step(self, message: Message) -> None:
        """Step 3 names the process's key."""
        assert message.get("step") == 3, message
        self.seal = Seal(self.seal_key, jose.public_key(message["seal_key"]), self.session["session"])

    def stop(self) -> None:
        """End the session, so that it keeps no process from others."""
        self.say("cancel")
        self.closed()

    def closed(self) -> int:
        """The close code; everything said before is passed over."""
        try:
            while True:
                self.socket.recv(timeout=30)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006

"""A real issuer on a loopback port, with offers as an enrolment would make them."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette

from alicem import jose, keys
from alicem.credential import Offer, Offers
from alicem.credential import endpoints as credential_endpoints
from alicem.credential.endpoints import Credentials
from alicem.credential.metadata import CONFIGURATION, GRANT
from alicem.evidence import CivilIdentity, DocumentFacts, Evidence, Gender, Level, PartialDate
from alicem.evidence import Path as EnrolmentPath
from alicem.keys import KeyRing
from alicem.settings import Database, Keys, Mail, Registry, Service, Settings, Trust
from alicem.store import Store, upgrade
from alicem.web.server import listening_at

HOLDER = ec.generate_private_key(ec.SECP256R1())


@dataclass
class World:
    """`issued`: status indices of what was issued."""

    origin: str
    room: Credentials
    issued: list[int] = field(default_factory=list)

    @property
    def ring(self) -> KeyRing:
        return self.room.ring

    @property
    def store(self) -> Store:
        return self.room.store

    def code(self, **changes: Any) -> str:
        """A pre-authorized code for Zoë."""
        return self.room.offers.add(
            Offer(evidence(**changes), HOLDER.public_key(), lambda _, index: self.issued.append(index), lambda: None)
        )

    def offer(self, code: str) -> dict[str, Any]:
        return {
            "credential_issuer": self.origin,
            "credential_configuration_ids": [CONFIGURATION],
            "grants": {GRANT: {"pre-authorized_code": code}},
        }


def evidence(**changes: Any) -> Evidence:
    identity = {
        "family_name": "Nguyễn",
        "given_names": "Zoë Marie",
        "preferred_username": "Trần",
        "birthdate": PartialDate(1988, 5, 17),
        "gender": Gender.FEMALE,
        "birthplace_cog": "75107",
        "birthcountry_cog": "99100",
        "nationality": "VNM",
    } | changes
    facts = DocumentFacts("passport", "FRA", date(2034, 11, 2), b"k" * 32, "BAC", "f:1")
    now = datetime.now(UTC)
    return Evidence(
        EnrolmentPath.FACE, Level.HIGH, CivilIdentity(**identity), facts, "z@a.example", (), "1", None, (), now, True
    )


def private_jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    scalar = key.private_numbers().private_value.to_bytes(32, "big")
    return {**jose.public_jwk(key.public_key()), "d": jose.b64(scalar)}


@contextmanager
def issuing_world(folder: Path, url: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Iterator[World]:
    (listener,) = listening_at("127.0.0.1:0")
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    ring = keys.create(folder / "keys.bin", b"m" * 32, now=clock(), rng=secrets.token_bytes, host="127.0.0.1")
    store = Store(url)
    upgrade(store.engine)
    settings = Settings(
        service=Service(profile="development", origin=origin),
        database=Database(url=url),
        keys=Keys(file=folder / "keys.bin"),
        trust=Trust(folder=folder, specimen=True),
        registry=Registry(url="http://127.0.0.1:9", token_file=folder / "none"),
        mail=Mail(host="127.0.0.1", port=9, sender="alicem@example.org", tls="none"),
    )
    room = Credentials(settings, store, ring, Offers(clock, os.urandom), clock, os.urandom)
    app = Starlette(routes=credential_endpoints.routes(room))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield World(origin, room)
    server.should_exit = True
    thread.join()
    store.close()

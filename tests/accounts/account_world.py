"""A store, keys, instructions and phones without HTTP: what the tests of accounts and credential share."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import secrets
from collections.abc import Callable, Coroutine
from copy import copy
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from alicem import jose, keys
from alicem.accounts import NewAccount, create, records, suspension
from alicem.accounts.effects import Outcome
from alicem.accounts.instruction import Instructions
from alicem.accounts.states import JOURNAL, State, after
from alicem.credential import allocate
from alicem.enrolment import receipts
from alicem.evidence import Check, CivilIdentity, DocumentFacts, Evidence, Gender, Level, PartialDate
from alicem.evidence import Path as EnrolmentPath
from alicem.keys import KeyRing
from alicem.phone import code as phone_code
from alicem.store import Store, metadata

ORIGIN = "http://localhost:8000"
pin_key = functools.lru_cache(4096)(phone_code.pin_key)
"""Stretched once for each code and salt: that is the phone's cost, and most of a test's."""
CODE, WRONG = "482915", "482916"


class Clock:
    """A time that only moves when told."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **kwargs: float) -> None:
        self.at += timedelta(**kwargs)


def evidence_of(number: str = "24AB12345", **changes: Any) -> Evidence:
    identity = {
        "family_name": "Lefèvre",
        "given_names": "Zoë Marie",
        "preferred_username": "Martin",
        "birthdate": PartialDate(1988, 5, 17),
        "gender": Gender.FEMALE,
        "birthplace_cog": "29019",
        "birthcountry_cog": "99100",
        "nationality": "FRA",
    } | changes
    return Evidence(
        path=EnrolmentPath.FACE,
        level=Level.SUBSTANTIAL,
        identity=CivilIdentity(**identity),
        document=DocumentFacts("passport", "FRA", date(2034, 11, 2), b"k" * 32, "BAC", f"test:{number}"),
        email="zoe@courriel.example",
        checks=(Check("passive_authentication", "ICAO 9303-11 §5.1", datetime(2026, 11, 21, tzinfo=UTC)),),
        terms_version="2026-11",
        biometrics_consent_at=None,
        agents=(),
        registry_checked_at=datetime(2026, 11, 21, tzinfo=UTC),
        specimen=True,
    )


@dataclass
class TestPhone:
    """A phone that can also misbehave: any sequence number, any key, any challenge."""

    __test__ = False
    world: World
    device_key: ec.EllipticCurvePrivateKey
    salt: bytes
    sequence: int = 0

    def sign(self, code: str = CODE, purpose: str = "open", about: bytes = b"", **changes: Any) -> str:
        """An instruction. `changes` replace members of the inner statement; `device_key` another outer signer."""
        device_key = changes.pop("device_key", self.device_key)
        if "sequence" not in changes:
            self.sequence += 1
        inner = {
            "aud": ORIGIN,
            "challenge": changes.pop("challenge", None) or self.world.challenge(),
            "sequence": self.sequence,
            "purpose": purpose,
            "request": jose.b64(hashlib.sha256(about).digest()),
            "reply_key": jose.public_jwk(self.device_key.public_key()),
            "iat": int(self.world.clock().timestamp()),
        } | changes
        statement = jose.sign(pin_key(code, self.salt), "alicem-pin+jwt", inner)
        kid = jose.thumbprint(self.device_key.public_key())
        return jose.sign(device_key, "alicem-instruction+jwt", statement, kid=kid)

    def instruct(self, code: str = CODE, purpose: str = "open", about: bytes = b"", **changes: Any) -> Outcome:
        return self.world.perform(self.sign(code, purpose, about, **changes))

    def share(self, outcome: Outcome) -> bytes:
        return jose.decrypt(outcome.body["share"], self.device_key)


class World:
    """One provider's accounts, in the migrated database of `url`."""

    def __init__(self, url: str, folder: Path) -> None:
        self.clock = Clock()
        self.ring: KeyRing = keys.create(
            folder / "keys.bin", b"m" * 32, now=self.clock(), rng=secrets.token_bytes, host="localhost"
        )
        self.serve(Store(url))

    def again(self, store: Store) -> World:
        """Another server of the same provider, with a store of its own."""
        other = copy(self)
        other.serve(store)
        return other

    def serve(self, store: Store) -> None:
        self.store = store
        self.instructions = Instructions(
            self.store,
            self.ring,
            ORIGIN,
            self.clock,
            secrets.token_bytes,
            lambda at: receipts.closing(self.ring, ORIGIN, at),
        )

    def await_(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(work)

    def do(self, work: Callable[[Any], Any]) -> Any:
        """Run a function over a connection, durably."""
        return self.await_(self.store.write(work))

    def challenge(self) -> str:
        return self.instructions.challenge()

    def perform(self, instruction: str, assertion: Any = None) -> Outcome:
        outcome: Outcome = self.await_(self.instructions.perform(instruction, assertion))
        return outcome

    def enrol(
        self,
        number: str = "24AB12345",
        suspension_code: str = "0" * 20,
        activate: bool = True,
        code: str = CODE,
        **more: Any,
    ) -> TestPhone:
        """An account with one phone, or another phone of this document's account; active unless told otherwise. `more`: of `NewAccount`."""
        phone = TestPhone(self, ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(32))
        new = NewAccount(
            evidence_of(number),
            phone.device_key.public_key(),
            more.pop("key_kind", "software"),
            more.pop("passkey", None),
            pin_key(code, phone.salt).public_key(),
            secrets.token_bytes(32),
            suspension_code,
            **({"fingerprints": (f"test:{number}",)} | more),
        )
        self.do(
            lambda c: create(
                c, new, allocate(c, secrets.token_bytes), ring=self.ring, now=self.clock(), rng=secrets.token_bytes
            )
        )
        if activate:
            assert phone.instruct(code, purpose="activate", about=b"receipt").status == 200
        return phone

    def suspend(self, code: str) -> bool:
        """As the website does; whether an account has this code."""
        return bool(self.do(lambda c: suspension.suspend(c, code, self.clock(), secrets.token_bytes)))

    def row(self, phone: TestPhone) -> Any:
        thumbprint = jose.thumbprint(phone.device_key.public_key())
        return self.do(lambda c: records.phone_by_thumbprint(c, thumbprint))

    def state(self, phone: TestPhone) -> str:
        return str(self.row(phone).state)

    def events(self) -> list[str]:
        return [row.event for row in self.do(lambda c: c.exec_driver_sql("select event from journal").all())]

    def told_by_journal(self) -> dict[int, str]:
        """The state of every account, from the journal alone: what was told of it, event by event."""
        states: dict[int, State | None] = {}
        events = {name: event for event, name in JOURNAL.items()}
        rows = self.do(
            lambda c: c.exec_driver_sql(
                "select event, account from journal where account is not null order by number"
            ).all()
        )
        for name, account in rows:
            if name in events:
                states[account] = after(states.get(account), events[name])
        return {account: str(state) for account, state in states.items()}

    def dump(self) -> str:
        """Every value of every table."""
        rows = {
            table.name: [list(map(str, row)) for row in self.do(lambda c, t=table: c.execute(t.select()).all())]
            for table in metadata.sorted_tables
        }
        return json.dumps(rows, ensure_ascii=False)

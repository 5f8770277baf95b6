"""Kill the process that serves phones, at random moments, many times; after each death hold the database against what was acknowledged.

    python tests/accounts/killing.py URL KILLS SEED
    python tests/accounts/killing.py crash KILLS SEED

Every round forks a process that opens the database and serves several phones at once, each its own sequence of instructions, while journal rows are
sealed; it is killed (SIGKILL) at a moment drawn at random, from its first step to after its last. With `crash` it is a PostgreSQL of its own that ends at that
moment, without finishing anything, and recovers. Then:

- no account is half-made: the journal, read from its beginning, gives the state of every account, each has its phones, each phone its status;
- no try is uncounted: what a phone has used is what was acknowledged, plus the instruction under way where that was reached;
- no acknowledged change is lost: state, code, suspension code, phones;
- the journal's seals hold.

What was under way is sent again in the next round, unchanged, and must come to the one outcome it can have.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from account_world import CODE, ORIGIN, TestPhone, evidence_of, pin_key
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, select

import postgres
from alicem import jose, journal, keys
from alicem.accounts import NewAccount, at_rest, challenges, create, suspension
from alicem.accounts.instruction import Instructions
from alicem.accounts.states import JOURNAL, STATUS, State, after
from alicem.accounts.tables import accounts, phones
from alicem.credential import allocate
from alicem.credential.records import statuses
from alicem.journal.records import journal as journal_rows
from alicem.keys import KeyRing
from alicem.store import Store, upgrade
from alicem.store.engine import connect

PHONES, INSTRUCTIONS = 6, 4
LONGEST = {"sqlite": 0.12, "postgresql": 0.2}
"""Seconds a round may take: until a process has connected and done everything, and a little more."""
SALTS = [bytes([number]) * 32 for number in range(4)]
"""A few salts for all phones: stretching a code is not what is killed here."""
OTHER_CODE, WRONG = "731906", "204961"
LAST = ("adopt", "change", "suspend", "close")
"""What comes after one of these depends on its answer."""


class Broken(Exception):
    """The database does not hold what was acknowledged; the message says what."""


@dataclass
class Owner(TestPhone):
    """A phone, and what its owner knows was acknowledged."""

    __test__ = False
    code: str = CODE
    used: int = 0
    state: str = "absent"
    suspension_code: str = ""
    pending: Deed | None = None
    changing: bytes | None = None
    """The salt of a code whose first phase was acknowledged."""


@dataclass
class Deed:
    """One thing to do: an instruction, or enrolling."""

    owner: Owner
    purpose: str
    token: str = ""
    sequence: int = 0
    right: bool = True
    salt: bytes = b""
    suspension_code: str = ""


@dataclass
class Town:
    """All that outlives a killed process: keys and phones."""

    url: str
    ring: KeyRing
    rng: random.Random
    owners: list[Owner] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def clock(self) -> datetime:
        return datetime.now(UTC)

    def challenge(self) -> str:
        return challenges.draw(
            self.ring.secret("transaction", self.clock()).value, int(time.time()), secrets.token_bytes
        )

    def owner(self) -> Owner:
        key = ec.generate_private_key(ec.SECP256R1())
        return Owner(self, key, self.rng.choice(SALTS), suspension_code=suspension.draw(secrets.token_bytes))  # type: ignore[arg-type]

    # --- what phones do next ---

    def plan(self, owner: Owner) -> list[Deed]:
        """What is pending first; then, as long as the outcomes can be foreseen, more."""
        if owner.pending is not None:
            return [owner.pending]
        if owner.state == "absent":
            return [Deed(owner, "enrol")]
        if owner.state == "enrolled":
            return [self.sign(owner, "activate", b"receipt")]
        if owner.state == "suspended":
            return [self.sign(owner, "close", b"close")]
        deeds = [self.next(owner, owner.used)]
        while len(deeds) < INSTRUCTIONS and deeds[-1].purpose not in LAST and self.rng.random() < 0.7:
            deeds.append(self.next(owner, owner.used + sum(not deed.right for deed in deeds)))
        return deeds

    def next(self, owner: Owner, wrong: int) -> Deed:
        """`wrong`: codes that may be wrong by then; a fourth would begin a pause, whose end nobody waits for here."""
        if owner.changing is not None:
            return self.adopt(owner)
        kind = self.rng.choices(
            ("open", "wrong", "approve", "change", "suspension_code", "suspend", "close"), (4, 3, 4, 3, 2, 1, 1)
        )[0]
        if kind == "wrong" and wrong < 2:
            return self.sign(owner, "open", b"", WRONG, right=False)
        if kind == "approve":
            return self.sign(owner, "approve", secrets.token_bytes(8))
        if kind == "change":
            return self.change(owner)
        if kind == "suspension_code":
            drawn = suspension.draw(secrets.token_bytes)
            deed = self.sign(owner, kind, b"alicem suspension v1" + drawn.encode())
            deed.suspension_code = drawn
            return deed
        if kind in ("suspend", "close"):
            return self.sign(owner, kind, kind.encode())
        return self.sign(owner, "open", b"")

    def sign(
        self, owner: Owner, purpose: str, about: bytes, code: str = "", *, right: bool = True, **more: Any
    ) -> Deed:
        token = owner.sign(code or owner.code, purpose, about, **more)
        return Deed(owner, purpose, token, owner.sequence, right)

    def change(self, owner: Owner) -> Deed:
        salt, challenge = self.rng.choice([one for one in SALTS if one != owner.salt]), self.challenge()
        pin = pin_key(self.new_code(owner), salt)
        said = {"aud": ORIGIN, "challenge": challenge}
        statement = jose.sign(pin, "alicem-new-pin+jwt", said, jwk=jose.public_jwk(pin.public_key()))
        deed = self.sign(owner, "change", statement.encode(), pin_key=statement, challenge=challenge)
        deed.salt = salt
        return deed

    def adopt(self, owner: Owner) -> Deed:
        today, owner.salt = owner.salt, owner.changing or b""
        deed = self.sign(owner, "adopt", b"adopt", self.new_code(owner))
        deed.salt, owner.salt = owner.salt, today
        return deed

    def new_code(self, owner: Owner) -> str:
        return OTHER_CODE if owner.code == CODE else CODE

    # --- what was acknowledged ---

    def believe(self, deed: Deed, outcome: str) -> None:
        """An answer arrived: from here on it may not be otherwise."""
        owner = deed.owner
        owner.pending = None
        self.seen[f"{deed.purpose} {outcome}"] += 1
        if deed.purpose == "enrol":
            owner.state = "enrolled"
            return
        if deed.purpose == "close" and outcome in ("done", "instruction_refused"):
            owner.state = "closed"  # refused: sent again, and the account is gone
            return
        if not deed.right:
            expect(outcome == "code_wrong", f"a wrong code was answered {outcome}")
            owner.used += 1
            return
        expect(outcome == "done", f"{deed.purpose} with the right code was answered {outcome}")
        owner.used = 0
        if deed.purpose != "adopt":
            owner.changing = deed.salt or None
        BELIEFS.get(deed.purpose, lambda *_: None)(owner, deed)


def _activated(owner: Owner, _deed: Deed) -> None:
    owner.state = "active"


def _suspended(owner: Owner, _deed: Deed) -> None:
    owner.state = "suspended"


def _adopted(owner: Owner, deed: Deed) -> None:
    owner.code, owner.salt, owner.changing = (OTHER_CODE if owner.code == CODE else CODE), deed.salt, None


def _another_suspension_code(owner: Owner, deed: Deed) -> None:
    owner.suspension_code = deed.suspension_code


BELIEFS: dict[str, Callable[[Owner, Deed], None]] = {
    "activate": _activated,
    "suspend": _suspended,
    "adopt": _adopted,
    "suspension_code": _another_suspension_code,
}


# --- the process that dies ---


def serve(town: Town, plans: list[list[Deed]], acks: int) -> None:
    """Do everything, telling each outcome; run in a forked process."""
    store = Store(town.url)
    instructions = Instructions(store, town.ring, ORIGIN, town.clock, secrets.token_bytes, lambda _at: "receipt")

    async def follow(plan: list[Deed]) -> None:
        for deed in plan:
            if deed.purpose == "enrol":
                await store.write(lambda c, owner=deed.owner: enrol(c, town, owner))
                outcome = "done"
            else:
                outcome = str((await instructions.perform(deed.token)).body["outcome"])
            os.write(acks, json.dumps([town.owners.index(deed.owner), deed.sequence, outcome]).encode() + b"\n")

    async def seal() -> None:
        while True:
            await store.write(lambda c: journal.seal(c, town.ring.signing("journal", town.clock()), town.clock()))
            await asyncio.sleep(0.01)

    async def everything() -> None:
        sealing = asyncio.create_task(seal())
        await asyncio.gather(*map(follow, plans))
        sealing.cancel()

    asyncio.run(everything())
    store.close()


def enrol(connection: Connection, town: Town, owner: Owner) -> None:
    name = f"test:{jose.thumbprint(owner.device_key.public_key())}"
    new = NewAccount(
        evidence_of(),
        owner.device_key.public_key(),
        "software",
        None,
        pin_key(owner.code, owner.salt).public_key(),
        secrets.token_bytes(32),
        owner.suspension_code,
        (name,),
    )
    if connection.execute(select(accounts.c.number).where(accounts.c.fingerprint == name)).first() is None:
        index = allocate(connection, secrets.token_bytes)
        create(connection, new, index, ring=town.ring, now=town.clock(), rng=secrets.token_bytes)


def one_round(town: Town, dies: float, crash: Callable[[], None]) -> None:
    """Fork, let live for `dies` seconds, crash the database, kill, read what was acknowledged."""
    if len(town.owners) < PHONES or town.rng.random() < 0.1:
        town.owners = [one for one in town.owners if one.state != "closed"]
        town.owners += [town.owner() for _ in range(PHONES - len(town.owners) + 1)]
    plans = [town.plan(owner) for owner in town.owners if owner.state != "closed"]
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what it says of a database that went away is expected
        try:
            serve(town, plans, writing)
        finally:
            os._exit(0)
    os.close(writing)
    time.sleep(dies)
    crash()
    os.kill(child, signal.SIGKILL)
    told = b""
    while piece := os.read(reading, 65536):
        told += piece
    os.close(reading)
    os.waitpid(child, 0)
    _take_in(town, plans, told)


def _take_in(town: Town, plans: list[list[Deed]], told: bytes) -> None:
    deeds = {(town.owners.index(one.owner), one.sequence): one for plan in plans for one in plan}
    for line in told.split(b"\n")[:-1]:
        index, sequence, outcome = json.loads(line)
        town.believe(deeds.pop((index, sequence)), outcome)
    for (
        plan
    ) in plans:  # the first that was not answered is under way or was never begun; those after it were never sent
        left = [one for one in plan if deeds.get((town.owners.index(one.owner), one.sequence)) is one]
        if left and left[0].owner.state != "closed":
            left[0].owner.pending = left[0]
            left[0].owner.sequence = left[0].sequence


# --- what must hold ---


def examine(town: Town, connection: Connection) -> None:
    """Raises `Broken`."""
    rows = {
        row.thumbprint: row
        for row in connection.execute(select(phones, accounts.c.state, accounts.c.suspension).join(accounts))
    }
    _check_accounts(connection)
    for owner in town.owners:
        row = rows.get(jose.thumbprint(owner.device_key.public_key()))
        under_way = owner.pending is not None
        if row is None:
            gone = owner.state in ("absent", "closed") or (under_way and owner.pending.purpose == "close")  # type: ignore[union-attr]
            expect(gone, f"a phone that was acknowledged as {owner.state} is not there")
            continue
        expect(owner.state != "closed", "an account that was closed is there")
        if owner.state == "absent":
            expect(under_way, "an account that nobody asked for")
            continue
        _check_phone(town, owner, row)
    journal.verify(connection, town.ring.signing_all("journal"))


def _check_phone(town: Town, owner: Owner, row: Any) -> None:
    reached = owner.pending is not None and row.sequence == owner.pending.sequence
    last = owner.pending.sequence - 1 if owner.pending is not None else owner.sequence
    expect(reached or row.sequence == last, f"sequence {row.sequence} after {last}")
    may_have_used = (
        {owner.used + 1} | ({0} if owner.pending and owner.pending.right else set()) if reached else {owner.used}
    )
    expect(row.used in may_have_used, f"{row.used} tries used, not {may_have_used}")
    purpose = owner.pending.purpose if reached and owner.pending else ""
    expect(
        row.state == owner.state or (purpose in ("activate", "suspend") and row.state in ("active", "suspended")),
        f"{row.state}, not {owner.state}",
    )
    pin = json.loads(at_rest.unprotect(town.ring, row.thumbprint, "pin_key", row.pin_key))
    codes = [(owner.code, owner.salt)]
    if purpose == "adopt" and owner.pending is not None:
        codes.append((town.new_code(owner), owner.pending.salt))
    expect(pin in [jose.public_jwk(pin_key(*one).public_key()) for one in codes], "another code is in force")
    if owner.changing is not None and not reached:
        expect(row.next_pin_key is not None, "the new code's key is gone")
    stops = {suspension.digest(owner.suspension_code)}
    if purpose == "suspension_code" and owner.pending is not None:
        stops.add(suspension.digest(owner.pending.suspension_code))
    expect(row.suspension in stops, "another suspension code is in force")


def _check_accounts(connection: Connection) -> None:
    states: dict[int, State | None] = {}
    events = {name: event for event, name in JOURNAL.items()}
    told = select(journal_rows.c.event, journal_rows.c.account).where(journal_rows.c.account.is_not(None))
    for name, number in connection.execute(told.order_by(journal_rows.c.number)):
        if name in events:
            states[number] = after(states.get(number), events[name])
    kept = {row.number: State(row.state) for row in connection.execute(select(accounts.c.number, accounts.c.state))}
    expect(kept == states, "journal and accounts tell of different states")
    value = dict(connection.execute(select(statuses.c.idx, statuses.c.value)).all())
    found = connection.execute(select(phones.c.account, phones.c.status_index)).all()
    expect({row.account for row in found} == kept.keys(), "an account without a phone, or a phone without an account")
    for row in found:
        expect(value[row.status_index] == STATUS[kept[row.account]], "a credential's status is not its account's")
    living = {row.status_index for row in found}
    expect(
        all(one == 1 for index, one in value.items() if index not in living),
        "a credential without a phone is not revoked",
    )


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise)


def main() -> None:
    where, kills, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if where != "crash":
        survive(where, kills, seed, lambda: None, WHOLE_LIFE)
        return
    with postgres.running() as cluster:
        url = cluster.url(cluster.made_by(lambda store: upgrade(store.engine)))
        survive(url, kills, seed, cluster.crash, ("open done",))


WHOLE_LIFE = ("enrol done", "activate done", "open code_wrong", "adopt done", "close done", "suspension_code done")


def survive(url: str, kills: int, seed: int, crash: Callable[[], None], met: Collection[str]) -> None:
    """So many kills, and more while an outcome of `met` was not met: on a busy machine a process does little before it dies."""
    with tempfile.TemporaryDirectory() as folder:
        file, now = Path(folder) / "keys", datetime.now(UTC)
        ring = keys.create(file, b"m" * 32, now=now, rng=secrets.token_bytes, host="localhost")
    town = Town(url, ring, random.Random(seed))  # noqa: S311 - draws moments, not secrets
    for salt in SALTS:
        for code in (CODE, OTHER_CODE, WRONG):
            pin_key(code, salt)
    engine = connect(url)
    for number in range(4 * kills):
        if number >= kills and town.seen.keys() >= set(met):
            break
        engine.dispose()
        one_round(town, town.rng.uniform(0, LONGEST[engine.dialect.name]), crash)
        with engine.connect() as connection:
            try:
                examine(town, connection)
            except Broken as broken:
                raise SystemExit(f"kill {number} of seed {seed}: {broken}") from broken
    engine.dispose()
    print(f"{number} kills;", ", ".join(f"{count} × {name}" for name, count in sorted(town.seen.items())))


if __name__ == "__main__":
    main()

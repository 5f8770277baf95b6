"""Several servers over one database, several phones at once, clocks that jump: whatever the order, there is exactly one outcome."""

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import Any

import pytest
from account_world import CODE, WRONG, TestPhone, World, evidence_of, pin_key
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select

from alicem.accounts import NewAccount, create, take_approval
from alicem.accounts.effects import Outcome
from alicem.credential import Status, allocate
from alicem.credential.records import statuses
from alicem.store import Store

ROUNDS = 8


@pytest.fixture
def servers(world: World, database_url: str) -> Iterator[list[World]]:
    """The same accounts served by three processes' worth of stores."""
    others = [world.again(Store(database_url)) for _ in range(2)]
    yield [world, *others]
    for other in others:
        other.store.close()


def at_once(*works: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(works)) as threads:
        return [future.result() for future in [threads.submit(work) for work in works]]


def send(servers: list[World], *instructions: str) -> list[Outcome]:
    """Each to another server, all at the same moment."""
    turns = zip(cycle(servers), instructions, strict=False)
    works = [lambda server=server, token=token: server.perform(token) for server, token in turns]  # type: ignore[misc]
    return at_once(*works)


def names(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(str(outcome.body["outcome"]) for outcome in outcomes)


def test_one_instruction_at_three_servers_is_counted_once(servers: list[World]) -> None:
    phone = servers[0].enrol()
    for _ in range(ROUNDS):
        assert names(send(servers, *[phone.sign()] * 6)) == {"done": 6}
    assert names(send(servers, *[phone.sign(WRONG)] * 6)) == {"code_wrong": 6}
    assert servers[0].row(phone).used == 1


def test_different_instructions_under_one_number_are_a_clone_at_any_server(servers: list[World]) -> None:
    for number in range(ROUNDS):
        phone = servers[0].enrol(str(number), suspension_code=str(number) * 20)
        phone.sequence += 1
        rivals = [phone.sign(sequence=phone.sequence) for _ in range(3)]
        found = names(send(servers, *rivals))
        assert found["clone_suspected"] >= 1 and found["done"] <= 1
        assert found.keys() <= {"clone_suspected", "done", "account_suspended", "instruction_refused"}
        assert servers[0].state(phone) == "suspended"


def test_a_try_is_counted_while_another_is_checked(servers: list[World]) -> None:
    """A phone sends one at a time. Where two are under way all the same, none is free: each was counted before its code was looked at."""
    for number in range(ROUNDS):
        phone = servers[0].enrol(str(number), suspension_code=str(number) * 20)
        before = phone.sequence
        outcomes = names(send(servers, phone.sign(WRONG), phone.sign(WRONG), phone.sign(WRONG)))
        row = servers[0].row(phone)
        if row.state == "suspended":
            assert outcomes["clone_suspected"] >= 1
        else:
            assert (row.used, row.sequence) == (3, before + 3)
            assert outcomes["code_wrong"] + outcomes["instruction_refused"] == 3


def test_one_challenge_serves_one_of_two_phones(servers: list[World]) -> None:
    first, second = servers[0].enrol(), servers[0].enrol("OTHER", suspension_code="1" * 20)
    for _ in range(ROUNDS):
        challenge = servers[0].challenge()
        both = send(servers, first.sign(challenge=challenge), second.sign(challenge=challenge))
        assert names(both) == {"done": 1, "instruction_refused": 1}


def test_a_suspension_during_a_sign_in_has_one_outcome(servers: list[World]) -> None:
    for number in range(ROUNDS):
        code = str(number) * 20
        phone = servers[0].enrol(str(number), suspension_code=code)
        about = secrets.token_bytes(8)
        token = phone.sign(purpose="approve", about=about)
        approved, suspended = at_once(
            lambda token=token: servers[0].perform(token),
            lambda code=code: servers[1].suspend(code),
        )
        assert suspended and servers[2].state(phone) == "suspended"
        assert approved.body["outcome"] in ("done", "account_suspended")
        digest = hashlib.sha256(about).digest()
        taken = servers[0].do(lambda c, digest=digest: take_approval(c, digest, servers[0].clock()))
        assert taken is None or taken.state == "suspended"  # and is refused for it when the credential is shown


def test_a_suspension_beside_a_first_code_always_stands(servers: list[World]) -> None:
    for number in range(ROUNDS):
        code = str(number) * 20
        phone = servers[0].enrol(str(number), suspension_code=code, activate=False)
        token = phone.sign(purpose="activate", about=b"receipt")
        at_once(lambda token=token: servers[0].perform(token), lambda code=code: servers[1].suspend(code))
        assert servers[0].state(phone) == "suspended"
        assert phone.instruct().body["outcome"] == "account_suspended"


def test_two_phones_that_remove_each_other_leave_one(servers: list[World]) -> None:
    for number in range(ROUNDS):
        first = servers[0].enrol(str(number), suspension_code=str(number) * 20)
        second = servers[0].enrol(str(number), suspension_code=str(number) * 19 + "X", keep=True)
        tokens = [one.sign(purpose="remove_others", about=b"remove_others") for one in (first, second)]
        assert names(send(servers, *tokens)) == {"done": 1, "instruction_refused": 1}
        assert [servers[0].row(one) is None for one in (first, second)].count(True) == 1


def test_closing_beside_anything_leaves_nothing(servers: list[World]) -> None:
    for number in range(ROUNDS):
        phone = servers[0].enrol(str(number), suspension_code=str(number) * 20)
        second = servers[0].enrol(str(number), suspension_code=str(number) * 19 + "X", keep=True)
        close = phone.sign(purpose="close", about=b"close")
        others = [
            second.sign(purpose="approve", about=b"x"),
            second.sign(purpose="suspend", about=b"suspend", sequence=9),
        ]
        closed = send(servers, close, *others)[0]
        assert closed.status == 200
        assert (servers[0].row(phone), servers[0].row(second)) == (None, None)
        assert servers[0].do(lambda c: c.exec_driver_sql("select count(*) from approvals").scalar()) == 0


def test_two_enrolments_of_one_document_at_once_are_one_account_with_one_phone(servers: list[World]) -> None:
    for number in range(ROUNDS):
        news = [new_account(servers[0], f"doc{number}") for _ in range(3)]
        works = [
            lambda server=server, new=new: server.do(lambda c: enrol(c, server, new))  # type: ignore[misc]
            for server, new in zip(servers, news, strict=True)
        ]
        assert len(set(at_once(*works))) == 1
    rows = servers[0].do(lambda c: c.exec_driver_sql("select count(*) from accounts").scalar())
    phones = servers[0].do(lambda c: c.exec_driver_sql("select count(*) from phones").scalar())
    assert (rows, phones) == (ROUNDS, ROUNDS)
    revoked = select(func.count()).where(statuses.c.value == Status.REVOKED)
    assert servers[0].do(lambda c: c.execute(revoked).scalar()) == 2 * ROUNDS


def new_account(world: World, document: str) -> NewAccount:
    phone = TestPhone(world, ec.generate_private_key(ec.SECP256R1()), b"s" * 32)
    return NewAccount(
        evidence_of(document),
        phone.device_key.public_key(),
        "software",
        None,
        pin_key(CODE, phone.salt).public_key(),
        secrets.token_bytes(32),
        secrets.token_hex(10),
        (f"k2:{document}", f"k1:{document}"),
    )


def enrol(connection: Any, world: World, new: NewAccount) -> int:
    index = allocate(connection, secrets.token_bytes)
    return create(connection, new, index, ring=world.ring, now=world.clock(), rng=secrets.token_bytes)


def test_a_clock_that_jumps_gives_no_try_back_and_frees_nobody_early(world: World) -> None:
    phone = world.enrol()
    for _ in range(4):
        phone.instruct(WRONG)
    world.clock.advance(hours=-5)
    assert phone.instruct(CODE).body["outcome"] == "code_paused"
    world.clock.advance(hours=5, seconds=59)
    assert phone.instruct(CODE).body == {"outcome": "code_paused", "pause_seconds": 1}
    world.clock.advance(days=3650)
    assert phone.instruct(WRONG).body["tries_left"] == 3
    assert world.row(phone).used == 5


def test_a_challenge_is_good_once_whatever_the_clock_does(world: World) -> None:
    phone = world.enrol()
    challenge = world.challenge()
    assert phone.instruct(challenge=challenge).status == 200
    for hours in (-48, 24, 72):
        world.clock.advance(hours=hours)
        assert phone.instruct(challenge=challenge).status == 401

"""An account over its phones and documents: who continues it, who joins, what a suspension in between does, and what the journal says of it all."""

import secrets
from typing import Any

import pytest
from account_world import CODE, WRONG, TestPhone, World, evidence_of

from alicem.accounts import chip_was_read, earlier, life, records
from alicem.accounts.states import LIFE, Event, NotAllowed, State
from alicem.credential import Status

OTHER_CODE = "731906"


def again(world: World, **more: Any) -> TestPhone:
    """Another phone enrolled with the same document."""
    return world.enrol(suspension_code=secrets.token_hex(10), **more)


def apply(world: World, number: int, event: Event) -> State:
    return State(
        world.do(lambda c: life.apply(c, number, event, by="test", now=world.clock(), rng=secrets.token_bytes))
    )


def statuses(world: World) -> dict[int, int]:
    return dict(world.do(lambda c: c.exec_driver_sql("select idx, value from statuses").all()))


def test_a_new_phone_continues_the_account_and_takes_the_place_of_the_first(world: World) -> None:
    first = world.enrol()
    number, index = world.row(first).account, world.row(first).status_index
    second = again(world, activate=False, code=OTHER_CODE)
    assert first.instruct().status == 200  # until the new one's first right code
    assert second.instruct(OTHER_CODE, purpose="approve", about=b"x").body == {"outcome": "account_not_active"}
    assert second.instruct(OTHER_CODE, purpose="activate", about=b"receipt").status == 200
    assert world.row(second).account == number
    assert world.row(first) is None
    assert first.instruct().body == {"outcome": "instruction_refused"}
    assert statuses(world)[index] == Status.REVOKED
    assert "account_renewed" in world.events() and "phones_removed" in world.events()


def test_a_forgotten_code_is_another_phone_with_another_code(world: World) -> None:
    first = world.enrol()
    for pause in (60, 300, 3600, 0):
        for _ in range(4):
            first.instruct(WRONG)
        world.clock.advance(seconds=pause)
    assert world.state(first) == "locked"
    number = world.row(first).account
    second = again(world, code=OTHER_CODE)
    assert (world.row(second).account, world.state(second)) == (number, "active")
    assert "account_reactivated" in world.events()


def test_a_second_phone_joins_with_its_own_code_and_counts_its_own_tries(world: World) -> None:
    first = world.enrol()
    second = again(world, keep=True, code=OTHER_CODE)
    assert world.row(first).account == world.row(second).account
    assert first.instruct().body["phones"] == second.instruct(OTHER_CODE).body["phones"] == 2
    assert first.instruct(WRONG).body["tries_left"] == 3
    assert world.row(second).used == 0
    assert first.share(first.instruct()) != second.share(second.instruct(OTHER_CODE))


def test_one_phone_removes_the_others(world: World) -> None:
    first = world.enrol()
    second, third = again(world, keep=True), again(world, keep=True)
    gone = [world.row(one).status_index for one in (first, third)]
    assert second.instruct(purpose="remove_others", about=b"remove_others").status == 200
    assert second.instruct().body["phones"] == 1
    assert [world.row(one) for one in (first, third)] == [None, None]
    assert [statuses(world)[index] for index in gone] == [Status.REVOKED, Status.REVOKED]


def test_no_more_than_five_phones(world: World) -> None:
    phones = [world.enrol(), *(again(world, keep=True) for _ in range(4))]
    found = world.do(lambda c: earlier(c, ("test:24AB12345",)))
    assert (found.phones, found.may_keep) == (5, False)
    sixth = again(world, keep=True)
    assert sixth.instruct().body["phones"] == 1
    assert [world.row(one) for one in phones] == [None] * 5


def test_a_suspended_account_comes_back_by_a_phone_enrolled_since_and_no_other_joins_it(world: World) -> None:
    first = world.enrol()
    first.instruct(purpose="suspend", about=b"suspend")
    second = again(world, keep=True, seen=State.SUSPENDED)
    assert world.state(second) == "active"
    assert world.row(first) is None
    assert "account_reactivated" in world.events()


def test_a_suspension_makes_phones_void_that_were_issued_before(world: World) -> None:
    first = world.enrol()
    second = again(world, activate=False)
    number = world.row(first).account
    assert apply(world, number, Event.SUSPEND) is State.SUSPENDED
    assert second.instruct(purpose="activate", about=b"receipt").body == {"outcome": "account_suspended"}
    assert world.state(first) == "suspended"


def test_a_suspension_since_the_document_was_checked_makes_the_phone_void(world: World) -> None:
    first = world.enrol()
    first.instruct(purpose="suspend", about=b"suspend")
    second = again(world, activate=False, seen=State.ACTIVE)
    assert second.instruct(purpose="activate", about=b"receipt").body == {"outcome": "account_suspended"}
    third = again(world, seen=State.SUSPENDED)
    assert world.state(third) == "active"


def test_an_issued_phone_that_was_never_used_makes_room_for_the_next(world: World) -> None:
    first = world.enrol()
    unused = again(world, activate=False)
    index = world.row(unused).status_index
    again(world, activate=False)
    assert world.row(unused) is None
    assert statuses(world)[index] == Status.REVOKED
    assert first.instruct().status == 200


def test_a_renewed_document_continues_the_account_of_the_one_before(world: World) -> None:
    first = world.enrol("OLD")
    number = world.row(first).account
    second = world.enrol("NEW", suspension_code="3" * 20, continues=number)
    assert world.row(second).account == number
    assert world.do(lambda c: earlier(c, ("test:OLD",))) is None
    assert world.do(lambda c: earlier(c, ("test:NEW",))).number == number


def test_a_person_who_had_begun_anew_has_one_account_in_the_end(world: World) -> None:
    first, stray = world.enrol("OLD"), world.enrol("NEW", suspension_code="4" * 20)
    number = world.row(first).account
    third = world.enrol("NEW", suspension_code="5" * 20, continues=number)
    assert world.row(third).account == number
    assert world.row(stray) is None
    assert world.do(lambda c: c.exec_driver_sql("select count(*) from accounts").scalar()) == 1


def test_an_account_that_was_closed_meanwhile_is_not_continued(world: World) -> None:
    first = world.enrol("OLD")
    number = world.row(first).account
    first.instruct(purpose="close", about=b"close")
    second = world.enrol("NEW", suspension_code="6" * 20, continues=number)
    assert world.row(second).account != number


def test_a_documents_row_moves_to_the_newest_key_when_its_chip_is_read(world: World) -> None:
    phone = world.enrol()
    names = ("k2:24AB12345", "test:24AB12345")
    found = world.do(lambda c: chip_was_read(c, names))
    assert found.number == world.row(phone).account
    assert world.do(lambda c: c.exec_driver_sql("select fingerprint from accounts").scalar()) == names[0]
    assert world.do(lambda c: chip_was_read(c, ("k2:another", "test:another"))) is None


def test_one_document_has_one_account_under_any_key(world: World) -> None:
    first = world.enrol(fingerprints=("k1:doc",))
    second = world.enrol(suspension_code="7" * 20, fingerprints=("k2:doc", "k1:doc"))
    assert world.row(first) is None
    assert world.do(lambda c: c.exec_driver_sql("select fingerprint from accounts").all()) == [("k2:doc",)]
    assert second.instruct().status == 200


def test_an_account_that_never_began_has_no_other_event() -> None:
    assert [event for (state, event) in LIFE if state is None] == [Event.ENROL]


def test_every_change_of_state_is_in_the_journal_and_tells_verifiers(world: World) -> None:
    """The journal, read from its beginning, gives the state of every account."""
    first = world.enrol()
    number = world.row(first).account
    for event in (Event.SUSPEND, Event.REACTIVATE, Event.LOCK, Event.SUSPEND, Event.REACTIVATE, Event.CLONE):
        apply(world, number, event)
    assert world.told_by_journal() == {number: "suspended"}
    assert statuses(world) == {world.row(first).status_index: Status.SUSPENDED}
    with pytest.raises(NotAllowed):
        apply(world, number, Event.ACTIVATE)
    assert world.told_by_journal() == {number: "suspended"}
    apply(world, number, Event.EXPIRE)
    assert world.told_by_journal() == {}
    assert set(statuses(world).values()) == {Status.REVOKED}


def test_use_is_noted_by_month(world: World) -> None:
    phone = world.enrol()
    world.clock.advance(days=45)
    phone.instruct(CODE)
    assert world.do(lambda c: c.exec_driver_sql("select used_month, checked_month from accounts").one()) == (
        "2027-01",
        "2026-11",
    )
    evidence = evidence_of()
    assert evidence.email not in world.dump()
    number = world.row(phone).account
    assert world.do(lambda c: records.active_phones(c, number)) == 1

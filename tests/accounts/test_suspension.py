"""Suspension with the code alone, and the table of states."""

import secrets

import pytest
from account_world import World

from alicem.accounts import suspension
from alicem.accounts.states import ALLOWED, JOURNAL, LIFE, REFUSAL, STATUS, Event, NotAllowed, Stage, State, after
from alicem.reasons import load


def test_the_code_alone_suspends_effective_on_the_next_request(world: World) -> None:
    code = suspension.draw(secrets.token_bytes)
    phone = world.enrol(suspension_code=code)
    typed = suspension.shown(code).lower().replace("0", "o").replace("1", "l")
    assert world.do(lambda c: suspension.suspend(c, typed, world.clock(), secrets.token_bytes))
    assert phone.instruct().body == {"outcome": "account_suspended"}
    assert world.do(lambda c: c.exec_driver_sql("select value from statuses").scalar()) == 2


def test_another_code_finds_nothing(world: World) -> None:
    world.enrol(suspension_code=suspension.draw(secrets.token_bytes))
    for typed in ("", "0" * 20, "é" * 20, "x" * 100_000):
        assert not world.do(lambda c, t=typed: suspension.suspend(c, t, world.clock(), secrets.token_bytes))


def test_codes_have_a_hundred_bits_and_no_letter_that_reads_as_another() -> None:
    codes = {suspension.draw(secrets.token_bytes) for _ in range(500)}
    assert len(codes) == 500
    assert all(len(code) == 20 and set(code) <= set(suspension.ALPHABET) for code in codes)


def test_a_suspended_account_can_still_be_deleted_by_its_owner(world: World) -> None:
    phone = world.enrol()
    phone.instruct(purpose="suspend", about=b"suspend")
    assert world.state(phone) == "suspended"
    assert phone.instruct(purpose="close", about=b"close").status == 200


def test_every_state_has_a_status_and_every_refusal_is_a_row() -> None:
    assert STATUS.keys() == set(State)
    assert set(REFUSAL.values()) <= load().keys()


def test_nothing_leads_out_of_a_closed_account() -> None:
    for state in (State.CLOSED, State.EXPIRED):
        for event in Event:
            with pytest.raises(NotAllowed):
                after(state, event)


def test_only_a_phone_enrolled_since_leads_back_to_active() -> None:
    back = {(state, event) for (state, event), to in LIFE.items() if to is State.ACTIVE and state is not State.ACTIVE}
    assert back == {
        (State.ENROLLED, Event.ACTIVATE),
        (State.SUSPENDED, Event.REACTIVATE),
        (State.LOCKED, Event.REACTIVATE),
    }
    stages = {
        stage for (state, stage), purposes in ALLOWED.items() if state is not State.ACTIVE and "activate" in purposes
    }
    assert stages == {Stage.ISSUED, Stage.JOINING}


def test_every_event_is_a_row_of_the_journal() -> None:
    assert JOURNAL.keys() == set(Event)
    assert len(set(JOURNAL.values())) == len(Event)

"""Another code in two phases: at every moment one code is right, whatever is lost in between."""

import secrets
from typing import Any

import pytest
from account_world import CODE, ORIGIN, WRONG, TestPhone, World

from alicem import jose
from alicem.phone.code import pin_key

NEW = "731906"


def change(phone: TestPhone, new: str, salt: bytes, code: str = CODE, **flaws: Any) -> dict[str, Any]:
    """First phase. `flaws` replace members of the new key's own statement, or its signer (`signer`)."""
    pin, challenge = pin_key(new, salt), phone.world.challenge()
    signer = flaws.pop("signer", pin)
    said = {"aud": ORIGIN, "challenge": challenge} | flaws
    statement = jose.sign(signer, "alicem-new-pin+jwt", said, jwk=jose.public_jwk(pin.public_key()))
    answer = phone.instruct(code, purpose="change", about=statement.encode(), pin_key=statement, challenge=challenge)
    return answer.body


def adopt(phone: TestPhone, new: str, salt: bytes) -> dict[str, Any]:
    """Second phase: signed by the key of the new code and its salt."""
    before, phone.salt = phone.salt, salt
    answer = phone.instruct(new, purpose="adopt", about=b"adopt")
    if answer.status != 200:
        phone.salt = before
    return answer.body


@pytest.fixture
def salt() -> bytes:
    return secrets.token_bytes(32)


def test_the_new_code_is_the_code_after_the_second_phase_and_not_before(world: World, salt: bytes) -> None:
    phone = world.enrol()
    share = phone.share(phone.instruct())
    assert change(phone, NEW, salt)["outcome"] == "done"
    assert world.row(phone).next_pin_key is not None
    assert adopt(phone, NEW, salt)["outcome"] == "done"
    assert phone.share(phone.instruct(NEW)) == share  # the vault stays as it is
    assert phone.instruct(CODE).body["outcome"] == "code_wrong"
    assert "code_changed" in world.events()


def test_a_change_that_is_not_finished_leaves_the_code_of_today(world: World, salt: bytes) -> None:
    phone = world.enrol()
    change(phone, NEW, salt)
    assert phone.instruct(CODE).status == 200
    assert world.row(phone).next_pin_key is None
    assert adopt(phone, NEW, salt)["outcome"] == "code_wrong"  # it was dropped


def test_a_wrong_code_begins_no_change_and_is_a_try(world: World, salt: bytes) -> None:
    phone = world.enrol()
    assert change(phone, NEW, salt, code=WRONG)["outcome"] == "code_wrong"
    assert (world.row(phone).next_pin_key, world.row(phone).used) == (None, 1)


def test_a_wrong_new_code_in_the_second_phase_is_a_try_and_may_be_said_again(world: World, salt: bytes) -> None:
    phone = world.enrol()
    change(phone, NEW, salt)
    assert adopt(phone, WRONG, salt)["tries_left"] == 3
    assert adopt(phone, NEW, salt)["outcome"] == "done"


def test_adopting_a_code_that_is_in_force_is_done_already(world: World, salt: bytes) -> None:
    phone = world.enrol()
    change(phone, NEW, salt)
    adopt(phone, NEW, salt)
    assert adopt(phone, NEW, salt)["outcome"] == "done"
    assert world.events().count("code_changed") == 1


@pytest.mark.parametrize("flaw", ["signer", "aud", "challenge"])
def test_a_new_key_that_is_not_proven_is_refused_and_the_code_stays(world: World, salt: bytes, flaw: str) -> None:
    phone = world.enrol()
    wrong: Any = pin_key("204961", salt) if flaw == "signer" else "elsewhere"
    assert change(phone, NEW, salt, **{flaw: wrong})["outcome"] == "instruction_refused"
    assert phone.instruct(CODE).status == 200


def test_the_hash_of_another_key_is_no_instruction(world: World, salt: bytes) -> None:
    phone = world.enrol()
    answer = phone.instruct(purpose="change", about=b"another", pin_key="a.b.c")
    assert answer.body == {"outcome": "instruction_refused"} and answer.status == 401


def test_both_phases_said_again_after_lost_answers_change_nothing(world: World, salt: bytes) -> None:
    phone = world.enrol()
    pin, challenge = pin_key(NEW, salt), world.challenge()
    said = {"aud": ORIGIN, "challenge": challenge}
    statement = jose.sign(pin, "alicem-new-pin+jwt", said, jwk=jose.public_jwk(pin.public_key()))
    first = phone.sign(purpose="change", about=statement.encode(), pin_key=statement, challenge=challenge)
    assert [world.perform(first).status for _ in range(3)] == [200] * 3
    phone.salt = salt
    second = phone.sign(NEW, purpose="adopt", about=b"adopt")
    assert [world.perform(second).status for _ in range(3)] == [200] * 3
    assert phone.instruct(NEW).status == 200


def test_a_new_suspension_code_is_known_to_the_server_by_its_hash_alone(world: World) -> None:
    phone = world.enrol(suspension_code="0" * 20)
    drawn = "7XK2M9QH4T6RB3VW8YDC"
    about = b"alicem suspension v1" + drawn.encode()
    assert phone.instruct(purpose="suspension_code", about=about).status == 200
    assert world.suspend("0" * 20) is False
    assert drawn not in world.dump()
    assert world.suspend("7xk2 m9qh 4t6r b3vw 8ydc") is True
    assert world.state(phone) == "suspended"
    assert "suspension_code_changed" in world.events()


def test_another_accounts_suspension_code_cannot_be_taken(world: World) -> None:
    world.enrol(suspension_code="0" * 20)
    other = world.enrol("OTHER", suspension_code="1" * 20)
    about = b"alicem suspension v1" + b"0" * 20
    assert other.instruct(purpose="suspension_code", about=about).body == {"outcome": "instruction_refused"}
    assert world.suspend("1" * 20) is True

"""The security code from outside: what a right, a wrong, a repeated, a cloned and a stranger's instruction bring."""

import hashlib
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from account_world import CODE, WRONG, World
from cryptography.hazmat.primitives.asymmetric import ec

from alicem.accounts import take_approval
from alicem.accounts.instruction import UNIFORM
from alicem.phone.code import pin_key

UNIFORM_BODY = UNIFORM.body


def test_a_right_code_releases_the_share_and_the_same_one_each_time(world: World) -> None:
    phone = world.enrol()
    first, second = phone.instruct(), phone.instruct()
    assert first.body["outcome"] == second.body["outcome"] == "done"
    assert phone.share(first) == phone.share(second)
    assert len(phone.share(first)) == 32


def test_an_account_is_not_active_before_its_first_right_code(world: World) -> None:
    phone = world.enrol(activate=False)
    assert phone.instruct(purpose="approve", about=b"x").body == {"outcome": "account_not_active"}
    assert phone.instruct(WRONG, purpose="activate", about=b"receipt").body["outcome"] == "code_wrong"
    assert world.state(phone) == "enrolled"
    assert phone.instruct(purpose="activate", about=b"receipt").status == 200
    assert world.state(phone) == "active"


def test_tries_are_told_then_paused_then_locked(world: World) -> None:
    phone = world.enrol()
    for pause in (60, 300, 3600):
        left = [phone.instruct(WRONG).body["tries_left"] for _ in range(4)]
        assert left == [3, 2, 1, 0]
        paused = phone.instruct(CODE)
        assert paused.body == {"outcome": "code_paused", "pause_seconds": pause}
        world.clock.advance(seconds=pause)
    assert [phone.instruct(WRONG).body["outcome"] for _ in range(3)] == ["code_wrong"] * 3
    assert phone.instruct(WRONG).body == {"outcome": "account_locked"}
    assert phone.instruct(CODE).body == {"outcome": "account_locked"}
    assert world.state(phone) == "locked"
    assert "account_locked" in world.events()


def test_a_pause_counts_no_try_and_a_right_code_forgives(world: World) -> None:
    phone = world.enrol()
    for _ in range(4):
        phone.instruct(WRONG)
    for _ in range(5):
        assert phone.instruct(WRONG).body["outcome"] == "code_paused"
    world.clock.advance(seconds=60)
    assert phone.instruct(CODE).status == 200
    assert world.row(phone).used == 0


def test_the_same_instruction_again_has_the_same_outcome_and_counts_once(world: World) -> None:
    phone = world.enrol()
    wrong = phone.sign(WRONG)
    assert (
        world.perform(wrong).body
        == world.perform(wrong).body
        == {"outcome": "code_wrong", "tries_left": 3, "pause_seconds": 0}
    )
    assert world.row(phone).used == 1
    right = phone.sign(CODE)
    assert phone.share(world.perform(right)) == phone.share(world.perform(right))


def test_another_instruction_under_a_used_number_is_a_clone(world: World) -> None:
    phone = world.enrol()
    assert phone.instruct().status == 200
    assert phone.instruct(sequence=phone.sequence).body == {"outcome": "clone_suspected"}
    assert world.state(phone) == "suspended"
    assert phone.instruct().body == {"outcome": "account_suspended"}


@pytest.mark.parametrize(
    "flaw",
    [
        {"challenge": "bm90LW91cnM"},
        {"aud": "https://elsewhere.example"},
        {"purpose": "anything"},
        {"sequence": -1},
        {"sequence": True},
        {"request": "short"},
        {"reply_key": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}},
    ],
    ids=lambda flaw: next(iter(flaw)),
)
def test_before_challenge_and_signature_are_right_there_is_one_answer_and_no_try(
    world: World, flaw: dict[str, object]
) -> None:
    phone = world.enrol()
    assert phone.instruct(WRONG, **flaw).body == UNIFORM_BODY
    assert world.row(phone).used == 0


def test_a_stranger_cannot_lock_an_account(world: World) -> None:
    phone = world.enrol()
    stranger = ec.generate_private_key(ec.SECP256R1())
    for _ in range(20):
        assert phone.instruct(WRONG, device_key=stranger).body == UNIFORM_BODY
    assert phone.instruct(sequence=phone.sequence + 1).status == 200


def test_a_challenge_is_good_once_and_for_a_minute(world: World) -> None:
    phone = world.enrol()
    challenge = world.challenge()
    assert phone.instruct(challenge=challenge).status == 200
    assert phone.instruct(challenge=challenge).body == UNIFORM_BODY
    late = world.challenge()
    world.clock.advance(seconds=61)
    assert phone.instruct(challenge=late).body == UNIFORM_BODY


@pytest.mark.parametrize("garbage", ["", "a.b.c", "x" * 300_000, "..", None, 7, {"a": 1}])
def test_garbage_is_answered_like_everything_unproven(world: World, garbage: object) -> None:
    assert world.perform(garbage).body == UNIFORM_BODY  # type: ignore[arg-type]


def test_one_instruction_sent_many_times_at_once_is_counted_once(world: World) -> None:
    phone = world.enrol()
    instruction = phone.sign(WRONG)
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(world.perform, [instruction] * 16))
    assert world.row(phone).used == 1
    assert {outcome.body["outcome"] for outcome in outcomes} == {"code_wrong"}


def test_different_instructions_under_one_number_at_once_leave_one_winner_and_a_suspended_account(world: World) -> None:
    phone = world.enrol()
    phone.sequence += 1
    rivals = [phone.sign(CODE, sequence=phone.sequence, iat=number) for number in range(6)]
    with ThreadPoolExecutor(6) as threads:
        outcomes = [outcome.body["outcome"] for outcome in threads.map(world.perform, rivals)]
    assert outcomes.count("clone_suspected") >= 1
    assert outcomes.count("done") <= 1
    assert world.state(phone) == "suspended"


def test_an_approval_is_taken_once_and_dies_in_two_minutes(world: World) -> None:
    phone = world.enrol()
    about = b"request.42"
    digest = hashlib.sha256(about).digest()
    phone.instruct(purpose="approve", about=about)
    taken = world.do(lambda c: take_approval(c, digest, world.clock()))
    assert taken is not None and taken.state == "active"
    assert world.do(lambda c: take_approval(c, digest, world.clock())) is None
    phone.instruct(purpose="approve", about=about)
    world.clock.advance(seconds=121)
    assert world.do(lambda c: take_approval(c, digest, world.clock())) is None


def test_closing_erases_everything_but_digests_and_gives_a_signed_receipt(world: World) -> None:
    phone = world.enrol()
    fingerprint, thumbprint = "test:24AB12345", world.row(phone).thumbprint
    outcome = phone.instruct(purpose="close", about=b"close")
    assert outcome.status == 200 and outcome.body["receipt"].count(".") == 2
    assert world.row(phone) is None
    dump = world.dump()
    assert fingerprint not in dump and thumbprint not in dump
    assert world.do(lambda c: c.exec_driver_sql("select value from statuses").scalar()) == 1  # revoked
    assert phone.instruct().body == UNIFORM_BODY


def test_enrolling_the_same_document_again_closes_the_earlier_account(world: World) -> None:
    first = world.enrol()
    second = world.enrol(suspension_code="1" * 20)
    assert world.row(first) is None
    assert second.instruct().status == 200


def test_the_database_holds_no_pin_key_no_share_and_no_name(world: World) -> None:
    phone = world.enrol()
    share = phone.share(phone.instruct())
    raw = b"".join(
        row[0] + row[1] for row in world.do(lambda c: c.exec_driver_sql("select pin_key, share from phones").all())
    )
    assert share not in raw
    dump = world.dump()
    for datum in ("Lefèvre", "Zoë", "1988", "courriel", "29019"):
        assert datum not in dump


def test_codes_of_other_salts_are_other_keys() -> None:
    salt = secrets.token_bytes(32)
    assert pin_key(CODE, salt).private_numbers() == pin_key(CODE, salt).private_numbers()
    assert pin_key(CODE, salt).private_numbers() != pin_key(CODE, secrets.token_bytes(32)).private_numbers()

"""The owner, by phone and code, gets what is kept of the account: whole, the owner's own, to this phone alone."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from account_world import WRONG, TestPhone, World
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Table, insert

import alicem.app  # noqa: F401 - declares every table
from alicem import jose
from alicem.accounts import face_tries
from alicem.accounts.effects import Outcome
from alicem.accounts.instruction import UNIFORM
from alicem.accounts.own_record import MOST, WITHHELD
from alicem.accounts.own_record import own_record as build
from alicem.accounts.tables import approvals
from alicem.journal.records import append
from alicem.store import metadata

TOLD = {
    "accounts": {"number", "state", "used_month", "checked_month", "fingerprint", "suspension"},
    "phones": {
        "id",
        "account",
        "thumbprint",
        "device_key",
        "key_kind",
        "passkey",
        "stage",
        "level",
        "status_index",
        "sequence",
        "used",
        "paused_until",
        "last_instruction",
        "last_outcome",
    },
    "statuses": {"idx", "value"},
    "approvals": {"digest", "phone", "expires"},
    "face_tries": {"id", "fingerprint", "at", "counted"},
    "journal": {"number", "at", "event", "account", "salt", "content", "digest"},
}
"""What the owner is told. A column that is neither here nor withheld fails the test below: somebody must decide."""
LEADS_TO_NOBODY = {
    "access_tokens",
    "challenges",
    "chip_proofs",
    "codes",
    "journal_segments",
    "limits",  # a count of this hour, under a hash that the key ring alone could make of an account
    "pushed_requests",
    "signins",
    "spent_proofs",
    "status_lists",
}
"""Tables without a column that leads to an account, phone or document: docs/data.md says what is in them."""
LEADS_TO_AN_ACCOUNT = {"account", "phone", "fingerprint", "thumbprint", "idx", "status_index"}


def table(name: str) -> Table:
    return metadata.tables[name]


def own_record(phone: TestPhone, outcome: Outcome | None = None) -> dict[str, Any]:
    told = outcome or phone.instruct(purpose="record", about=b"record")
    assert told.status == 200, told.body
    return dict(json.loads(jose.decrypt(told.body["record"], phone.device_key)))


def lived_in(world: World) -> TestPhone:
    """An account with a past, a second phone, an approval and a refused face under its document."""
    phone = world.enrol()
    world.enrol(keep=True)
    assert phone.instruct(purpose="suspension_code", about=b"another one").status == 200
    world.do(lambda c: face_tries.begin(c, "test:24AB12345", world.clock()))
    assert phone.instruct(purpose="approve", about=b"a request").status == 200
    return phone


def test_every_column_of_the_schema_is_told_withheld_or_leads_to_nobody() -> None:
    declared = {one.name: {column.name for column in one.columns} for one in metadata.sorted_tables}
    covered = {name: columns | WITHHELD.get(name, {}).keys() for name, columns in TOLD.items()}
    assert {name: declared[name] for name in covered} == covered
    assert declared.keys() - covered.keys() == LEADS_TO_NOBODY
    assert all(not columns & WITHHELD.get(name, {}).keys() for name, columns in TOLD.items())


def test_a_table_said_to_lead_to_nobody_has_no_such_column() -> None:
    for name in LEADS_TO_NOBODY:
        columns = table(name).columns
        assert not {column.name for column in columns} & LEADS_TO_AN_ACCOUNT, name
        assert not {key.column.table.name for column in columns for key in column.foreign_keys} & TOLD.keys(), name


def test_the_record_has_all_of_it_as_the_database_has_it(world: World) -> None:
    told = own_record(lived_in(world))
    kept = world.do(lambda c: {name: c.execute(table(name).select()).mappings().all() for name in TOLD})
    assert told["rows"] == {name: len(rows) for name, rows in kept.items()}
    assert min(told["rows"].values()) > 0
    for name, rows in kept.items():
        expected = [{column: readable(name, column, row[column]) for column in TOLD[name]} for row in rows]
        assert sorted(map(canonical, told["tables"][name])) == sorted(map(canonical, expected)), name


def canonical(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True)


def readable(name: str, column: str, value: Any) -> Any:
    """A value of the database as approval.md says that the record has it."""
    if column == "content":
        return json.loads(value)
    if column == "account" or (name, column) == ("accounts", "number"):
        return str(value)
    return jose.b64(bytes(value)) if isinstance(value, bytes | memoryview) else value


def test_the_owner_can_hold_each_row_of_the_journal_against_its_digest(world: World) -> None:
    """Written as journal.md says, so that the owner finds the row under a published seal."""
    rows = own_record(lived_in(world))["tables"]["journal"]
    for row in rows:
        content = json.dumps(row["content"], sort_keys=True, separators=(",", ":"))
        said = jose.unb64(row["salt"]) + f"{row['account']} {content}".encode()
        assert jose.unb64(row["digest"]) == hashlib.sha256(said).digest(), row["event"]
    assert len(rows) > 2


def test_it_tells_of_itself_as_done_and_of_which_phone_asked(world: World) -> None:
    phone = lived_in(world)
    phone.instruct(WRONG)
    told = own_record(phone)
    asking = next(row for row in told["tables"]["phones"] if row["id"] == told["phone"])
    assert asking["thumbprint"] == jose.thumbprint(phone.device_key.public_key())
    assert (asking["last_outcome"], asking["used"], asking["sequence"]) == ("done", 0, phone.sequence)
    assert told["at"] == int(world.clock().timestamp())


def test_nothing_of_another_account_is_in_it(world: World) -> None:
    mine, theirs = lived_in(world), world.enrol("SOMEBODY", suspension_code="1" * 20)
    world.do(lambda c: face_tries.begin(c, "test:SOMEBODY", world.clock()))
    assert theirs.instruct(purpose="approve", about=b"theirs").status == 200
    row = world.row(theirs)
    told = canonical(own_record(mine))
    for foreign in (str(row.account), row.thumbprint, "test:SOMEBODY"):
        assert foreign not in told
    assert own_record(theirs)["rows"] == {
        "accounts": 1,
        "phones": 1,
        "statuses": 1,
        "approvals": 1,
        "face_tries": 1,
        "journal": 2,
    }


def test_what_would_let_codes_be_tried_is_named_and_not_told(world: World) -> None:
    phone = lived_in(world)
    outcome = phone.instruct(purpose="record", about=b"record")
    assert outcome.body.keys() == {"outcome", "record"}, "the share stays where it is"
    told, row = own_record(phone, outcome), world.row(phone)
    assert told["withheld"] == WITHHELD
    for column in WITHHELD["phones"]:
        value = getattr(row, column)
        assert value is None or jose.b64(bytes(value)) not in canonical(told)
    assert told["not_held"]


def test_the_answer_opens_with_the_reply_key_alone(world: World) -> None:
    phone, reply = world.enrol(), ec.generate_private_key(ec.SECP256R1())
    outcome = phone.instruct(purpose="record", about=b"record", reply_key=jose.public_jwk(reply.public_key()))
    assert str(world.row(phone).account) not in json.dumps(outcome.body)
    assert json.loads(jose.decrypt(outcome.body["record"], reply))["tables"]["accounts"]
    with pytest.raises(jose.BadToken):
        jose.decrypt(outcome.body["record"], phone.device_key)


def test_the_same_instruction_again_has_the_record_of_then(world: World) -> None:
    phone = world.enrol()
    instruction = phone.sign(purpose="record", about=b"record")
    first, second = world.perform(instruction), world.perform(instruction)
    assert own_record(phone, first) == own_record(phone, second)
    assert first.body["record"] != second.body["record"]


def test_a_wrong_code_is_counted_and_a_stranger_is_answered_like_every_stranger(world: World) -> None:
    phone = world.enrol()
    wrong = phone.instruct(WRONG, purpose="record", about=b"record")
    assert wrong.body == {"outcome": "code_wrong", "tries_left": 3, "pause_seconds": 0}
    stranger = ec.generate_private_key(ec.SECP256R1())
    assert phone.instruct(purpose="record", about=b"record", device_key=stranger) == UNIFORM
    assert phone.instruct(purpose="record", about=b"another request") == UNIFORM
    assert world.row(phone).used == 1


def test_a_suspended_account_tells_its_record_and_does_not_open(world: World) -> None:
    phone = world.enrol()
    assert phone.instruct(purpose="suspend", about=b"suspend").status == 200
    assert own_record(phone)["tables"]["accounts"][0]["state"] == "suspended"
    assert own_record(phone)["tables"]["statuses"][0]["value"] == 2
    assert phone.instruct().body == {"outcome": "account_suspended"}


def test_an_account_that_is_not_active_a_locked_one_and_one_that_is_gone_tell_nothing(world: World) -> None:
    issued = world.enrol(activate=False)
    assert issued.instruct(purpose="record", about=b"record").body == {"outcome": "account_not_active"}
    locked = world.enrol("LOCKED", suspension_code="1" * 20)
    for pause in (60, 300, 3600, 0):
        for _ in range(4):
            locked.instruct(WRONG)
        world.clock.advance(seconds=pause)
    assert locked.instruct(purpose="record", about=b"record").body == {"outcome": "account_locked"}
    gone = world.enrol("GONE", suspension_code="2" * 20)
    assert gone.instruct(purpose="close", about=b"close").status == 200
    assert gone.instruct(purpose="record", about=b"record") == UNIFORM


def test_an_account_that_is_closed_while_its_record_is_asked_for_is_gone_or_told_whole(world: World) -> None:
    """Two phones at once: whatever the order, no half of a record and no fault."""
    asking = world.enrol()
    closing = world.enrol(keep=True)
    for_record = asking.sign(purpose="record", about=b"record")
    with ThreadPoolExecutor(2) as threads:
        told = threads.submit(world.perform, for_record)
        closed = threads.submit(closing.instruct, purpose="close", about=b"close")
    assert closed.result().status == 200
    outcome = told.result()
    if outcome.status == 200:
        assert own_record(asking, outcome)["rows"]["phones"] == 2
    else:
        assert outcome.body == UNIFORM.body
    assert asking.instruct(purpose="record", about=b"record") == UNIFORM


def test_nobodys_record_is_none(world: World) -> None:
    world.enrol()
    assert world.do(lambda c: build(c, 7, 1, world.clock())) is None


def test_more_rows_than_fit_are_counted_and_the_newest_told(world: World) -> None:
    phone = world.enrol()
    account, now = world.row(phone).account, world.clock()

    def much(connection: Any) -> None:
        for minute in range(2 * MOST):
            at = now + timedelta(minutes=minute)
            append(connection, at, "suspension_code_changed", lambda n: b"s" * n, account=account)
        many = [{"digest": number.to_bytes(32, "big"), "phone": 1, "expires": number} for number in range(2 * MOST)]
        connection.execute(insert(approvals), many)

    world.do(much)
    outcome = phone.instruct(purpose="record", about=b"record")
    told = own_record(phone, outcome)
    assert told["rows"]["journal"] == 2 * MOST + 2
    assert len(told["tables"]["journal"]) == len(told["tables"]["approvals"]) == MOST
    assert told["tables"]["journal"][0]["at"] == int((now + timedelta(minutes=2 * MOST - 1)).timestamp())
    assert len(outcome.body["record"]) < jose.MOST

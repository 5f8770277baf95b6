"""A backup comes back whole, on either kind of database, and gives nobody back what they had used up."""

from __future__ import annotations

import base64
import io
import json
import os
import secrets
import stat
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from account_world import CODE, WRONG, TestPhone, World
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

import alicem.app  # noqa: F401 - declares every table of the provider
from alicem import journal, keys, recovery
from alicem.accounts import suspension
from alicem.credential import status
from alicem.jose import unb64
from alicem.journal.export import lines
from alicem.keys import KeysError
from alicem.recovery import Lost, NotEmpty, Place
from alicem.store import Store, metadata, upgrade
from alicem.store.migrate import UnknownSchema
from alicem.store.sealed_file import NotABackup, seal, unseal

MASTER = b"m" * 32


class Drill(World):
    """A provider that is backed up and brought back."""

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder)
        self.folder, self.backup = folder, folder / "a.backup"

    @property
    def place(self) -> Place:
        return Place(self.store.engine, self.folder / "keys.bin", MASTER)

    def back_up(self) -> None:
        recovery.back_up(self.place, self.backup, now=self.clock(), rng=secrets.token_bytes)

    def seal(self) -> None:
        key = self.ring.signing("journal", self.clock())
        self.do(lambda c: journal.seal(c, key, self.clock()))

    def export(self) -> Path:
        file = self.folder / "journal.jsonl"
        with self.store.engine.connect() as connection:
            file.write_text("".join(lines(journal.whole(connection))))
        return file

    def restore(self, place: Place | None = None, **changes: Any) -> recovery.Restored:
        given: dict[str, Any] = {
            "master": MASTER, "since": None, "replace": True, "tries": 1, "now": self.clock(), "rng": secrets.token_bytes,
        } | changes  # fmt: skip
        source = given.pop("source", self.backup)
        restored = recovery.restore(place or self.place, source, **given)
        self.ring = keys.open_ring((place or self.place).keys, MASTER)
        self.serve(self.store)
        return restored

    def rows(self, store: Store | None = None) -> dict[str, list[Any]]:
        with (store or self.store).engine.connect() as connection:
            tables = (table for table in metadata.sorted_tables)
            return {
                table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
                for table in tables
            }


@pytest.fixture
def drill(database_url: str, tmp_path: Path) -> Iterator[Drill]:
    drill = Drill(database_url, tmp_path)
    yield drill
    drill.store.close()


def answer(phone: TestPhone, code: str = CODE) -> str:
    return str(phone.instruct(code).body["outcome"])


CHANGED = {"phones", "journal", "status_lists"}
"""What coming back changes: tries, the row that tells of it, credentials nobody knows."""


@pytest.fixture(params=["sqlite", "postgresql"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty database without a schema."""
    url = f"sqlite:///{tmp_path}/elsewhere.db"
    if request.param == "postgresql":
        cluster = request.getfixturevalue("cluster")
        url = cluster.url(cluster.create())
    store = Store(url)
    yield store
    store.close()


def test_what_comes_back_is_what_was_there_on_either_kind_of_database(
    drill: Drill, elsewhere: Store, tmp_path: Path
) -> None:
    for number in range(3):
        phone = drill.enrol(str(number), f"{number:020}")
    drill.suspend("1".rjust(20, "0"))
    share, before = phone.share(phone.instruct()), drill.rows()
    drill.back_up()
    assert stat.S_IMODE(drill.backup.stat().st_mode) == 0o600
    drill.store.close()
    (tmp_path / "elsewhere").mkdir()
    restored = drill.restore(Place(elsewhere.engine, tmp_path / "elsewhere" / "keys.bin", MASTER), replace=False)
    drill.serve(elsewhere)
    after = drill.rows()
    assert {name: rows for name, rows in after.items() if name not in CHANGED | recovery.ONE_TIME} == {
        name: rows for name, rows in before.items() if name not in CHANGED | recovery.ONE_TIME
    }
    assert restored.rows["phones"] == 3 and len(after["phones"]) == 3
    assert after["journal"][:-1] == before["journal"] and after["journal"][-1][2] == "restored"
    assert phone.share(phone.instruct()) == share
    assert drill.enrol("new", "9" * 20) and len(drill.rows()["phones"]) == 4


def test_the_phone_goes_on_after_its_server_fell_back(drill: Drill) -> None:
    """Its numbers are ahead of the server's: no clone, no new enrolment."""
    phone = drill.enrol()
    drill.back_up()
    assert [answer(phone), answer(phone, WRONG), answer(phone)] == ["done", "code_wrong", "done"]
    sequence = phone.sequence
    drill.restore()
    assert drill.row(phone).sequence < sequence
    assert [answer(phone), answer(phone)] == ["done", "done"]
    assert drill.state(phone) == "active"


@pytest.mark.parametrize("wrong", [0, 1, 4, 13, 15])
def test_no_try_comes_back(drill: Drill, wrong: int) -> None:
    """However many were used before or after the backup: one is left, and one right code makes all well."""
    phone, other = drill.enrol("1", "1" * 20), drill.enrol("2", "2" * 20)
    for number in range(wrong):
        if number == wrong // 2:
            drill.back_up()
        assert answer(phone, WRONG) == "code_wrong"
        drill.clock.advance(hours=2)
    if wrong == 0:
        drill.back_up()
    drill.restore()
    assert drill.row(phone).used == drill.row(other).used == 15
    assert (answer(phone, WRONG), answer(phone)) == ("account_locked", "account_locked")
    assert [answer(other), answer(other, WRONG), answer(other)] == ["done", "code_wrong", "done"]


def test_what_was_locked_stays_locked_and_an_operator_may_leave_a_round(drill: Drill) -> None:
    phone, other = drill.enrol("1", "1" * 20), drill.enrol("2", "2" * 20)
    for _ in range(16):
        answer(phone, WRONG)
        drill.clock.advance(hours=2)
    drill.back_up()
    drill.restore(tries=4)
    assert (answer(phone), drill.row(other).used) == ("account_locked", 12)
    assert [answer(other, WRONG) for _ in range(3)] == ["code_wrong"] * 3
    assert answer(other) == "done"


def test_an_operator_may_leave_no_try_at_all(drill: Drill) -> None:
    """Everybody enrols again, under the account they had."""
    phone = drill.enrol("1", "1" * 20)
    drill.back_up()
    drill.restore(tries=0)
    assert answer(phone) == "account_locked"
    again = drill.enrol("1", "2" * 20)
    assert answer(again) == "done" and drill.row(phone) is None


def test_an_instruction_of_before_is_worth_nothing(drill: Drill) -> None:
    """Neither one that was done since the backup, nor one whose challenge was drawn and not used."""
    phone = drill.enrol()
    drill.back_up()
    sent, unsent = phone.sign(), phone.sign()
    assert drill.perform(sent).body["outcome"] == "done"
    drill.restore()
    assert [drill.perform(one).status for one in (sent, unsent)] == [401, 401]
    assert (drill.state(phone), answer(phone)) == ("active", "done")


def test_what_is_good_once_is_in_no_backup(drill: Drill) -> None:
    phone = drill.enrol()
    phone.instruct(purpose="approve", about=b"request.42")
    assert drill.rows()["approvals"] and drill.rows()["challenges"]
    drill.back_up()
    drill.restore()
    assert not any(drill.rows()[name] for name in recovery.ONE_TIME)


def test_what_the_exported_journal_tells_of_holds_again(drill: Drill) -> None:
    """Suspended, changed and closed since the backup; one that was left alone stays as it is."""
    phones = {name: drill.enrol(name, name * 20) for name in "12345"}
    drill.seal()
    drill.back_up()
    drill.suspend("1" * 20)
    assert phones["2"].instruct(purpose="close", about=b"close").status == 200
    drill.enrol("3", "6" * 20)
    drill.enrol("7", "7" * 20)
    for _ in range(16):
        answer(phones["4"], WRONG)
        drill.clock.advance(hours=2)
    drill.seal()
    export = drill.export()
    restored = drill.restore(since=export)
    assert (restored.suspended, restored.erased) == (3, 1)
    assert [drill.state(phones[name]) for name in "134"] == ["suspended"] * 3
    assert drill.row(phones["2"]) is None and answer(phones["5"]) == "done"
    drill.seal()
    assert [row[2] for row in drill.rows()["journal"]][-5:] == ["account_suspended"] * 3 + [
        "account_closed",
        "restored",
    ]


def test_the_gap_is_declared_to_whoever_keeps_checkpoints(drill: Drill) -> None:
    drill.enrol()
    drill.seal()
    drill.back_up()
    drill.enrol("later", "1" * 20)
    drill.seal()
    key = drill.ring.signing("journal", drill.clock())
    with drill.store.engine.connect() as connection:
        kept = journal.checkpoint(connection, key, drill.clock())
        sealed = journal.last_sealed(connection)
    drill.clock.advance(minutes=5)
    restored = drill.restore()
    drill.seal()
    known = journal.public_keys(drill.ring.signing_all("journal"))
    with drill.store.engine.connect() as connection:
        (said,) = journal.read_checkpoints([str(kept).encode()], known)
        found = journal.verify_parts(journal.whole(connection), known, checkpoints=[said])
    assert restored.backup_last < sealed and len(found.declared) == 1


@pytest.mark.parametrize("which", ["another journal", "of before", "cut", "changed"])
def test_a_journal_that_does_not_continue_the_backup_is_refused(drill: Drill, tmp_path: Path, which: str) -> None:
    drill.enrol()
    drill.seal()
    export = drill.export()
    drill.enrol("2", "2" * 20)
    drill.seal()
    drill.back_up()
    before = drill.rows()
    if which == "another journal":
        (tmp_path / "other").mkdir()
        with drill.store.engine.execution_options(alicem_writes=True).begin() as connection:
            connection.execute(text("delete from journal_segments"))
        drill.clock.advance(minutes=1)
        drill.seal()
        export, before = drill.export(), drill.rows()
    if which == "cut":
        export.write_bytes(drill.export().read_bytes()[:-40])
    if which == "changed":
        export.write_text(drill.export().read_text().replace("account_activated", "account_suspended", 1))
    with pytest.raises((Lost, journal.JournalBroken, journal.export.NotAnExport)):  # type: ignore[attr-defined]
        drill.restore(since=export)
    assert drill.rows() == before


def test_credentials_nobody_knows_count_as_revoked(drill: Drill) -> None:
    known = drill.row(drill.enrol()).status_index
    drill.back_up()
    later = drill.row(drill.enrol("later", "1" * 20)).status_index
    drill.restore()
    told = drill.do(lambda c: [status.current(c, index) for index in (known, later)])
    assert told == [status.Status.VALID, status.Status.REVOKED]
    told = drill.do(lambda c: status.status_list(c, 0, drill.ring.signing("status", drill.clock()), "o", drill.clock()))
    published = zlib.decompress(unb64(json.loads(unb64(told.split(".")[1]))["status_list"]["lst"]))
    assert [published[index // 4] >> 2 * (index % 4) & 3 for index in (known, later)] == [0, 1]
    assert sum(byte != 0b01010101 for byte in published) == 1
    fresh = {drill.row(drill.enrol(str(n), str(n) * 20)).status_index for n in (2, 3)}
    assert all(index >= 16 * status.SIZE for index in fresh)


def test_a_database_with_something_in_it_is_not_replaced_by_mistake(drill: Drill) -> None:
    drill.enrol()
    drill.back_up()
    before = drill.rows()
    with pytest.raises(NotEmpty):
        drill.restore(replace=False)
    assert drill.rows() == before


def test_an_account_that_ended_since_does_not_come_back_under_its_key(drill: Drill) -> None:
    """The ring that is here knows of a key what the backup cannot: it was compromised, or is followed."""
    phone = drill.enrol()
    drill.back_up()
    file = drill.folder / "keys.bin"
    old = drill.ring.signing("issuer", drill.clock()).kid
    for step in (
        lambda r: keys.rotated(r, ("issuer", "at_rest"), drill.clock(), secrets.token_bytes, "x", at_once=True),
        lambda r: keys.retired(r, old, drill.clock(), 0, compromised=True),
        lambda r: keys.retired(r, r.living("at_rest")[1].kid, drill.clock(), 0),
    ):
        keys.change(file, MASTER, step, secrets.token_bytes)
    drill.restore()
    assert old not in [key.kid for key in drill.ring.signing_all("issuer")]
    assert len(drill.ring.living("at_rest")) == 2 and answer(phone) == "done"


def test_the_backup_of_another_installation_is_refused(drill: Drill, tmp_path: Path) -> None:
    drill.enrol()
    drill.back_up()
    before = drill.rows()
    (drill.folder / "keys.bin").unlink()
    keys.create(drill.folder / "keys.bin", MASTER, now=drill.clock(), rng=secrets.token_bytes, host="x")
    with pytest.raises(KeysError, match="another installation"):
        drill.restore()
    assert drill.rows() == before


def _flip(data: bytes) -> bytes:
    return data[:200] + bytes([data[200] ^ 1]) + data[201:]


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda data: b"ALB2" + data[4:], "not a backup of version 1"),
        (lambda data: b"", "not a backup"),
        (lambda data: data[:30], "not a backup"),
        (lambda data: data[:36], "does not open"),
        (_flip, "damaged"),
        (lambda data: data[:-1], "damaged"),
        (lambda data: data + b"\0", "damaged"),
    ],
)
def test_a_damaged_backup_is_refused_before_anything_is_touched(
    drill: Drill, harm: Callable[[bytes], bytes], words: str
) -> None:
    drill.enrol()
    drill.back_up()
    drill.backup.write_bytes(harm(drill.backup.read_bytes()))
    before, ring = drill.rows(), (drill.folder / "keys.bin").read_bytes()
    with pytest.raises(NotABackup, match=words):
        drill.restore()
    assert drill.rows() == before and (drill.folder / "keys.bin").read_bytes() == ring


def test_another_master_key_is_refused(drill: Drill) -> None:
    drill.enrol()
    drill.back_up()
    with pytest.raises(NotABackup, match="another master key"):
        drill.restore(master=b"n" * 32)


LINES = [
    b'{"backup": 1, "schema": "0005", "at": 1, "keys": ""}',
    b'{"table": "face_tries", "columns": ["id", "fingerprint", "at", "counted"]}',
    b'[1, "x", 1, 1]',
    b'{"end": {"face_tries": 1}}',
]


@pytest.mark.parametrize(
    ("altered", "error"),
    [
        ({0: b'{"backup": 2}'}, NotABackup),
        ({0: b"[]"}, NotABackup),
        ({0: b'{"backup": 1, "schema": "9999", "at": 1, "keys": "KEYS"}'}, UnknownSchema),
        ({0: b'{"backup": 1, "schema": "", "at": 1, "keys": "KEYS"}'}, UnknownSchema),
        ({0: b'{"backup": 1, "schema": "0005", "at": 1e30, "keys": "KEYS"}'}, NotABackup),
        ({0: b"[" * 100_000}, NotABackup),
        ({1: b'{"table": "strangers", "columns": []}'}, NotABackup),
        ({2: b'[1, "x", 1]'}, NotABackup),
        ({2: b"not json"}, NotABackup),
        ({2: b"[" * 100_000}, NotABackup),
        ({2: b"[1" + b"0" * 30 + b', "x", 1, 1]'}, NotABackup),
        ({2: b"[1, null, 1, 1]"}, NotABackup),
        ({1: b'{"table": "accounts", "columns": ["number"]}', 2: b'["x"]'}, NotABackup),
        ({1: b'{"table": "phones", "columns": ["id"]}', 2: b'["x"]'}, NotABackup),
        ({3: b'{"end": {"face_tries": 2}}'}, NotABackup),
        ({3: b'[2, "x", 1, 1]'}, NotABackup),
    ],
)
def test_a_backup_of_another_shape_is_refused_and_nothing_is_touched(
    drill: Drill, altered: dict[int, bytes], error: type[Exception]
) -> None:
    drill.enrol()
    before = drill.rows()
    ring = base64.b64encode((drill.folder / "keys.bin").read_bytes())
    head = LINES[0].replace(b'"keys": ""', b'"keys": "' + ring + b'"')
    told = [altered.get(place, head if place == 0 else line) for place, line in enumerate(LINES)]
    with drill.backup.open("wb") as file:
        seal(file, MASTER, (line.replace(b"KEYS", ring) + b"\n" for line in told), os.urandom)
    with pytest.raises(error):
        drill.restore()
    assert drill.rows() == before


def test_a_restore_that_fails_late_changes_nothing(drill: Drill) -> None:
    """Every row is in place when the exported journal turns out not to be there."""
    drill.enrol()
    drill.back_up()
    drill.enrol("2", "2" * 20)
    before, ring = drill.rows(), (drill.folder / "keys.bin").read_bytes()
    with pytest.raises(FileNotFoundError):
        drill.restore(since=drill.folder / "absent.jsonl")
    assert drill.rows() == before and (drill.folder / "keys.bin").read_bytes() == ring


def test_a_backup_taken_while_people_come_is_of_one_moment(drill: Drill) -> None:
    """Accounts have their phones, whatever is written meanwhile."""
    done = threading.Event()

    def enrol_on() -> None:
        number = 0
        while not done.is_set():
            number += 1
            drill.enrol(f"n{number}", f"{number:020}", activate=False)

    for number in range(30):
        drill.enrol(f"first{number}", f"9{number:019}", activate=False)
    writing = threading.Thread(target=enrol_on)
    writing.start()
    try:
        drill.back_up()
    finally:
        done.set()
        writing.join()
    drill.restore()
    rows = drill.rows()
    assert len(rows["accounts"]) == len(rows["phones"]) >= 30
    assert {row[0] for row in rows["accounts"]} == {row[1] for row in rows["phones"]}


@given(st.lists(st.binary(max_size=300)), st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_a_sealed_file_gives_back_its_lines(given_lines: list[bytes], long: int) -> None:
    told = [line.replace(b"\n", b"") for line in [*given_lines, *(os.urandom(90_000) for _ in range(long))]]
    file = io.BytesIO()
    seal(file, MASTER, (line + b"\n" for line in told), os.urandom)
    file.seek(0)
    assert list(unseal(file, MASTER)) == told


def test_pieces_of_a_sealed_file_neither_move_nor_go(tmp_path: Path) -> None:
    file = io.BytesIO()
    seal(file, MASTER, [os.urandom(400_000).replace(b"\n", b"") + b"\n"], os.urandom)
    whole, piece = file.getvalue(), 64 * 1024 + 16
    at = [36 + piece * number for number in range(4)]
    for altered in (
        whole[: at[1]] + whole[at[2] :],
        whole[: at[1]],
        whole[: at[0]] + whole[at[1] : at[2]] + whole[at[0] : at[1]] + whole[at[2] :],
        whole + whole[at[1] : at[2]],
    ):
        with pytest.raises(NotABackup):
            list(unseal(io.BytesIO(altered), MASTER))


def test_a_database_without_a_schema_takes_a_backup_back(drill: Drill, tmp_path: Path) -> None:
    drill.enrol()
    drill.back_up()
    (tmp_path / "fresh").mkdir()
    fresh = Store(f"sqlite:///{tmp_path}/fresh/alicem.db")
    place = Place(fresh.engine, tmp_path / "fresh" / "keys.bin", MASTER)
    recovery.restore(
        place, drill.backup, master=MASTER, since=None, replace=False, tries=1, now=drill.clock(), rng=os.urandom
    )
    upgrade(fresh.engine)
    assert len(drill.rows(fresh)["accounts"]) == 1
    fresh.close()


def test_no_secret_lies_in_a_backup_unsealed(drill: Drill) -> None:
    drill.enrol()
    drill.back_up()
    data = drill.backup.read_bytes()
    for row in drill.rows()["phones"]:
        assert not any(value in data for value in row if isinstance(value, bytes) and len(value) > 8)
        assert not any(value.encode() in data for value in row if isinstance(value, str) and len(value) > 12)
    assert suspension.digest("0" * 20) not in data


MANY = (
    "INSERT INTO journal (number, at, event, digest, salt, content) "
    "WITH RECURSIVE g (n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM g WHERE n < 16000) "
    "SELECT n, n, 'signed_in', {}, {}, {} FROM g"
)
BYTES = {"sqlite": "randomblob(300)", "postgresql": "decode(repeat(md5(n::text), 20), 'hex')"}


def test_memory_does_not_grow_with_the_database(drill: Drill) -> None:
    """Some fifteen megabytes of rows, written and read in pieces."""
    some = BYTES[drill.store.engine.dialect.name]
    drill.do(lambda c: c.execute(text(MANY.format(some, some, some))).rowcount)
    tracemalloc.start()
    try:
        drill.back_up()
        drill.restore()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(drill.rows()["journal"]) == 15_002 and most < 8 << 20

"""The journal: any change, gap, cut or reordering shows; erasing what a row says does not."""

import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from alicem import journal, keys
from alicem.journal.chain import JournalBroken, merkle_root
from alicem.journal.records import erase_content
from alicem.keys import KeyRing
from alicem.store import Store

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return keys.create(tmp_path / "k", b"m" * 32, now=NOW, rng=secrets.token_bytes, host="x")


@pytest.fixture
def connection(database_url: str, ring: KeyRing) -> Iterator[Connection]:
    """Three segments of five rows, two rows waiting."""
    store = Store(database_url)
    with store.engine.begin() as connection:
        for number in range(17):
            journal.append(
                connection, NOW, "code_changed", secrets.token_bytes, account=number % 3, content={"n": number}
            )
            if number % 5 == 4:
                assert journal.seal(connection, ring.signing("journal", NOW), NOW) == 5
        yield connection
    store.close()


def test_a_whole_journal_verifies(connection: Connection, ring: KeyRing) -> None:
    assert journal.verify(connection, ring.signing_all("journal")) == 15
    assert journal.seal(connection, ring.signing("journal", NOW), NOW) == 2
    assert journal.seal(connection, ring.signing("journal", NOW), NOW) == 0
    assert journal.verify(connection, ring.signing_all("journal")) == 17


def test_erasing_content_keeps_the_chain(connection: Connection, ring: KeyRing) -> None:
    erase_content(connection, 1)
    assert journal.verify(connection, ring.signing_all("journal")) == 15
    left = connection.exec_driver_sql(
        "select count(*) from journal where account = 1 or (salt is null) <> (content is null)"
    ).scalar()
    assert left == 0


@pytest.mark.parametrize(
    "change",
    [
        "update journal set event = 'account_closed' where number = 7",
        "update journal set at = at + 1 where number = 7",
        "update journal set content = x'7b7d' where number = 7",
        "update journal set digest = x'00' where number = 7",
        "delete from journal where number = 7",
        "delete from journal where number between 6 and 10",
        "delete from journal_segments where number = 2",
        "delete from journal_segments where number = 1",
        "update journal_segments set last = 9 where number = 2",
        "update journal_segments set at = at - 60 where number = 2",
        "update journal_segments set root = previous where number = 2",
        "update journal_segments set seal = (select seal from journal_segments where number = 1) where number = 2",
        "update journal_segments set seal = 'x.y.z' where number = 3",
        "update journal set number = number + 100 where number = 7",
    ],
)
def test_every_change_shows(connection: Connection, ring: KeyRing, change: str) -> None:
    if connection.dialect.name == "postgresql":
        change = re.sub(r"x'(\w+)'", r"'\\x\1'", change)
    connection.exec_driver_sql(change)
    with pytest.raises(JournalBroken):
        journal.verify(connection, ring.signing_all("journal"))


def test_seals_of_a_stranger_do_not_count(connection: Connection, tmp_path: Path) -> None:
    stranger = keys.create(tmp_path / "other", b"m" * 32, now=NOW, rng=secrets.token_bytes, host="x")
    with pytest.raises(JournalBroken):
        journal.verify(connection, stranger.signing_all("journal"))


def test_the_merkle_root_of_rfc_6962() -> None:
    """RFC 6962 §2.1.3's structure over the leaves of the reference implementation's test."""
    leaves = [
        bytes.fromhex(text)
        for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
    ]
    assert merkle_root(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    assert merkle_root(leaves[:3]).hex() == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=40), st.data())
def test_one_changed_leaf_changes_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    changed = [*leaves[:index], leaves[index] + b"!", *leaves[index + 1 :]]
    assert merkle_root(changed) != merkle_root(leaves)

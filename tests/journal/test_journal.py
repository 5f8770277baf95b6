"""The journal: rows, seals, what is erased, what waits, and the tree under a seal."""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journals import ERASED, NOW, new_key, stored, written
from sqlalchemy import Connection

from alicem import journal
from alicem.journal import public_keys, verify_parts
from alicem.journal.chain import OF_ACCOUNTS, merkle_root
from alicem.journal.records import Window, erase_content
from alicem.store import Store

KEY = new_key()


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with written(database_url, KEY) as connection:
        yield connection


def test_a_whole_journal_verifies_and_says_what_it_is_made_of(connection: Connection) -> None:
    assert journal.verify(connection, [KEY]) == 15
    found = verify_parts(journal.whole(connection), public_keys([KEY]))
    assert (found.sealed, found.segments, found.sealed_by) == (15, 3, {KEY.kid: 3})
    assert (found.unsealed, found.erased, found.ended, found.pruned, found.declared) == (2, 7, 0, 0, ())
    assert found.sealed_at == int((NOW + timedelta(minutes=2)).timestamp())
    assert found.oldest_unsealed == int((NOW + timedelta(minutes=3)).timestamp())


def test_what_waits_is_sealed_once(connection: Connection) -> None:
    later = NOW + timedelta(minutes=3, seconds=7)
    assert journal.window(connection, later) == Window(15, 2, 7)
    assert journal.seal(connection, KEY, NOW) == 2
    assert journal.window(connection, later) == Window(17, 0, 0)
    assert journal.seal(connection, KEY, NOW) == 0
    assert journal.verify(connection, [KEY]) == 17


def test_an_empty_journal_holds(database_url: str) -> None:
    store = Store(database_url)
    with store.engine.begin() as connection:
        assert journal.seal(connection, KEY, NOW) == 0
        assert journal.verify(connection, [KEY]) == 0
        assert journal.checkpoint(connection, KEY, NOW) is None
        assert journal.window(connection, NOW) == Window(0, 0, 0)
    store.close()


def test_erasing_takes_account_salt_and_content_and_keeps_the_chain(connection: Connection) -> None:
    erase_content(connection, 1)
    assert journal.verify(connection, [KEY]) == 15
    for row in stored(connection)[1]:
        gone = row.event in (b"account_enrolled", b"code_changed")
        assert (row.account, row.salt, row.content) == (None, None, None) if gone else row.account is None
    assert journal.seal(connection, KEY, NOW) == 2
    assert journal.verify(connection, [KEY]) == 17


def test_a_digest_says_nothing_without_its_salt(connection: Connection) -> None:
    """The same content twice: other salts, other digests."""
    digests = [row.digest for row in stored(connection)[1] if row.event == b"signed_in"]
    assert len(set(digests)) == len(digests) == 3
    guess = b'{"level":"eidas3"}'
    assert hashlib.sha256(guess).digest() not in digests


@pytest.mark.parametrize("event", ["signed_in", "sign_in_refused", "enrolment_refused", "account_closed", "pruned"])
def test_these_rows_never_name_an_account(connection: Connection, event: str) -> None:
    assert event not in OF_ACCOUNTS
    with pytest.raises(ValueError, match=f"a row of {event} names no account"):
        journal.append(connection, NOW, event, secrets.token_bytes, account=ERASED)


def test_seals_of_a_key_that_was_followed_by_another_go_on_to_count(connection: Connection) -> None:
    following = new_key("journal-20271121-000002")
    assert journal.seal(connection, following, NOW) == 2
    found = verify_parts(journal.whole(connection), public_keys([following, KEY]))
    assert found.sealed_by == {KEY.kid: 3, following.kid: 1}


def test_a_seal_covers_ten_thousand_rows_at_most(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    with store.engine.execution_options(alicem_writes=True).begin() as connection:
        for _ in range(10_003):
            journal.append(connection, NOW, "signed_in", secrets.token_bytes)
        assert [journal.seal(connection, KEY, NOW) for _ in range(3)] == [10_000, 3, 0]
        assert journal.verify(connection, [KEY]) == 10_003
    store.close()


# The tree


def defined(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 §2.1 word for word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + defined(leaves[:half]) + defined(leaves[half:])).digest()


def test_the_merkle_root_of_rfc_6962() -> None:
    """RFC 6962 §2.1.3's structure over the leaves of the reference implementation's test."""
    leaves = [
        bytes.fromhex(text)
        for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
    ]
    assert merkle_root(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    assert merkle_root(leaves[:3]).hex() == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"


@given(st.lists(st.binary(max_size=20), max_size=70))
def test_level_by_level_gives_the_tree_as_defined(leaves: list[bytes]) -> None:
    assert merkle_root(leaves) == defined(leaves)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=40), st.data())
def test_one_changed_leaf_changes_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    changed = [*leaves[:index], leaves[index] + b"!", *leaves[index + 1 :]]
    assert merkle_root(changed) != merkle_root(leaves)

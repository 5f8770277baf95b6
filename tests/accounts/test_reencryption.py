"""The at-rest key turns while people use their codes, and the earlier one goes once no row needs it."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from pathlib import Path

import pytest
from account_world import CODE, World

from alicem import keys
from alicem.accounts import records
from alicem.accounts.reencryption import reencrypt, rows_under
from alicem.keys import Keys, KeysError, document_fingerprints


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> World:
    return World(database_url, tmp_path)


def turn(world: World, purpose: str) -> tuple[str, str]:
    """Kids of the key before and of the one in use now."""
    assert isinstance(world.ring, Keys)
    old = world.ring.secret(purpose, world.clock()).kid
    world.ring = keys.rotated(world.ring, (purpose,), world.clock(), secrets.token_bytes, "localhost")
    world.clock.advance(hours=2)
    world.serve(world.store)
    return old, world.ring.secret(purpose, world.clock()).kid


def under(world: World, kid: str) -> int:
    return int(world.do(lambda c: rows_under(c, kid)))


def test_every_ciphertext_moves_and_opens(world: World) -> None:
    phones = [world.enrol(str(number), f"{number:020}") for number in range(3)]
    shares = [phone.share(phone.instruct()) for phone in phones]
    old, new = turn(world, "at_rest")
    assert (under(world, old), under(world, new)) == (3, 0)
    assert [phone.share(phone.instruct()) for phone in phones] == shares
    with pytest.raises(KeysError, match="3 rows"):
        keys.retired(world.ring, old, world.clock(), under(world, old))
    assert asyncio.run(reencrypt(world.store, world.ring, now=world.clock(), rng=secrets.token_bytes)) == 3
    assert (under(world, old), under(world, new)) == (0, 3)
    assert asyncio.run(reencrypt(world.store, world.ring, now=world.clock(), rng=secrets.token_bytes)) == 0
    world.ring = keys.retired(world.ring, old, world.clock(), under(world, old))
    world.serve(world.store)
    assert [phone.share(phone.instruct(CODE)) for phone in phones] == shares


def test_a_kid_that_begins_alike_is_another_key(world: World) -> None:
    world.enrol()
    kid = world.ring.secret("at_rest", world.clock()).kid
    assert (under(world, kid), under(world, kid[:-1]), under(world, "%")) == (1, 0, 0)


def test_a_fingerprint_moves_when_the_chip_is_read(world: World) -> None:
    phone = world.enrol()

    def names() -> tuple[str, ...]:
        return document_fingerprints(world.ring, "FRA", "passport", "24AB12345", world.clock())

    account = world.row(phone).account
    world.do(lambda c: records.set_fingerprint(c, account, names()[0]))
    old, new = turn(world, "fingerprint")
    assert (under(world, old), under(world, new)) == (1, 0)
    with pytest.raises(KeysError, match="1 rows"):
        keys.retired(world.ring, old, world.clock() + timedelta(days=3650), under(world, old))
    assert world.do(lambda c: records.by_fingerprints(c, names())) == account
    world.enrol("24AB12345", suspension_code="1" * 20, fingerprints=names())
    assert (under(world, old), under(world, new)) == (0, 1)

"""The Python phone after its server fell back to a backup: it signs in again, and its owner has no more tries than before."""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path

import pytest
from provider_world import CODE, Browser, answer, enrol, fresh_device, make_world, sign_in

from alicem import recovery
from alicem.keys import RingFile
from alicem.keys.file import write
from alicem.phone import manage
from alicem.phone.instruct import WrongCode
from alicem.reasons import Refused
from alicem.recovery import Place

MASTER = b"m" * 32
WRONG = "905714"


def test_a_phone_goes_on_where_its_server_fell_back(database_url: str, tmp_path: Path) -> None:
    world, keys, file = make_world(tmp_path / "w", database=database_url), tmp_path / "keys.bin", tmp_path / "backup"
    write(keys, MASTER, world.ring, os.urandom)  # type: ignore[arg-type]
    world.restart(ring=RingFile(keys, lambda: MASTER, lambda error: pytest.fail(str(error))))
    place = Place(world.store.engine, keys, MASTER)
    try:
        person, clumsy = enrol(world), enrol(world)
        begun = Browser(world)
        begun.open()
        recovery.back_up(place, file, now=world.clock(), rng=secrets.token_bytes)
        for code, right in ((CODE, True), (WRONG, False), (CODE, True)):
            if right:
                asyncio.run(manage.open_identity(fresh_device(person), code))
            else:
                with pytest.raises(WrongCode):
                    asyncio.run(manage.open_identity(fresh_device(person), code))
        now, rng = world.clock(), secrets.token_bytes
        recovery.restore(place, file, master=MASTER, since=None, replace=True, tries=1, now=now, rng=rng)
        assert sign_in(person, Browser(world))["code"]
        assert answer(person, begun) != (200, "done")  # begun before: forgotten, its reference of another key
        with pytest.raises(Refused, match="account_locked"):
            asyncio.run(manage.open_identity(fresh_device(clumsy), WRONG))
        assert sign_in(person, Browser(world))["code"]
    finally:
        world.close()

"""Keys turn while a server runs and people sign in: nobody notices, and what a compromised key signed is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from provider_world import Browser, World, answer, enrol, make_world, redeem, sign_in

from alicem import jose, keys
from alicem.keys import Keys, RingFile
from alicem.keys.file import write
from alicem.keys.purposes import OVERLAP, PURPOSES
from alicem.keys.turning import NEVER

MASTER = b"m" * 32
TURNING = tuple(purpose for purpose in PURPOSES if purpose not in NEVER)


@dataclass
class Running:
    """A server that reads its keys from a file, never started again."""

    world: World
    file: Path

    def change(self, step: Any) -> Keys:
        return keys.change(self.file, MASTER, step, os.urandom)

    def rotate(self, *purposes: str, at_once: bool = False) -> Keys:
        now = self.world.clock()
        return self.change(lambda r: keys.rotated(r, purposes, now, os.urandom, "localhost", at_once=at_once))

    def jwks(self) -> list[str]:
        return [key["kid"] for key in httpx.get(f"{self.world.origin}/jwks").json()["keys"]]

    def id_token(self, person: Any) -> jose.Unverified:
        code = sign_in(person, Browser(self.world))["code"]
        return jose.unpack(redeem(self.world, code).json()["id_token"], "JWT")


def an_hour_earlier(ring: Keys) -> Keys:
    """Keys that wait, as they are after the overlap: phones do not share the test's clock."""

    def begun(key: Any) -> Any:
        return replace(key, used_from=key.used_from - OVERLAP)

    return Keys(tuple(map(begun, ring.signing_keys)), tuple(map(begun, ring.secret_keys)))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    world, file = make_world(tmp_path / "w"), tmp_path / "ring"
    write(file, MASTER, world.ring, os.urandom)  # type: ignore[arg-type]
    world.restart(ring=RingFile(file, lambda: MASTER, lambda error: pytest.fail(str(error))))
    yield Running(world, file)
    world.close()


def test_people_sign_in_through_a_rotation_of_everything(running: Running) -> None:
    person = enrol(running.world)
    before = running.id_token(person)
    across = Browser(running.world)
    across.open()
    running.rotate(*TURNING)
    during = running.id_token(person)
    running.change(an_hour_earlier)
    after = running.id_token(person)
    kids = [one.header["kid"] for one in (before, during, after)]
    assert kids[0] == kids[1] != kids[2] and set(running.jwks()) == set(kids)
    assert len({one.json()["sub"] for one in (before, during, after)}) == 1
    later = enrol(running.world)
    assert running.id_token(later).header["kid"] == kids[2]


def test_a_sign_in_that_was_begun_before_ends_after(running: Running) -> None:
    person, browser = enrol(running.world), Browser(running.world)
    browser.open()
    running.rotate(*TURNING, at_once=True)
    assert answer(person, browser) == (200, "done")


def test_credentials_of_a_compromised_key_are_refused_and_the_next_are_not(running: Running) -> None:
    person = enrol(running.world)
    old = running.world.ring.signing("issuer", running.world.clock()).kid
    running.rotate("issuer", at_once=True)
    browser = Browser(running.world)
    browser.open()
    assert answer(person, browser) == (200, "done")
    now = running.world.clock()
    running.change(lambda ring: keys.retired(ring, old, now, 0, compromised=True))
    browser = Browser(running.world)
    browser.open()
    assert answer(person, browser)[0] == 400
    browser = Browser(running.world)
    browser.open()
    assert answer(enrol(running.world), browser) == (200, "done")


def test_a_compromised_key_of_id_tokens_is_published_no_more(running: Running) -> None:
    old = running.world.ring.signing("signing", running.world.clock()).kid
    (new,) = (key.kid for key in running.rotate("signing", at_once=True).living("signing") if key.kid != old)
    assert running.jwks() == [new, old]
    now = running.world.clock()
    running.change(lambda ring: keys.retired(ring, old, now, 0, compromised=True))
    assert running.jwks() == [new]

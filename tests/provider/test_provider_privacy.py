"""After a sign-in, and at every moment of it, the database holds nothing of a person; two federations' sign-ins leave the same shape."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from provider_world import Browser, Person, World, answer, enrol, make_world, redeem, userinfo

from alicem import provider
from alicem.evidence import CivilIdentity, Gender, PartialDate
from alicem.provider import records

LONG = CivilIdentity(
    family_name="DESMOULINS-QUÉRÉ",
    given_names="Hippolyte Théodorine",
    preferred_username="Vaucanson-Lagadec",
    birthdate=PartialDate(1962, 8, 24),
    gender=Gender.FEMALE,
    birthplace_cog="75107",
    birthcountry_cog="99100",
    nationality="FRA",
)
"""Values long enough that none is found by chance in what is encrypted."""


def encodings(text: str) -> Iterator[bytes]:
    """A value as a database might carry it: in clear, in capitals, base64 at each alignment, hex."""
    for data in {text.encode(), text.encode("latin-1"), text.upper().encode(), text.lower().encode()}:
        yield data
        yield data.hex().encode()
        for shift in range(3):
            encoded = base64.b64encode(b"\0" * shift + data)[(shift * 8 + 5) // 6 : -4]
            yield encoded
            yield encoded.replace(b"+", b"-").replace(b"/", b"_")


def personal(person: Person) -> list[str]:
    identity = person.identity
    return [
        identity.family_name,
        identity.given_names,
        *identity.given_names.split(),
        identity.preferred_username or "",
        str(identity.birthdate),
        person.email,
    ]


def found_in(folder: Path, texts: list[str]) -> set[str]:
    """Which of the texts are somewhere in the files of the database."""
    data = b"".join(file.read_bytes() for file in folder.glob("alicem.db*"))
    return {text for text in texts if any(len(one) > 7 and one in data for one in encodings(text))}


def subjects_in(folder: Path, subject: str) -> bool:
    return any(subject.encode() in file.read_bytes() for file in folder.glob("alicem.db*"))


def test_the_search_finds_what_is_planted(own_world: World) -> None:
    person = enrol(own_world, LONG)
    planted = base64.urlsafe_b64encode(b"xx" + LONG.family_name.encode() + b"yyyy").decode()
    browser = Browser(own_world)
    browser.open(state=planted)
    assert LONG.family_name in found_in(own_world.folder, personal(person))


def test_nothing_of_a_person_is_ever_in_the_database(own_world: World) -> None:
    person, browser = enrol(own_world, LONG), Browser(own_world)
    folder, texts = own_world.folder, personal(person)
    browser.open()
    cookie = browser.cookie.partition(".")[2]
    assert found_in(folder, texts) == set()
    answer(person, browser)
    assert found_in(folder, texts) == set()
    code = browser.finish()["code"]
    assert found_in(folder, texts) == set()
    token = redeem(own_world, code).json()["access_token"]
    assert found_in(folder, texts) == set()
    told = userinfo(own_world, token).json()
    assert told["family_name"] == LONG.family_name
    assert found_in(folder, texts) == set()
    for secret in (told["sub"], code, token, cookie):
        assert not subjects_in(folder, secret)


def test_nothing_of_a_sign_in_is_left(own_world: World) -> None:
    person, browser = enrol(own_world), Browser(own_world)
    browser.open()
    answer(person, browser)
    userinfo(own_world, redeem(own_world, browser.finish()["code"]).json()["access_token"])
    with sqlite3.connect(own_world.folder / "alicem.db") as database:
        for table in ("signins", "codes", "access_tokens", "approvals"):
            assert database.execute(f"select count(*) from {table}").fetchone() == (0,)  # noqa: S608


def shape(world: World) -> list[tuple[str, tuple[object, ...]]]:
    """Every row of every table: each value by its kind and length, what the client itself wrote left out."""
    own_words = {"client_id", "state", "nonce"}
    found = []
    with sqlite3.connect(world.folder / "alicem.db") as database:
        tables = [row[0] for row in database.execute("select name from sqlite_master where type='table' order by name")]
        for table in tables:
            cursor = database.execute(f"select * from {table}")  # noqa: S608
            names = [one[0] for one in cursor.description]
            for row in cursor:
                cells = zip(names, row, strict=True)
                kinds = tuple((name, type(cell).__name__, size(cell)) for name, cell in cells if name not in own_words)
                found.append((table, kinds))
    return found


def size(cell: object) -> int:
    return len(cell) if isinstance(cell, str | bytes) else 0


def test_two_federations_leave_the_same_shape_at_every_step(tmp_path: Path) -> None:
    shapes = []
    for number, client in enumerate(("fc-plus", "fc")):
        world = make_world(tmp_path / str(number))
        try:
            # a waiting row carries the client's own words: its name inside the signed request, its state, its scopes
            person, browser = enrol(world), Browser(world)
            browser.open(client_id=client, state="s" * 64, nonce="n" * 64)
            answer(person, browser)
            approved = [one for one in shape(world) if one[0] != "signins"]
            code = browser.finish()["code"]
            redeemed = shape(world)
            token = redeem(world, code, client_id=client).json()["access_token"]
            spent = shape(world)
            userinfo(world, token)
            shapes.append((approved, redeemed, spent, shape(world)))
        finally:
            world.close()
    assert shapes[0] == shapes[1]


def test_time_erases_what_nobody_fetched(own_world: World) -> None:
    person = enrol(own_world)
    waiting, approved, coded, tokened = (Browser(own_world) for _ in range(4))
    for browser in (waiting, approved, coded, tokened):
        browser.open()
    for browser in (approved, coded, tokened):
        answer(person, browser)
    coded.finish()
    redeem(own_world, tokened.finish()["code"])
    own_world.clock.advance(301)
    own_world.do(lambda c: provider.expire(c, own_world.clock()))
    left = own_world.do(lambda c: c.execute(records.signins.select()).all())
    assert len(left) == 2 and all(row.claims is None for row in left)
    for table in (records.codes, records.access_tokens):
        assert own_world.do(lambda c, table=table: c.execute(table.select()).all()) == []
    own_world.clock.advance(3600)
    own_world.do(lambda c: provider.expire(c, own_world.clock()))
    assert own_world.do(lambda c: c.execute(records.signins.select()).all()) == []
    assert waiting.get("/signin/continue").status_code == 400

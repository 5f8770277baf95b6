"""Thieves, each with what they took, at every deed. What came off and what did not is the table of docs/threat-model.md: this test makes it,
and fails where the page says anything else."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import deeds
import pytest
from deeds import Loot
from provider_world import CODE, Browser, Person, World, approve, enrol, fresh_device, make_world
from sqlalchemy import update

from alicem.accounts.tables import accounts
from alicem.keys import document_fingerprints
from alicem.phone import manage
from alicem.reasons import Refused

PAGE = Path(__file__).parents[2] / "docs" / "threat-model.md"
BEGIN, END = "<!-- thieves: made by tests/thieves -->\n", "<!-- /thieves -->"

DEEDS: tuple[Callable[[Loot], bool], ...] = (
    deeds.open_the_vault,
    deeds.name_the_holder,
    deeds.test_codes,
    deeds.sign_in,
    deeds.find_a_document,
    deeds.forge_a_credential,
    deeds.forge_an_id_token,
    deeds.suspend_the_account,
)
AT_A_PHONE = (deeds.act_with_the_code, deeds.stay_unnoticed, deeds.try_more_than_sixteen)

THIEVES = {
    "database": ("database",),
    "database and key ring": ("database", "ring"),
    "phone": ("phone",),
    "phone and database": ("phone", "database"),
    "all three": ("phone", "database", "ring"),
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = make_world(tmp_path / "world")
    yield world
    world.close()


def victim(world: World) -> Person:
    """Somebody enrolled who has signed in once."""
    person, browser = enrol(world), Browser(world)
    browser.open()
    assert approve(person, browser) == "done"
    return person


def take(world: World, what: tuple[str, ...], folder: Path) -> Loot:
    """Copies of what the newest victim and the provider have, as a thief gets them."""
    loot = Loot(world, ring=world.ring if "ring" in what else None)
    folder.mkdir()
    if "phone" in what:
        loot.phone = Path(shutil.copytree(world.folder / f"phone{world.people}", folder / "phone"))
    if "database" in what:
        with world.store.engine.connect() as connection:
            connection.exec_driver_sql("pragma wal_checkpoint(full)")
        loot.database = Path(shutil.copy(world.folder / "alicem.db", folder / "stolen.db"))
    return loot


def owner_goes_on(person: Person) -> None:
    """The owner opens their identity at their own phone, whatever comes of it."""
    try:
        asyncio.run(manage.open_identity(fresh_device(person), CODE))
    except Refused:
        return


def commit(world: World, what: tuple[str, ...], folder: Path) -> dict[str, bool]:
    """Each deed, and whether it came off."""
    victim(world)
    name = document_fingerprints(world.ring, "FRA", "passport", deeds.NUMBERS[1], datetime.now(UTC))[0]
    world.do(lambda c: c.execute(update(accounts).values(fingerprint=name)))
    loot = take(world, what, folder / "loot")
    done = {words(deed): deed(loot) for deed in DEEDS}
    for number, deed in enumerate(AT_A_PHONE if "phone" in what else ()):
        done[words(deed)] = at_a_phone(world, deed, folder / f"phone{number}")
    return done


def at_a_phone(world: World, deed: Callable[[Loot], bool], folder: Path) -> bool:
    """These leave an account suspended or locked: each has a victim of its own."""
    person = victim(world)
    loot = take(world, ("phone",), folder)
    if deed is deeds.stay_unnoticed:
        assert deeds.act_with_the_code(loot)
        owner_goes_on(person)
    return deed(loot)


def words(deed: Callable[[Loot], bool]) -> str:
    return " ".join((deed.__doc__ or "").split())


def column(thief: str) -> dict[str, str]:
    """What the page says of a thief, deed by deed."""
    lines = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0].splitlines()
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {row[0]: row[head.index(thief)] for row in rows}


@pytest.mark.parametrize("thief", THIEVES)
def test_what_each_thief_can_and_cannot_do_is_what_the_page_says(
    world: World, tmp_path: Path, thief: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = commit(world, THIEVES[thief], tmp_path)
    with capsys.disabled():
        print(
            f"\nA thief of {thief}:",
            *(f"{'can' if off else 'cannot':>8}  {deed}" for deed, off in done.items()),
            sep="\n",
        )
    every = {words(deed): "—" for deed in (*DEEDS, *AT_A_PHONE)}
    assert column(thief) == every | {deed: "**yes**" if came_off else "no" for deed, came_off in done.items()}

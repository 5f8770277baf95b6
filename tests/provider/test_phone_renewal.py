"""A renewed document continues the account of the one before: only for the same person, only by the phone and code that hold it."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from provider_world import ANGELA, CODE, Person, World, enrol, fresh_device

from alicem.enrolment.renewal import renewed
from alicem.evidence import CivilIdentity, PartialDate
from alicem.phone.approve import show
from alicem.phone.enrol import LASTING
from alicem.phone.state import open_vault
from alicem.reasons import Refused

CHALLENGE = "a challenge of step 6"


def renew(
    world: World, person: Person, identity: CivilIdentity = ANGELA, *, shower: Person | None = None, **flaws: Any
) -> int:
    """What step 6 makes of it; `identity`: the State's new record. `flaws`: of the order (`session`) or the presentation."""
    session = secrets.token_urlsafe(16)
    ordered, names = flaws.pop("session", session), flaws.pop("claims", LASTING)

    async def said() -> str:
        device = fresh_device(person)
        answer = await device.instruct(CODE, "renew", f"renew.{ordered}".encode())
        holder = device
        if shower is not None:
            holder = fresh_device(shower)
            answer = await holder.instruct(CODE, "open", b"")
        stored = open_vault(holder.phone, answer.share, holder.storage.load_vault())["credential"]
        return show(holder, stored, names, **({"nonce": CHALLENGE, "aud": world.origin} | flaws))

    async def step() -> int:
        room = SimpleNamespace(ring=world.ring, store=world.store, clock=world.clock)
        there = SimpleNamespace(name=session, origin=world.origin)
        journey: Any = SimpleNamespace(room=room, session=there, identity=identity)
        return await renewed(journey, await said(), CHALLENGE)

    return asyncio.run(step())


@pytest.fixture(scope="module")
def angela(world: World) -> Person:
    return enrol(world)


def test_the_same_person_goes_on_with_the_account(world: World, angela: Person) -> None:
    assert renew(world, angela) == angela.account


def test_an_accent_put_right_and_another_name_in_use_are_the_same_person(world: World, angela: Person) -> None:
    state_says = replace(ANGELA, family_name="DUBOIS", given_names="Angéla Claire Louise", preferred_username=None)
    assert renew(world, angela, state_says) == angela.account


@pytest.mark.parametrize(
    "other",
    [
        {"family_name": "Martin"},
        {"given_names": "Angela"},
        {"birthdate": PartialDate(1962, 8, 25)},
        {"birthplace_cog": "75108"},
        {"birthplace_cog": "", "birthcountry_cog": "99401"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_somebody_else_does_not(world: World, angela: Person, other: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        renew(world, angela, replace(ANGELA, **other))
    assert refused.value.reason.name == "renewal_mismatch"


@pytest.mark.parametrize(
    "hidden", ["birth_family_name", "given_name", "birthdate", "birthplace_cog", "birthcountry_cog"]
)
def test_what_is_hidden_does_not_agree(world: World, angela: Person, hidden: str) -> None:
    with pytest.raises(Refused) as refused:
        renew(world, angela, claims=[name for name in LASTING if name != hidden])
    assert refused.value.reason.name == "renewal_mismatch"


@pytest.mark.parametrize(
    "flaw",
    [
        {"nonce": "another"},
        {"aud": "https://elsewhere.example"},
        {"session": "another"},
        {"claims": [*LASTING, "email"]},
    ],
    ids=str,
)
def test_an_order_or_a_presentation_of_something_else_is_refused(
    world: World, angela: Person, flaw: dict[str, Any]
) -> None:
    with pytest.raises(Refused) as refused:
        renew(world, angela, **flaw)
    assert refused.value.reason.name == "registration_refused"


def test_the_credential_of_another_phone_is_refused(world: World, angela: Person) -> None:
    with pytest.raises(Refused) as refused:
        renew(world, angela, shower=enrol(world))
    assert refused.value.reason.name == "registration_refused"


def test_a_credential_that_ended_still_speaks_for_a_year(own_world: World) -> None:
    person = enrol(own_world)
    own_world.clock.advance(400 * 86400)  # it lived 365 days
    assert renew(own_world, person) == person.account
    own_world.clock.advance(366 * 86400)
    with pytest.raises(Refused):
        renew(own_world, person)

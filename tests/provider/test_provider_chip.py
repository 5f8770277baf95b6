"""Signing in with the document: which chip counts for which sign-in, and what becomes of every other (approval.md, *eidas3*)."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from chip_world import (
    HIGH,
    Document,
    Wire,
    approve_with,
    approved,
    close_chips,
    connect,
    document_of,
    enrolled_with,
    reading,
    stored,
    wire_of,
)
from cryptography.hazmat.primitives.asymmetric import ec
from provider_world import (
    FC_PLUS,
    Browser,
    Person,
    World,
    answer,
    make_world,
    redeem,
    set_state,
    sign_in,
    userinfo,
)

from alicem import jose
from alicem.accounts import take_approval
from alicem.evidence import Level
from alicem.provider import records
from alicem.provider.answers import approval_digest
from alicem.provider.chip_endpoints import MOST_READINGS
from emrtd.exchange import Transmit
from emrtd.softchip.faults import cloned, mute
from emrtd.transports.software import SoftwareCard


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = reading(make_world(tmp_path_factory.mktemp("chips"), level_of_keys=HIGH))
    yield made
    close_chips(made)
    made.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[World]:
    """One whose clock may jump and whose files are searched."""
    made = reading(make_world(tmp_path / "own", level_of_keys=HIGH))
    yield made
    close_chips(made)
    made.close()


@pytest.fixture(scope="module")
def passport() -> Document:
    return document_of("camille")


@pytest.fixture(scope="module")
def camille(world: World, passport: Document) -> Person:
    return enrolled_with(world, passport)


@pytest.fixture
def browser(world: World) -> Browser:
    made = Browser(world)
    assert made.open(acr_values="eidas3").status_code == 200
    return made


def refused(browser: Browser, reason: str) -> bool:
    """The client hears of it, by the standard's word and ours."""
    told = browser.finish()
    return (told["error"], told["error_description"], bool(told["state"]), told["iss"]) == (
        "access_denied",
        reason,
        True,
        browser.world.origin,
    )


def test_a_document_read_again_gives_the_highest_level(
    world: World, camille: Person, passport: Document, browser: Browser
) -> None:
    assert approve_with(camille, browser, passport.laid) == "done"
    token = redeem(world, browser.finish()["code"]).json()["id_token"]
    said = jose.unpack(token, "JWT").json()
    assert (said["acr"], said["amr"]) == ("eidas3", ["swk", "pin", "mfa", "sc"])


@pytest.mark.parametrize("name", ["farid", "joao", "letizia", "wibowo", "yasmine"])
def test_whatever_way_the_chip_has_to_prove_itself(world: World, browser: Browser, name: str) -> None:
    document = document_of(name)
    assert approve_with(enrolled_with(world, document), browser, document.laid) == "done"


def test_nobody_is_asked_for_a_document_at_the_level_below(world: World, camille: Person) -> None:
    told = sign_in(camille, browser := Browser(world))
    said = jose.unpack(redeem(world, told["code"]).json()["id_token"], "JWT").json()
    assert (said["acr"], said["amr"]) == ("eidas2", ["swk", "pin", "mfa"])
    assert "chip_key" not in browser.page


def test_of_two_levels_the_lower_asks_no_document(world: World, camille: Person) -> None:
    told = sign_in(camille, Browser(world), acr_values="eidas3 eidas2")
    assert jose.unpack(redeem(world, told["code"]).json()["id_token"], "JWT").json()["acr"] == "eidas2"


def test_the_client_gets_no_more_for_it(world: World, camille: Person, passport: Document, browser: Browser) -> None:
    assert approve_with(camille, browser, passport.laid) == "done"
    tokens = redeem(world, browser.finish()["code"]).json()
    assert "chip_key" not in userinfo(world, tokens["access_token"]).json()
    assert tokens["scope"] == FC_PLUS


def test_discovery_says_the_level_that_is_reached(world: World, tmp_path: Path) -> None:
    assert Browser(world).get("/.well-known/openid-configuration").json()["acr_values_supported"][-1] == "eidas3"
    without = make_world(tmp_path / "without")
    browser = Browser(without)
    assert browser.get("/.well-known/openid-configuration").json()["acr_values_supported"][-1] == "eidas2"
    answered = browser.open(acr_values="eidas3")
    assert "error=unmet_authentication_requirements" in answered.headers["location"]
    without.close()


# What is no proof for this sign-in


def test_without_a_document_nothing_is_shown_at_that_level(camille: Person, browser: Browser) -> None:
    assert answer(camille, browser) == (400, "level_not_reachable")
    assert refused(browser, "level_not_reachable")


def test_a_copy_of_the_chip_is_refused(world: World, camille: Person, passport: Document, browser: Browser) -> None:
    copy = replace(passport, chip=cloned(passport.chip, lambda count: b"\x07" * count))
    assert approve_with(camille, browser, copy.laid) == "chip_is_copy"
    assert refused(browser, "chip_is_copy")


def test_a_chip_that_proves_nothing_is_refused(camille: Person, passport: Document, browser: Browser) -> None:
    assert approve_with(camille, browser, replace(passport, chip=mute(passport.chip)).laid) == "chip_is_copy"
    assert refused(browser, "chip_is_copy")


def test_the_document_of_somebody_else_is_told_and_another_may_be_laid(
    camille: Person, passport: Document, browser: Browser
) -> None:
    pocket = iter([document_of("farid"), passport])
    assert approve_with(camille, browser, lambda: next(pocket).laid()) == "done"


def test_a_pocket_full_of_wrong_documents_comes_to_an_end(camille: Person, browser: Browser) -> None:
    assert approve_with(camille, browser, document_of("farid").laid) == "another_document"
    assert refused(browser, "another_document")


def test_a_document_with_the_same_numbers_and_another_chip_is_refused(
    camille: Person, passport: Document, browser: Browser
) -> None:
    twin = document_of("camille")
    assert twin.access_key == passport.access_key and twin.chip_key != passport.chip_key
    assert approve_with(camille, browser, twin.laid) == "another_document"
    assert refused(browser, "another_document")


def test_a_document_of_a_state_nobody_trusts_is_refused(camille: Person, browser: Browser) -> None:
    assert approve_with(camille, browser, document_of("camille", "nobody's").laid) == "document_not_authentic"
    assert refused(browser, "document_not_authentic")


def test_who_cannot_reach_the_level_hears_so_before_a_document_is_asked(
    world: World, passport: Document, browser: Browser
) -> None:
    for more in ({"level": Level.SUBSTANTIAL}, {"key_kind": "webcrypto"}):
        again = Browser(world)
        again.open(acr_values="eidas3")
        assert approve_with(enrolled_with(world, passport, **more), again, never) == "level_not_reachable"
        assert refused(again, "level_not_reachable")


def test_a_phone_without_what_opens_the_chip_says_so_and_the_browser_goes_back(
    world: World, passport: Document, browser: Browser
) -> None:
    forgetful = enrolled_with(world, passport, access_key=None)
    assert approve_with(forgetful, browser, never) == "level_not_reachable"
    assert refused(browser, "level_not_reachable")


def never() -> Transmit:
    raise AssertionError("no document is asked for")


def test_a_phone_without_a_reader_types_nothing_for_nothing(camille: Person, browser: Browser) -> None:
    before = camille.device.storage.load().sequence
    assert approve_with(camille, browser, None) == "level_not_reachable"
    assert camille.device.storage.load().sequence == before
    assert browser.get("/signin").status_code == 200  # another phone may still answer


def test_an_account_suspended_in_between_is_refused(world: World, passport: Document, browser: Browser) -> None:
    person = enrolled_with(world, passport)

    def lay() -> Transmit:
        world.do(lambda c: set_state(c, person.account, "suspended"))
        return passport.laid()

    assert approve_with(person, browser, lay) == "account_suspended"
    assert refused(browser, "account_suspended")


# What belongs to what


def test_a_chip_proven_for_one_sign_in_is_nothing_to_another(
    world: World, camille: Person, passport: Document, browser: Browser
) -> None:
    """The rows of two sign-ins exchanged, as by somebody who writes to the database."""
    other = Browser(world)
    other.open(acr_values="eidas3")
    asyncio.run(prove(world, camille, browser, passport))
    proof = world.do(lambda c: records.take_chip_proof(c, browser.signin, world.clock()))
    ends = int(world.clock().timestamp()) + 200
    world.do(lambda c: records.add_chip_proof(c, other.signin, proof, ends))
    assert answer(camille, other) == (400, "another_document")
    assert refused(other, "another_document")


def test_a_chip_proven_by_one_phone_is_nothing_to_another(
    world: World, camille: Person, passport: Document, browser: Browser
) -> None:
    """A second phone of the same document approves the same sign-in: the proof stays the first one's."""
    second = enrolled_with(world, passport)
    asyncio.run(prove(world, camille, browser, passport))
    signin = world.do(lambda c: records.find_signin(c, browser.signin))
    world.do(lambda c: take_approval(c, approval_digest(signin), world.clock()))
    assert answer(second, browser) == (400, "another_document")


def test_a_chip_that_was_proven_serves_once(
    world: World, camille: Person, passport: Document, browser: Browser
) -> None:
    assert approve_with(camille, browser, passport.laid) == "done"
    assert world.do(lambda c: records.has_chip_proof(c, browser.signin)) is False
    assert answer(camille, browser)[1] == "signin_expired"


def test_what_was_proven_ends_with_the_sign_in(own: World, passport: Document) -> None:
    person, browser = enrolled_with(own, passport), Browser(own)
    browser.open(acr_values="eidas3")
    asyncio.run(prove(own, person, browser, passport))
    own.clock.advance(301)
    assert own.do(lambda c: records.take_chip_proof(c, browser.signin, own.clock())) is None
    assert refused(browser, "signin_expired")
    own.do(lambda c: records.expire(c, own.clock()))
    assert own.do(lambda c: records.has_chip_proof(c, browser.signin)) is False


def test_only_the_phone_that_approved_is_heard(world: World, camille: Person, browser: Browser) -> None:
    async def attempt(**lie: Any) -> int:
        async with connect(world, browser) as socket:
            wire = wire_of(socket, camille, token)
            await wire.prove(**lie)
            await socket.wait_closed()
            return int(socket.close_code)

    async def attempts() -> list[int]:
        lies: tuple[dict[str, Any], ...] = (
            {"key": ec.generate_private_key(ec.SECP256R1())},
            {"challenge": "another"},
            {"aud": "https://another.example"},
            {"session": "another"},
            {"seal_key": {"kty": "oct"}},
        )
        return [await attempt(**lie) for lie in lies]

    token = asyncio.run(approved(camille, browser))
    assert asyncio.run(attempts()) == [4401] * 5
    assert browser.get("/signin").status_code == 200


def test_without_an_approval_there_is_no_process_and_the_sign_in_is_over(
    world: World, camille: Person, browser: Browser
) -> None:
    token = httpx.get(f"{world.origin}/signin/request/{browser.link.partition('#')[2]}").text

    async def attempt() -> str:
        async with connect(world, browser) as socket:
            wire = wire_of(socket, camille, token)
            await wire.prove()
            return str((await wire.until("refused"))["reason"])

    assert asyncio.run(attempt()) == "number_wrong"
    assert refused(browser, "number_wrong")


def test_no_chip_is_read_where_none_is_asked(world: World, camille: Person) -> None:
    browser = Browser(world)
    browser.open()
    with pytest.raises(websockets.InvalidStatus):
        asyncio.run(prove(world, camille, browser, document_of("camille")))


# Losing and finding


def test_a_chip_that_slips_is_read_on_where_it_was(camille: Person, passport: Document, browser: Browser) -> None:
    laid = []

    def lay() -> Transmit:
        laid.append(1)
        card = SoftwareCard(passport.chip, secrets.token_bytes, lost_after=1200 if len(laid) == 1 else None)
        card.connect()
        return card

    assert approve_with(camille, browser, lay) == "done"
    assert len(laid) == 2


def test_a_line_that_is_lost_is_taken_up_again(
    world: World, camille: Person, passport: Document, browser: Browser
) -> None:
    async def twice() -> tuple[str, str]:
        token = await approved(camille, browser)
        async with connect(world, browser) as socket:
            first = wire_of(socket, camille, token)
            await first.prove()
            await first.give(passport.access_key)
            await first.until("chip")
        async with connect(world, browser) as socket:
            second = replace(first, socket=socket)
            await second.prove()
            laid = passport.laid()
            await second.find(laid)
            end = await second.carry(laid)
        async with connect(world, browser) as socket:  # the last word was lost: it is said again
            third = replace(second, socket=socket)
            await third.prove()
            return str(end["type"]), str((await third.hear())["type"])

    assert asyncio.run(twice()) == ("proven", "proven")
    assert answer(camille, browser) == (200, "done")


def test_a_phone_that_forgot_its_reading_begins_another(
    world: World, camille: Person, passport: Document, browser: Browser
) -> None:
    async def forget() -> str:
        token = await approved(camille, browser)
        async with connect(world, browser) as socket:
            first = wire_of(socket, camille, token)
            await first.prove()
            await first.until("access")
        async with connect(world, browser) as socket:
            return str((await read(wire_of(socket, camille, token), passport))["type"])

    assert asyncio.run(forget()) == "proven"


def test_nonsense_ends_the_connection(world: World, camille: Person, passport: Document, browser: Browser) -> None:
    async def say(text: str) -> int:
        async with connect(world, browser) as socket:
            wire = wire_of(socket, camille, token)
            await wire.prove()
            await wire.until("access")
            await socket.send(text)
            await socket.wait_closed()
            return int(socket.close_code)

    token = asyncio.run(approved(camille, browser))
    sealed = json.dumps({"v": 1, "type": "access_key", "id": 9, "sealed": "AAAA"})
    early = json.dumps({"v": 1, "type": "frame", "id": 9})
    told = [asyncio.run(say(text)) for text in ("{", "[]", early, "[" * 100_000, "x" * 170_000, sealed)]
    assert told == [4400, 4400, 4400, 4400, 1009, 4400]


def test_processes_of_one_sign_in_are_counted(world: World, camille: Person, browser: Browser) -> None:
    async def begin() -> int:
        async with connect(world, browser) as socket:
            wire = wire_of(socket, camille, token)
            await wire.prove()
            if (await wire.hear())["type"] == "step":
                return 0
            return 1

    async def last() -> int:
        async with connect(world, browser) as socket:
            await wire_of(socket, camille, token).prove()
            await socket.wait_closed()
            return int(socket.close_code)

    token = asyncio.run(approved(camille, browser))
    for _ in range(MOST_READINGS):
        assert asyncio.run(begin()) == 0
    assert asyncio.run(last()) == 1009


def test_who_comes_when_every_process_is_taken_waits_for_one(tmp_path: Path, passport: Document) -> None:
    own = reading(make_world(tmp_path / "own", level_of_keys=HIGH), sign_in_chips=1)
    people = [enrolled_with(own, passport) for _ in range(2)]
    browsers = [Browser(own), Browser(own)]
    for one in browsers:
        one.open(acr_values="eidas3")

    async def both() -> list[str]:
        tokens = [await approved(person, one) for person, one in zip(people, browsers, strict=True)]
        async with connect(own, browsers[0]) as first, connect(own, browsers[1]) as second:
            wires = [wire_of(first, people[0], tokens[0]), wire_of(second, people[1], tokens[1])]
            await wires[0].prove()
            await wires[0].until("access")
            await wires[1].prove()
            told = [str((await wires[1].hear())["position"])]
            await wires[0].say("cancel")  # gives up its place
            await first.wait_closed()
            told.append(str(first.close_code))
            await wires[1].give(passport.access_key)
            laid = passport.laid()
            await wires[1].find(laid)
            return [*told, str((await wires[1].carry(laid))["type"])]

    assert asyncio.run(both()) == ["1", "1000", "proven"]
    close_chips(own)
    own.close()


def test_a_sign_in_given_up_meanwhile_is_not_proven(
    world: World, camille: Person, passport: Document, browser: Browser
) -> None:
    async def give_up() -> tuple[str, str]:
        token = await approved(camille, browser)
        async with connect(world, browser) as socket:
            wire = wire_of(socket, camille, token)
            await wire.prove()
            await wire.give(passport.access_key)
            laid = passport.laid()
            await wire.find(laid)
            await asyncio.to_thread(browser.get, f"/signin/cancel?t={browser.signin}")
            told = await wire.carry(laid)
            return str(told["type"]), str(told["reason"])

    assert asyncio.run(give_up()) == ("refused", "signin_expired")
    assert world.do(lambda c: records.has_chip_proof(c, browser.signin)) is False


# What is left


def test_what_opens_the_chip_reaches_nothing_that_stays(own: World, passport: Document) -> None:
    person, browser = enrolled_with(own, passport), Browser(own)
    browser.open(acr_values="eidas3")
    asyncio.run(prove(own, person, browser, passport))
    kept = stored(own)
    for secret in (*passport.access_key.values(), jose.b64(passport.chip_key)):
        assert secret.encode() not in kept
    assert passport.chip_key not in kept
    assert browser.signin.encode() in kept  # the search sees what is there


def test_the_process_that_reads_a_document_knows_nothing_of_faces() -> None:
    scan = "import sys, alicem.enrolment.chip_zygote; print(*sorted({'numpy', 'onnxruntime', 'PIL', 'cv2'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", scan], capture_output=True, check=True, timeout=60)
    assert done.stdout.split() == []


async def prove(world: World, person: Person, browser: Browser, document: Document) -> None:
    """All but the presentation."""
    token = await approved(person, browser)
    async with connect(world, browser) as socket:
        assert (await read(wire_of(socket, person, token), document))["type"] == "proven"


async def read(wire: Wire, document: Document) -> dict[str, Any]:
    await wire.prove()
    await wire.give(document.access_key)
    laid = document.laid()
    await wire.find(laid)
    return await wire.carry(laid)

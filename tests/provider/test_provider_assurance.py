"""What the id token says of an authentication, and who somebody is to whom."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from provider_world import (
    Browser,
    Flaws,
    Person,
    World,
    answer,
    enrol,
    make_world,
    redeem,
    request,
    sign_in,
    userinfo,
    values,
)
from test_people import PEOPLE, enrolled, of

from alicem import jose
from alicem.evidence import Level
from alicem.provider.claims import claims_of

KINDS = {"keystore": "high", "passkey": "high", "passkey_synced": "substantial", "webcrypto": "low", "software": "low"}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A provider that takes keys of every kind."""
    world = make_world(tmp_path_factory.mktemp("mixed"), level_of_keys=KINDS)
    yield world
    world.close()


def said(world: World, back: dict[str, str], client: str = "fc-plus") -> dict[str, Any]:
    """The claims of the id token; it gives them to nobody else, so its signature is another test's."""
    token = redeem(world, back["code"], client_id=client).json()["id_token"]
    return payload(token)


def payload(token: str) -> dict[str, Any]:
    return dict(json.loads(jose.unb64(token.split(".")[1])))


@pytest.mark.parametrize(
    ("kind", "enrolled_at", "asked", "acr"),
    [
        ("software", Level.HIGH, "eidas1", "eidas1"),  # such a key gives no more, however it was enrolled
        ("keystore", Level.HIGH, "eidas1", "eidas2"),  # more than asked is said, and no more than was proven now
        ("keystore", Level.HIGH, "eidas2", "eidas2"),
        ("keystore", Level.HIGH, "eidas2 eidas1", "eidas2"),
        ("keystore", Level.HIGH, None, "eidas2"),
        ("keystore", Level.LOW, None, "eidas1"),
        ("passkey_synced", Level.HIGH, "eidas2", "eidas2"),
    ],
)
def test_acr_is_the_level_of_this_authentication(
    mixed: World, kind: str, enrolled_at: Level, asked: str | None, acr: str
) -> None:
    person = enrol(mixed, key_kind=kind, level=enrolled_at)
    assert said(mixed, sign_in(person, Browser(mixed), acr_values=asked))["acr"] == acr


@pytest.mark.parametrize("asked", ["eidas3", "eidas3 eidas4"])
def test_more_than_can_be_reached_here_is_an_error_for_the_client(mixed: World, asked: str) -> None:
    back = values(Browser(mixed).open(acr_values=asked).headers["location"])
    assert (back["error"], back["iss"]) == ("unmet_authentication_requirements", mixed.origin)


def test_more_than_this_person_reaches_is_one_too_and_never_a_lower_level(mixed: World) -> None:
    browser = Browser(mixed)
    browser.open(acr_values="eidas2")
    assert answer(enrol(mixed), browser) == (400, "level_not_reachable")
    back = browser.finish()
    assert "error" in back and "code" not in back


@pytest.mark.parametrize(
    ("kind", "key"), [("keystore", "hwk"), ("passkey_synced", "swk"), ("webcrypto", "swk"), ("software", "swk")]
)
def test_amr_tells_the_kind_of_key_and_that_there_was_a_code(mixed: World, kind: str, key: str) -> None:
    person = enrol(mixed, key_kind=kind, level=Level.HIGH)
    assert said(mixed, sign_in(person, Browser(mixed), acr_values="eidas1"))["amr"] == [key, "pin", "mfa"]


def test_auth_time_is_when_the_person_approved(own_world: World) -> None:
    person, browser = enrol(own_world), Browser(own_world)
    own_world.clock.hold()
    browser.open()
    own_world.clock.advance(20)
    approved_at = int(own_world.clock().timestamp())
    assert answer(person, browser) == (200, "done")
    own_world.clock.advance(20)
    back = browser.finish()
    own_world.clock.advance(20)
    claims = said(own_world, back)
    assert claims["auth_time"] == approved_at and claims["iat"] == approved_at + 40


@pytest.mark.parametrize("prompt", ["login", "login consent", "select_account", None])
def test_every_sign_in_asks_the_person_again(world: World, angela: Person, prompt: str | None) -> None:
    """The same browser, with its cookie, a moment later: there is no session that could answer for the person."""
    browser = Browser(world)
    first = said(world, sign_in(angela, browser, prompt=prompt))
    assert browser.open(prompt=prompt).status_code == 200
    waits = browser.get("/signin/continue")
    assert waits.headers["location"] == "/signin"
    assert answer(angela, browser) == (200, "done")
    assert said(world, browser.finish())["auth_time"] >= first["auth_time"]


def test_nobody_is_answered_for_without_being_asked(world: World, angela: Person) -> None:
    browser = Browser(world)
    sign_in(angela, browser)
    assert values(browser.open(prompt="none").headers["location"])["error"] == "login_required"


def test_sub_is_the_keyed_hash_of_sector_and_account(world: World, angela: Person) -> None:
    key = world.ring.secret_all("subject")[-1].value
    expected = {
        client: jose.b64(hmac.digest(key, f"{sector}\0{angela.account}".encode(), hashlib.sha256))
        for client, sector in (("fc-plus", "franceconnect"), ("fc", "franceconnect"), ("other", "elsewhere"))
    }
    for client, sub in expected.items():
        back = sign_in(angela, Browser(world), client_id=client, scope="openid")
        tokens = redeem(world, back["code"], client_id=client).json()
        assert payload(tokens["id_token"])["sub"] == sub
        assert userinfo(world, tokens["access_token"]).json() == {"sub": sub}
        assert sub.isascii() and len(sub) == 43
    assert expected["fc-plus"] == expected["fc"] != expected["other"]


def test_sub_is_another_for_the_same_civil_identity_under_another_account(world: World, angela: Person) -> None:
    twin = enrol(world)
    subs = {said(world, sign_in(person, Browser(world)))["sub"] for person in (angela, twin)}
    assert len(subs) == 2


@pytest.mark.parametrize("hidden", ["given_name", "birthplace_cog", "birth_family_name", "birthdate", "sex"])
def test_a_phone_that_keeps_a_part_of_its_owner_back_is_refused(
    world: World, angela: Person, browser: Browser, hidden: str
) -> None:
    """With another civil identity somebody would have a second pseudonym at every service."""
    browser.open()
    shown = frozenset(claim.source for claim in claims_of(request()["scope"].split())) - {hidden}
    assert answer(angela, browser, Flaws(names=shown)) == (400, "credential_claims")
    assert "code" not in browser.finish()


@pytest.mark.parametrize(
    "name",
    [
        "one name, as document and State have it",
        "both names, two hyphens between",
        "Œ",
        "an unknown day and month",
        "Corsica, as it was coded before",
        "abroad",
        "256 characters",
        "a host with accents",
    ],
)
def test_people_get_through_as_they_are(world: World, name: str) -> None:
    proven = enrolled(PEOPLE[name])
    back = sign_in(enrol(world, proven.identity, email=proven.email), Browser(world), **request())
    told = userinfo(world, redeem(world, back["code"]).json()["access_token"]).json()
    expected = {claim: value for claim, value in of(PEOPLE[name], "userinfo").items() if value}
    assert {**told, "sub": ""} == {**expected, "sub": ""}

"""The sample services and the other provider with a real broker between them, walked without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from small_town import small_town

from alicem.demo import personas
from alicem.demo.identifiant.app import PASSWORD, TRIES
from alicem.demo.services import SERVICES
from alicem.demo.services.sites import KINDS, kind_of
from alicem.demo.town import Town
from alicem.demo.visitor import Browser, Visited, VisitFailed, visit

HOME = {name: f"/{name}" for name in SERVICES}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with small_town(tmp_path_factory.mktemp("town")) as here:
        yield here


async def nobody(_link: str, _number: str) -> None:
    raise AssertionError("no phone is asked")


def sign_in(town: Town, name: str, persona: str = "zoe", password: str = PASSWORD) -> Visited:
    fields = {"persona": persona, "password": password, "decision": "sign_in"}
    return asyncio.run(visit(town.services + HOME[name], nobody, provider="identifiant", password=fields))


@pytest.mark.parametrize("name", ["demarches", "sante"])
def test_a_service_learns_what_it_asks_and_nothing_else(town: Town, name: str) -> None:
    zoe = personas.load()["zoe"].expected
    visited = sign_in(town, name)
    assert visited.claims == {claim: zoe[claim] for claim in SERVICES[name].claims if claim in zoe}
    assert visited.acr == "eidas2" and visited.listed == {**visited.claims, "acr": "eidas2"}


@pytest.mark.parametrize(("persona", "adult"), [("leo", False), ("farid", True)])
def test_the_gaming_site_learns_one_thing(town: Town, persona: str, adult: bool) -> None:
    visited = sign_in(town, "jeux", persona)
    assert visited.claims == {"over_18": adult}
    assert set(visited.listed) == {"over_18", "acr"}


def test_who_is_too_young_is_told_kindly_and_may_go_on_elsewhere(town: Town) -> None:
    page = page_after(town, "jeux", "leo", "en")
    assert "Not yet" in page and "the day you turn 18" in page and 'href="/"' in page
    assert "Guérin" not in page and "2012" not in page
    assert "Welcome to the table" in page_after(town, "jeux", "zoe", "en")


def test_each_service_knows_another_pseudonym(town: Town) -> None:
    assert sign_in(town, "sante").sub == sign_in(town, "sante").sub != sign_in(town, "demarches").sub


def test_the_bank_asks_more_than_a_password_gives(town: Town) -> None:
    with pytest.raises(VisitFailed, match="form_not_found"):
        sign_in(town, "banque")


@pytest.mark.parametrize("persona", ["leo", "wibowo", "farid", "letizia"])
def test_the_other_provider_says_what_the_registry_holds(town: Town, persona: str) -> None:
    held = personas.load()[persona]
    claims = sign_in(town, "demarches", persona).claims
    assert claims["family_name"] == held.registry.family_name and claims["birthdate"] == held.registry.birthdate
    assert claims == dict(held.expected) or held.refused


def test_wrong_passwords_end_the_sign_in(town: Town) -> None:
    async def run() -> str | None:
        async with Browser() as browser:
            page = await browser.submit(await browser.open(town.service), ends="/sign-in")
            page = await browser.submit(page, provider="identifiant")
            for _ in range(TRIES):
                assert page.url.startswith(town.identifiant)
                page = await browser.submit(page, ends="/sign-in", persona="zoe", password="guess", decision="sign_in")
            return page.failure

    assert asyncio.run(run()) == "error_access_denied"


def test_two_tabs_sign_two_people_in(town: Town) -> None:
    """Whoever finishes first does not end the other's sign-in."""

    async def run() -> list[str]:
        async with Browser() as browser:
            tabs = []
            for name in ("demarches", "jeux"):
                page = await browser.submit(await browser.open(town.services + HOME[name]), ends="/sign-in")
                tabs.append(await browser.submit(page, provider="identifiant"))
            told = {"password": PASSWORD, "decision": "sign_in"}
            return [
                (await browser.submit(page, ends="/sign-in", persona=who, **told)).text
                for page, who in zip(tabs, ("zoe", "farid"), strict=True)
            ]

    zoe, farid = asyncio.run(run())
    assert "Lefèvre-Œuvrard" in zoe and "Rahimi" in farid


def page_after(town: Town, name: str, persona: str, language: str) -> str:
    async def run() -> str:
        async with Browser() as browser:
            page = await browser.submit(await browser.open(town.services + HOME[name]), ends="/sign-in")
            page = await browser.submit(page, provider="identifiant")
            page = await browser.submit(page, ends="/sign-in", persona=persona, password=PASSWORD, decision="sign_in")
            await browser.submit(page, decision="continue", consent="yes")
            return (await browser.fetch("GET", f"{town.services}{HOME[name]}?lang={language}")).text

    return asyncio.run(run())


def test_the_health_portal_shows_earlier_visits_and_no_one_elses(town: Town) -> None:
    assert 'id="earlier"' not in page_after(town, "sante", "mael", "en")
    again = page_after(town, "sante", "mael", "en")
    assert again.count("<time ") == 1
    assert "first visit" in page_after(town, "sante", "yasmine", "en")


def test_signing_out_passes_by_the_broker_and_ends_the_session(town: Town) -> None:
    async def run() -> tuple[str, int]:
        async with Browser() as browser:
            page = await browser.submit(await browser.open(town.service), ends="/sign-in")
            page = await browser.submit(page, provider="identifiant")
            page = await browser.submit(page, ends="/sign-in", persona="zoe", password=PASSWORD, decision="sign_in")
            page = await browser.submit(page, decision="continue")
            page = await browser.submit(page, ends="/sign-out")
            page = await browser.open(page.by_id["leave"]["href"])
            return page.url, (await browser.fetch("GET", f"{town.service}/api/session")).status_code

    assert asyncio.run(run()) == (f"{town.service}/signed-out", 401)


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_error_of_the_broker_is_told_with_a_way_back(town: Town, name: str, language: str) -> None:
    home = town.services + HOME[name]
    with httpx.Client(trust_env=False, headers={"origin": town.services}) as client:
        for error in ("access_denied", "unmet_authentication_requirements", "temporarily_unavailable", "unheard_of"):
            begun = client.post(f"{home}/sign-in")
            state = httpx.URL(begun.headers["location"]).params["state"]
            cookie = {"cookie": begun.headers["set-cookie"].split(";")[0]}
            answer = {"error": error, "state": state, "iss": town.broker}
            back = client.get(f"{home}/callback", params=answer, headers=cookie)
            assert back.headers["location"] == HOME[name]
            text = client.get(home, params={"lang": language}, headers=cookie).text
            assert f"<code data-failure>{error}</code>" in text and 'id="sign-in"' in text
            assert 'role="alert"' in text


def test_words_of_errors_are_told_apart() -> None:
    words = [word for kind in KINDS.values() for word in kind]
    assert len(words) == len(set(words))
    assert (kind_of("acr"), kind_of("anything")) == ("level", "other")


@pytest.mark.parametrize(
    "change",
    [
        {"acr_values": "eidas3"},
        {"prompt": "none"},
        {"scope": "openid address"},
        {"response_type": "token"},
        {"nonce": "x"},
    ],
)
def test_the_other_provider_answers_with_an_error_what_it_does_not_do(town: Town, change: dict[str, str]) -> None:
    asked = {
        "client_id": "franceconnect", "redirect_uri": f"{town.broker}/callback/identifiant", "response_type": "code",
        "scope": "openid email", "state": "s" * 32, "nonce": "n" * 32, "acr_values": "eidas2",
    }  # fmt: skip
    answer = httpx.get(f"{town.identifiant}/authorize", params=asked | change)
    query = httpx.URL(answer.headers["location"]).params
    assert query["state"] == "s" * 32 and query["iss"] == town.identifiant and query["error"]
    assert httpx.get(f"{town.identifiant}/authorize", params=asked).status_code == 200


def test_the_other_provider_answers_nobody_it_does_not_know(town: Town) -> None:
    for change in ({"client_id": "other"}, {"redirect_uri": "https://evil.example/"}):
        asked = {"client_id": "franceconnect", "redirect_uri": f"{town.broker}/callback/identifiant", **change}
        assert httpx.get(f"{town.identifiant}/authorize", params=asked).status_code == 400
    assert httpx.post(f"{town.identifiant}/token", data={"client_id": "franceconnect"}).status_code == 401
    assert httpx.get(f"{town.identifiant}/userinfo").status_code == 401


@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_first_page_is_there_in_both_languages(town: Town, language: str) -> None:
    for address in (town.services, town.identifiant, *(town.services + path for path in HOME.values())):
        page = httpx.get(address, params={"lang": language})
        assert page.status_code == 200 and f'<html lang="{language}">' in page.text

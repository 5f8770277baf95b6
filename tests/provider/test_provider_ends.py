"""How a sign-in that comes to nothing ends: never on a dead page, always with the standard's word and ours (OIDC Core §3.1.2.6)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from provider_world import Browser, Person, World, approve, enrol, fresh_device, make_world, set_state

from alicem import journal
from alicem.jose import BadToken
from alicem.phone import approve as phone_approve
from alicem.phone.instruct import Device


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = make_world(tmp_path_factory.mktemp("ends"))
    yield made
    made.close()


@pytest.fixture
def browser(world: World) -> Browser:
    made = Browser(world)
    assert made.open().status_code == 200
    return made


def end_of(browser: Browser) -> tuple[str, str]:
    """Error and reason, as the client's callback is given them, with the state it sent and who answers."""
    told = browser.finish()
    assert told["state"] and told["iss"] == browser.world.origin and "code" not in told
    return told["error"], told["error_description"]


def with_phone(person: Person, work: Callable[[Device], Awaitable[None]]) -> None:
    async def run() -> None:
        device = fresh_device(person)
        try:
            await work(device)
        finally:
            await device.http.aclose()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("state", "reason"),
    [("suspended", "account_suspended"), ("locked", "account_locked"), ("enrolled", "account_not_active")],
)
def test_a_phone_that_can_do_nothing_more_sends_the_browser_back(
    world: World, browser: Browser, state: str, reason: str
) -> None:
    person = enrol(world)
    world.do(lambda c: set_state(c, person.account, state))
    assert approve(person, browser) == reason
    assert end_of(browser) == ("access_denied", reason)


def test_a_code_that_is_wrong_ends_nothing(world: World, browser: Browser) -> None:
    person = enrol(world)
    person.code = "730519"
    assert approve(person, browser) == "code_wrong"
    assert browser.get("/signin").status_code == 200


def test_a_request_that_nobody_started_is_reported_in_one_tap(world: World, browser: Browser) -> None:
    """Without a code: the journal has it, the page that waited goes back, no answer is taken any more."""
    person, before = enrol(world), reports(world)

    async def report(device: Device) -> None:
        await phone_approve.refuse(device, await phone_approve.fetch(device, browser.link), not_mine=True)

    with_phone(person, report)
    assert reports(world) == before + 1
    assert end_of(browser) == ("access_denied", "signin_not_mine")
    assert approve(person, browser) == "signin_expired"


def reports(world: World) -> int:
    rows = world.do(lambda c: c.execute(journal.records.journal.select()).mappings().all())
    told = [json.loads(row["content"]) for row in rows if row["event"] == "sign_in_refused"]
    return sum(one == {"reason": "signin_not_mine"} for one in told)


def test_a_phone_says_nothing_but_what_it_may(world: World, browser: Browser) -> None:
    """Whatever else it writes is a refusal like any other: it never becomes what a client is told."""
    person = enrol(world)

    async def write(device: Device) -> None:
        asked = await phone_approve.fetch(device, browser.link)
        form = {"error": "access_denied", "state": asked.state, "error_description": "<b>call 0899</b>"}
        (await device.http.post(asked.response_uri, data=form)).raise_for_status()

    with_phone(person, write)
    assert end_of(browser) == ("access_denied", "signin_refused")


def test_time_over_leads_back(tmp_path: Path) -> None:
    world = make_world(tmp_path / "late")
    browser = Browser(world)
    browser.open()
    world.clock.advance(301)
    assert browser.get("/signin").headers["location"] == "/signin/continue"
    assert end_of(browser) == ("access_denied", "signin_expired")
    world.close()


def test_the_page_again_is_the_same_sign_in(browser: Browser) -> None:
    """Reload, and back: one number, one sign-in; after its end a page that says where to begin again."""
    first = (browser.number, browser.signin)
    browser.read(browser.get("/signin"))
    assert (browser.number, browser.signin) == first
    browser.get(f"/signin/cancel?t={browser.signin}")
    over = browser.get("/signin")
    assert over.status_code == 400 and "/help" in over.text


def test_of_two_tabs_the_later_one_goes_on_and_the_earlier_one_says_so(world: World, browser: Browser) -> None:
    earlier = browser.signin
    browser.open()
    assert browser.signin != earlier
    told = browser.get(f"/signin/events?t={earlier}").text
    assert "event: replaced" in told
    assert browser.get(f"/signin/continue?t={earlier}").status_code == 400


def test_what_phones_ask_is_limited_by_address(tmp_path: Path) -> None:
    world = make_world(tmp_path / "few", instructions_per_minute_and_address=3)
    browser = Browser(world)
    browser.open()
    address = f"{world.origin}/signin/request/{browser.link.partition('#')[2]}"
    told = [httpx.get(address).status_code for _ in range(3)]
    assert told == [200] * 3
    limited = httpx.post(f"{world.origin}/signin/response", data={"error": "access_denied", "state": "x"})
    assert (limited.status_code, limited.json()) == (429, {"outcome": "rate_limited"})
    assert int(limited.headers["retry-after"]) > 0
    world.close()


def test_another_link_is_none_of_this_phones(world: World) -> None:
    async def fetch(device: Device) -> None:
        with pytest.raises(BadToken):
            await phone_approve.fetch(device, "https://elsewhere.example/phone/approve#a.1.b")

    with_phone(enrol(world), fetch)

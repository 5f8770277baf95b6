"""How a sign-in ended is told in a word, the person's refusal too; never of whom."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from provider_world import Browser, Flaws, Person, World, answer, fresh_device

from alicem.phone import approve as phone_approve


def told(lines: list[structlog.typing.EventDict]) -> list[str]:
    assert all(line.keys() <= {"event", "log_level", "outcome"} for line in lines if line["event"] == "sign-in")
    return [line["outcome"] for line in lines if line["event"] == "sign-in"]


def test_one_that_was_approved(world: World, angela: Person, browser: Browser) -> None:
    with structlog.testing.capture_logs() as lines:
        browser.open()
        answer(angela, browser)
    assert told(lines) == ["begun", "done"]


@pytest.mark.parametrize(("not_mine", "outcome"), [(False, "signin_refused"), (True, "signin_not_mine")])
def test_one_the_person_refused(angela: Person, browser: Browser, not_mine: bool, outcome: str) -> None:
    async def refuse() -> None:
        device = fresh_device(angela)
        asked = await phone_approve.fetch(device, browser.link)
        await phone_approve.refuse(device, asked, not_mine=not_mine)
        await device.http.aclose()

    with structlog.testing.capture_logs() as lines:
        browser.open()
        asyncio.run(refuse())
    assert told(lines) == ["begun", outcome]


def test_one_with_a_wrong_number_and_one_that_cannot_be_read(world: World, angela: Person, browser: Browser) -> None:
    with structlog.testing.capture_logs() as lines:
        browser.open()
        answer(angela, browser, Flaws(number="00" if browser.number != "00" else "01"))
        browser.http.post(f"{world.origin}/signin/response", content=b"x" * 70_000)
    assert told(lines) == ["begun", "number_wrong", "wire_malformed"]


def test_one_given_up_in_the_browser(browser: Browser) -> None:
    with structlog.testing.capture_logs() as lines:
        browser.open()
        browser.get(f"/signin/cancel?t={browser.signin}")
    assert told(lines) == ["begun", "cancelled"]

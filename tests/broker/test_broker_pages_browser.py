"""Every page of the broker in Chromium: narrow and dark in English, wide and light in French; readable, reachable, nothing beside the screen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
from broker_peers import ANGELA, Provider, Service
from browser_citizen import CONTRAST, SMALL
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome") or ""
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
SCREENS = Path(os.environ.get("ALICEM_SCREENS", "build/screens"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visitor:
    page: Page
    origin: str
    name: str

    def go(self, path: str) -> None:
        self.page.goto(self.origin + path)

    def ask(self, name: str, scope: str, **changes: str) -> None:
        """What a service sends, followed."""
        self.go("/authorize?" + urlencode(Service(self.origin, name, scope).parameters(**changes)))

    def looks(self, name: str) -> None:
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENS / f"broker-{self.name}-{name}.png", full_page=True)
        assert self.page.locator("h1:visible").count() == 1, name
        assert self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
        assert (self.page.evaluate(SMALL), self.page.evaluate(CONTRAST)) == ([], []), name


@pytest.mark.parametrize(
    ("locale", "scheme", "width"), [("fr-FR", "light", 1100), ("en-GB", "dark", 320)], ids=["fr", "en-dark-narrow"]
)
def test_the_pages(chromium: Browser, origin: str, provider: Provider, locale: str, scheme: str, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 800}, locale=locale, color_scheme=scheme)  # type: ignore[arg-type]
    context.route(f"{Service.BACK}**", lambda route: route.fulfill(body="back at the service"))
    visitor = Visitor(context.new_page(), origin, f"{locale[:2]}-{width}")
    page, whole = visitor.page, "openid profile birth email"
    visitor.go("/")
    visitor.looks("home")
    visitor.ask("town", whole)
    visitor.looks("choice")
    provider.claims |= {"family_name": "Oubliée", "given_name": "Agnès"}
    page.click("button[value=small]")
    visitor.looks("not-in-the-register")
    provider.claims = dict(ANGELA)
    page.click("button[value=small]")
    visitor.looks("information")
    page.click("button[value=continue]")
    page.wait_for_url(f"{Service.BACK}**")
    visitor.ask("private", "openid given_name")
    visitor.looks("still-recognised")
    page.click("button[value=continue]")
    visitor.looks("consent-missing")
    visitor.ask("games", "openid over_18", prompt="login")
    page.click("button[value=small]")
    visitor.looks("over-18")
    visitor.ask("closed", "openid")
    visitor.looks("no-provider")
    visitor.go("/history")
    visitor.looks("history-closed")
    page.click("main button")
    visitor.looks("history-choice")
    page.click("button[value=small]")
    visitor.looks("history-information")
    page.click("button[value=continue]")
    visitor.looks("history")
    page.locator("button[name=report]").first.click()
    visitor.looks("history-reported")
    page.locator("button[name=block]").first.click()
    assert page.locator("button[name=unblock]").count() == 1
    visitor.looks("history-blocked")
    provider.claims |= {"family_name": "AUTRE"}
    visitor.ask("town", whole, prompt="select_account")
    page.click("button[value=small]")
    page.click("button[value=continue]")
    page.wait_for_url(f"{Service.BACK}**")
    visitor.go("/")
    page.click("form[action='/sign-out'] button")
    page.wait_for_url(f"{origin}/signed-out")
    assert [what for what, _ in provider.seen].count("end") == 1, "the provider's own sign-out was on the way"
    for path, name in (
        ("/end_session", "sign-out"),
        ("/signed-out", "signed-out"),
        ("/choice", "over"),
        ("/authorize", "unknown"),
    ):
        visitor.go(path)
        visitor.looks(name)
    context.close()

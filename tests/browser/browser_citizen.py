"""A citizen at a browser, as the journeys need one: reads what the screen says, clicks what it offers."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import BrowserContext, Page

SHOWN = "document.querySelector('[data-screen]:not([hidden])').dataset.screen"


@dataclass(frozen=True)
class Demo:
    """Where the demonstration's parts are."""

    base: int

    @property
    def alicem(self) -> str:
        return f"http://localhost:{self.base}"

    @property
    def broker(self) -> str:
        return f"http://127.0.0.1:{self.base + 1}"

    @property
    def service(self) -> str:
        return f"http://127.0.0.1:{self.base + 2}"

    @property
    def stage(self) -> str:
        return f"http://127.0.0.1:{self.base + 3}"

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(self.stage + path, timeout=10) as answer:  # noqa: S310 - loopback
            return json.load(answer)


@dataclass
class Citizen:
    """One persona at one browser. `screens`: where pictures go, under `name`."""

    demo: Demo
    context: BrowserContext
    persona: str
    screens: Path
    name: str = "journey"
    code: str = ""
    suspension_code: str = ""
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page = self.context.new_page()
        self.person = self.demo.ask(f"/personas/{self.persona}")
        self.code = self.person["code"]

    def picture(self, name: str, page: Page | None = None) -> None:
        (page or self.page).screenshot(path=self.screens / f"{self.name}-{name}.png", full_page=True)

    def screen(self, name: str, seconds: float = 60) -> None:
        """Wait for a screen; a refusal in its place fails with what it says."""
        self.page.wait_for_selector(
            f'[data-screen="{name}"]:not([hidden]), [data-screen="refused"]:not([hidden])', timeout=seconds * 1000
        )
        shown = self.page.evaluate(SHOWN)
        self.seen.append(shown)
        self.picture(shown)
        assert shown == name, self.page.inner_text("main")

    # --- enrolling ---

    def start(self, **query: str) -> None:
        asked = "&".join(f"{key}={quote(value)}" for key, value in {"persona": self.persona, **query}.items())
        self.page.goto(f"{self.demo.alicem}/enrol?{asked}")
        self.page.wait_for_selector("#start:enabled")
        self.screen("choose")
        self.page.click("#start")

    def prove_email(self) -> None:
        self.screen("email")
        known = len(self.letters())
        self.page.click('[data-specimen="email"]')
        self.page.click("#email-form button:not([type=button])")
        self.screen("email-code")
        self.page.fill("#email-code", self.letter(known))
        self.page.click("#email-code-form button:not([type=button])")

    def letters(self) -> list[str]:
        found = self.demo.ask(f"/letters?to={quote(self.person['email'])}")["letters"]
        return [one["text"] for one in found if one["kind"] == "email"]

    def letter(self, known: int) -> str:
        """The code of the newest letter, once there are more than `known`."""
        for _ in range(100):
            letters = self.letters()
            if len(letters) > known:
                found = re.search(r"\b\d{6}\b", letters[0])
                assert found, letters[0]
                return found[0]
            time.sleep(0.1)
        raise AssertionError("no letter came")

    def copy_document(self) -> None:
        self.screen("document")
        self.page.click('[data-specimen="document"]')
        self.page.click("#document-form button:not([type=button])")

    def read_chip(self) -> None:
        self.screen("chip")
        self.page.click("#read-chip")

    def show_face(self) -> None:
        self.screen("consent")
        self.page.click("#agree")

    def choose_code(self) -> None:
        self.screen("code")
        for field_ in ("#code-first", "#code-again"):
            self.page.fill(field_, self.code)
        self.page.click("#code-form button")
        self.screen("suspension")
        self.suspension_code = self.page.inner_text("#suspension-code")
        self.page.check("#written")
        self.page.click("#suspension-form button:not([type=button])")

    def enrol(self, **query: str) -> None:
        """The seven steps, to the receipt."""
        self.start(**query)
        self.prove_email()
        self.copy_document()
        self.read_chip()
        self.show_face()
        self.choose_code()
        self.screen("done")

    # --- afterwards ---

    def open_home(self) -> None:
        self.page.goto(f"{self.demo.alicem}/phone")
        self.screen("locked")
        self.page.fill("#code", self.code)
        self.page.click("#open-form button")
        self.screen("open")

    def ask_to_sign_in(self) -> Page:
        """From the sample service to Alicem's page with the QR code, in a tab of its own."""
        tab = self.context.new_page()
        tab.goto(self.demo.service)
        self.picture("service", tab)
        tab.click("#sign-in")
        self.picture("broker", tab)
        tab.click('button[name="provider"][value="alicem"]')
        tab.wait_for_selector("#number")
        self.picture("signin", tab)
        return tab

    def follow_link(self, tab: Page) -> str:
        """Open the sign-in's link on the phone; the number to type."""
        self.page.goto("about:blank")  # a link that differs in its fragment alone would not load the page again
        self.page.goto(tab.get_attribute("#same-device", "href") or "")
        self.screen("asked")
        return tab.inner_text("#number").strip()

    def approve(self, number: str, code: str) -> None:
        self.page.fill("#number", number)
        self.page.fill("#code", code)
        self.page.click("#approve")

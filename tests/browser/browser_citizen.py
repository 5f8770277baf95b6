"""A citizen at a browser, as the journeys need one: reads what the screen says, clicks what it offers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page

from alicem import reasons

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium_path() -> str:
    """Where Chromium is; the test is skipped where there is none."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium: install the package `chromium`, or name it in $CHROMIUM")
    return found


OF_THE_MACHINE = ("face_too_slow", "face_no_reflection")
"""Refusals that cost no try, and that a busy machine may cause."""
SHOWN = "document.querySelector('[data-screen]:not([hidden])').dataset.screen"

# What a control may be smaller for: links in running text (WCAG 2.2, 2.5.8), and the unseen.
SMALL = """() => [...document.querySelectorAll('button, .button, input, select, summary, header a, footer a')]
    .filter((one) => one.offsetParent && one.getBoundingClientRect().height < 44 && !/checkbox|radio/.test(one.type))
    .map((one) => one.outerHTML.slice(0, 80))"""

# Contrast of text against the nearest painted background (WCAG 2.2, 1.4.3).
CONTRAST = """() => {
    const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = (node) => { for (; node; node = node.parentElement) { const c = rgb(getComputedStyle(node).backgroundColor);
        if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
    const bad = [];
    for (const node of document.querySelectorAll('body :not(.unseen)')) {
        if (!node.offsetParent || ![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())) continue;
        if (node.disabled || getComputedStyle(node).opacity !== '1') continue;
        const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) bad.push(node.outerHTML.slice(0, 80));
    }
    return bad;
}"""


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
    phones: str = "replace"
    passkey: bool = False
    seen: list[str] = field(default_factory=list)
    refusal: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.page = self.context.new_page()
        self.page.on("websocket", lambda line: line.on("framereceived", self._hear))
        self.become(self.persona)

    def become(self, persona: str) -> None:
        """The same person, with what this persona has at hand."""
        self.persona, self.person = persona, self.demo.ask(f"/personas/{persona}")
        self.code = self.person["code"]

    def _hear(self, text: str | bytes) -> None:
        if isinstance(text, str) and '"refused"' in text:
            self.refusal = json.loads(text)

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
        self.looks_right()

    def looks_right(self) -> None:
        """One heading, nothing beside the screen, large targets, readable text."""
        assert self.page.locator("h1:visible").count() == 1
        assert self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), self.seen[-1]
        assert self.page.evaluate(SMALL) == [] and self.page.evaluate(CONTRAST) == [], self.seen[-1]

    # --- enrolling ---

    def start(self, **query: str) -> None:
        asked = "&".join(f"{key}={quote(value)}" for key, value in {"persona": self.persona, **query}.items())
        self.page.goto(f"{self.demo.alicem}/enrol?{asked}")
        self.page.wait_for_selector("#start:enabled")
        self.screen("choose")
        self.page.click("#start")
        if self.passkey:
            self.screen("key")
            self.page.click("#make-key")

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
        self.screen("face")

    def pass_face(self) -> None:
        """Like a patient person: a refusal that is the machine's (too slow under load) costs no try and is tried again."""
        for _ in range(5):
            self.show_face()
            self.page.wait_for_selector(
                ", ".join(f'[data-screen="{name}"]:not([hidden])' for name in ("code", "earlier", "refused")),
                timeout=90_000,
            )
            if self.page.evaluate(SHOWN) != "refused" or self.refusal["reason"] not in OF_THE_MACHINE:
                return self.answer_about_phones()
            print(self.refusal)
            self.page.click("#again")
        raise AssertionError(f"five times too slow or unlit: {self.refusal}")

    def answer_about_phones(self) -> None:
        """Past the word on an earlier identity, where the document has one."""
        if self.page.evaluate(SHOWN) != "earlier":
            return
        self.screen("earlier")
        if self.page.is_visible(f'[name=phones][value="{self.phones}"]'):
            self.page.check(f'[name=phones][value="{self.phones}"]')
        self.page.click("#earlier-form button")

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
        self.pass_face()
        self.choose_code()
        self.screen("done")

    def account(self) -> str:
        """The account number that this browser keeps."""
        return str(
            self.page.evaluate(
                "import('/static/state.js').then((state) => state.load()).then(({phone}) => phone.account)"
            )
        )

    def leave(self) -> None:
        """An enrolment left in its middle would hold its session process for ten minutes."""
        if self.page.locator("#cancel").is_visible():
            self.page.click("#cancel")
            self.page.wait_for_selector('[data-screen="refused"]:not([hidden])')

    # --- afterwards ---

    def open_home(self, then: str = "open") -> None:
        self.page.goto(f"{self.demo.alicem}/phone")
        self.screen("locked")
        self.type_code(self.code)
        self.screen(then)

    def type_code(self, code: str) -> None:
        self.page.fill("#code", code)
        self.page.click("#open-form button")

    def go(self, way: str) -> None:
        """From the open identity to one of its screens."""
        self.page.click(f'[data-screen="open"] [data-way="{way}"]')
        self.screen(way)

    def ask_to_sign_in(self, path: str = "/demarches") -> Page:
        """From a sample service to Alicem's page with the QR code, in a tab of its own. `path`: of that service."""
        tab = self.context.new_page()
        tab.goto(self.demo.service + path)
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


MakeCitizen = Callable[..., Citizen]


class Watch:
    """What a browser asks for and complains of: nothing of a third party, no fault."""

    def __init__(self, demo: Demo, context: BrowserContext) -> None:
        self.faults: list[str] = []
        self._origins = {urlsplit(one).netloc for one in (demo.alicem, demo.broker, demo.service, demo.stage)}
        context.on("request", lambda asked: self._asked(asked.url))
        context.on("weberror", lambda error: self.faults.append(str(error.error)))
        context.on("console", lambda said: self._said(said.text))

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about") and parts.netloc not in self._origins:
            self.faults.append(f"asked a third party: {url}")

    def _said(self, text: str) -> None:
        if "Content Security Policy" in text:
            self.faults.append(text)


class Authenticator:
    """A device that asks its owner, as Chromium plays it: `passkey` prompts are answered at once."""

    def __init__(self, context: BrowserContext, page: Page, **options: Any) -> None:
        self._cdp = context.new_cdp_session(page)
        self._cdp.send("WebAuthn.enable")
        chosen = {
            "protocol": "ctap2",
            "ctap2Version": "ctap2_1",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "hasPrf": True,
            "automaticPresenceSimulation": True,
        } | options
        self.prf = chosen["hasPrf"]
        self._id = self._cdp.send("WebAuthn.addVirtualAuthenticator", {"options": chosen})["authenticatorId"]

    def used(self) -> int:
        """How often its passkeys signed."""
        found = self._cdp.send("WebAuthn.getCredentials", {"authenticatorId": self._id})["credentials"]
        return sum(one["signCount"] for one in found) - len(found)

    def refuse(self) -> None:
        """The owner is not recognised, so often that the device asks no more."""
        self._cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self._id, "isUserVerified": False})

    def remove(self) -> None:
        self._cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self._id})
        self._cdp.detach()


@contextlib.contextmanager
def authenticator(context: BrowserContext, page: Page, **options: Any) -> Iterator[Authenticator]:
    """`options`: of CDP's `WebAuthn.addVirtualAuthenticator`."""
    device = Authenticator(context, page, **options)
    yield device
    device.remove()


def cause(name: str) -> str:
    return reasons.load()[name].fr.cause.replace(" ?", "\u202f?")

"""A sign-in at the highest level in a real browser: the document is laid on the phone again, read, lost, wrong, or refused."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from browser_citizen import cause
from chip_world import Document, close_chips, document_of, reading
from phone_world import LEVELS, seed, with_pages
from playwright.sync_api import Browser, BrowserContext, Page, expect
from provider_world import CODE, World, make_world, redeem, request, values

from alicem import jose
from emrtd.softchip.faults import cloned
from emrtd.transports.software import SoftwareCard

SHELL = """window.AlicemNfc = { state: async () => window.laid(), transceive: (hex) => window.carry(hex), close: async () => {} };"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = make_world(tmp_path_factory.mktemp("documents"), level_of_keys={**LEVELS, "webcrypto": "high"})
    yield with_pages(reading(made))
    close_chips(made)
    made.close()


@pytest.fixture(scope="module")
def passport() -> Document:
    return document_of("farid")


class Reader:
    """The reader of a phone, by the bridge of a native shell. Each time a document is asked for, the next one is laid; the last stays."""

    def __init__(self, page: Page) -> None:
        self._pocket: list[SoftwareCard] = []
        self._card: SoftwareCard | None = None
        page.expose_function("laid", self._laid)
        page.expose_function("carry", self._carry)
        page.add_init_script(SHELL)

    def lay(self, document: Document, lost_after: int | None = None) -> None:
        self._pocket.append(SoftwareCard(document.chip, secrets.token_bytes, lost_after=lost_after))

    def _laid(self) -> str:
        self._card = self._pocket.pop(0) if self._pocket else self._card
        assert self._card is not None
        self._card.connect()
        return "ready"

    def _carry(self, command: str) -> str:
        assert self._card is not None
        return self._card(bytes.fromhex(command)).hex().upper()


@pytest.fixture
def reader(page: Page) -> Reader:
    return Reader(page)


def asked(world: World, context: BrowserContext) -> Page:
    """The browser that wants to sign in."""
    tab = context.new_page()
    tab.goto(f"{world.origin}/authorize?{urlencode(request(acr_values='eidas3'))}")
    return tab


def approve(page: Page, tab: Page) -> None:
    link, number = tab.get_attribute("#same-device", "href"), tab.inner_text("#number")
    assert link is not None
    page.goto("about:blank")
    page.goto(link)
    page.fill("#number", number)
    page.fill("#code", CODE)
    expect(page.locator("#document-asked")).to_be_visible()
    page.click("#approve")


def end_of(tab: Page) -> dict[str, str]:
    """What the client's callback was given; nobody answers there."""
    with tab.expect_request(lambda sent: sent.url.startswith("https://fc.example/"), timeout=20_000) as sent:
        pass
    return values(sent.value.url)


def test_the_document_is_read_again(
    world: World, page: Page, context: BrowserContext, reader: Reader, passport: Document, screens: Path
) -> None:
    seed(world, page, chip_key=passport.chip_key, access_key=passport.access_key)
    reader.lay(passport)
    tab = asked(world, context)
    tab.screenshot(path=screens / "signin-eidas3.png", full_page=True)
    approve(page, tab)
    page.wait_for_selector('[data-screen="chip"]:not([hidden])')
    page.screenshot(path=screens / "approve-chip.png", full_page=True)
    assert "puce" not in page.locator("#claims").inner_text().lower()
    page.click("#read-chip")
    code = end_of(tab)["code"]
    page.wait_for_selector('[data-screen="approved"]:not([hidden])')
    said = jose.unpack(redeem(world, code).json()["id_token"], "JWT").json()
    assert (said["acr"], said["amr"]) == ("eidas3", ["swk", "pin", "mfa", "sc"])


def test_a_document_that_slips_is_read_on(
    world: World, page: Page, context: BrowserContext, reader: Reader, passport: Document
) -> None:
    seed(world, page, chip_key=passport.chip_key, access_key=passport.access_key)
    reader.lay(passport, lost_after=500)
    reader.lay(passport)
    tab = asked(world, context)
    approve(page, tab)
    page.click("#read-chip")
    expect(page.locator("#chip-problem")).not_to_be_empty()
    page.click("#read-chip")
    assert end_of(tab)["code"]


def test_another_document_is_told_and_the_right_one_still_serves(
    world: World, page: Page, context: BrowserContext, reader: Reader, passport: Document, screens: Path
) -> None:
    seed(world, page, chip_key=passport.chip_key, access_key=passport.access_key)
    reader.lay(document_of("letizia"))
    tab = asked(world, context)
    approve(page, tab)
    page.click("#read-chip")
    expect(page.locator("#chip-problem")).to_contain_text(cause("another_document"))
    page.screenshot(path=screens / "approve-chip-another.png", full_page=True)
    reader.lay(passport)
    page.click("#read-chip")
    assert end_of(tab)["code"]


def test_a_copy_ends_the_sign_in_on_both_sides(
    world: World, page: Page, context: BrowserContext, reader: Reader, passport: Document
) -> None:
    seed(world, page, chip_key=passport.chip_key, access_key=passport.access_key)
    copy = Document(passport.access_key, cloned(passport.chip, secrets.token_bytes), passport.chip_key)
    reader.lay(copy)
    tab = asked(world, context)
    approve(page, tab)
    page.click("#read-chip")
    told = end_of(tab)
    assert (told["error"], told["error_description"]) == ("access_denied", "chip_is_copy")
    expect(page.locator("#ended-cause")).to_have_text(cause("chip_is_copy"))


def test_who_changes_their_mind_signs_in_nowhere(
    world: World, page: Page, context: BrowserContext, reader: Reader, passport: Document
) -> None:
    seed(world, page, chip_key=passport.chip_key, access_key=passport.access_key)
    reader.lay(passport)
    tab = asked(world, context)
    approve(page, tab)
    page.click("#stop-reading")
    assert end_of(tab)["error_description"] == "signin_refused"
    page.wait_for_selector('[data-screen="refused-by-me"]:not([hidden])')


def test_without_a_reader_nothing_is_typed(
    world: World, page: Page, context: BrowserContext, passport: Document, screens: Path
) -> None:
    seed(world, page, chip_key=passport.chip_key, access_key=passport.access_key)
    tab = asked(world, context)
    link = tab.get_attribute("#same-device", "href")
    assert link is not None
    page.goto(link)
    page.wait_for_selector('[data-screen="ended"]:not([hidden])')
    page.screenshot(path=screens / "approve-no-reader.png", full_page=True)
    expect(tab.locator("#number")).to_be_visible()  # another phone may still answer


def test_a_key_that_cannot_reach_the_level_is_told_before_anything_is_typed(
    page: Page, context: BrowserContext, reader: Reader, passport: Document, tmp_path: Path
) -> None:
    low = with_pages(reading(make_world(tmp_path / "low", level_of_keys=LEVELS)))
    seed(low, page, chip_key=passport.chip_key, access_key=passport.access_key)
    tab = asked(low, context)
    link = tab.get_attribute("#same-device", "href")
    assert link is not None
    page.goto(link)
    assert end_of(tab)["error_description"] == "level_not_reachable"
    expect(page.locator("#ended-cause")).to_have_text(cause("level_not_reachable"))
    close_chips(low)
    low.close()


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_screens_in_the_dark_and_narrow(
    chromium: Browser, world: World, passport: Document, screens: Path, language: str
) -> None:
    locale = {"fr": "fr-FR", "en": "en-GB"}[language]
    context = chromium.new_context(locale=locale, viewport={"width": 320, "height": 640}, color_scheme="dark")
    page = context.new_page()
    reader = Reader(page)
    seed(world, page, chip_key=passport.chip_key, access_key=passport.access_key)
    reader.lay(passport)
    tab = asked(world, context)
    tab.screenshot(path=screens / f"signin-eidas3-{language}.png", full_page=True)
    approve(page, tab)
    page.wait_for_selector('[data-screen="chip"]:not([hidden])')
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.screenshot(path=screens / f"approve-chip-{language}.png", full_page=True)
    page.click("#stop-reading")
    page.wait_for_selector('[data-screen="refused-by-me"]:not([hidden])')
    context.close()

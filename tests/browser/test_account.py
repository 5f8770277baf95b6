"""The life of an account as its owner governs it from the phone's page, against a real provider; and what thieves of the browser can do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser_citizen import CONTRAST, SMALL, authenticator, cause, chromium_path
from phone_world import Seeded, make_phone_world, seed
from playwright.sync_api import BrowserContext, Page, Playwright, expect
from provider_world import CODE, Browser, World

NEXT = "902847"
WRONG = "735104"
ENTRY = {
    "at": "2026-11-02T10:00:00Z",
    "asker": "FranceConnect",
    "level": "eidas2",
    "claims": ["given_name"],
    "outcome": "done",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, modules: None) -> Iterator[World]:
    world = make_phone_world(tmp_path_factory.mktemp("phones"))
    yield world
    world.close()


class Phone:
    """One browser, its page at hand."""

    def __init__(self, world: World, page: Page, screens: Path, name: str) -> None:
        self.world, self.page, self._screens, self._name = world, page, screens, name

    def screen(self, name: str) -> None:
        self.page.wait_for_selector(f'[data-screen="{name}"]:not([hidden])', timeout=20_000)
        self.page.screenshot(path=self._screens / f"{self._name}-{name}.png", full_page=True)
        assert self.page.locator("h1:visible").count() == 1
        assert self.page.evaluate("document.activeElement === document.querySelector('[data-screen]:not([hidden]) h1')")
        assert self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert self.page.evaluate(SMALL) == [] and self.page.evaluate(CONTRAST) == []

    def load(self, then: str = "locked") -> None:
        self.page.goto(f"{self.world.origin}/phone")
        self.screen(then)

    def type(self, code: str) -> None:
        self.page.fill("#code", code)
        self.page.click("#open-form button")

    def open(self, code: str = CODE, then: str = "open") -> None:
        self.load()
        self.type(code)
        self.screen(then)

    def go(self, way: str) -> None:
        self.page.click(f'[data-screen="open"] [data-way="{way}"]')
        self.screen(way)

    def change_code(self, new: str) -> None:
        for field in ("#change-first", "#change-again"):
            self.page.fill(field, new)
        self.page.click("#change-form button:not([type=button])")

    def approve(self, browser: Browser, code: str = CODE) -> None:
        self.page.goto("about:blank")
        self.page.goto(browser.link)
        self.page.wait_for_selector('[data-screen="asked"]:not([hidden])')
        self.page.fill("#number", browser.number)
        self.page.fill("#code", code)
        self.page.click("#approve")


MakePhone = Callable[..., Phone]


@pytest.fixture
def phone(world: World, page: Page, screens: Path, request: pytest.FixtureRequest) -> Phone:
    return Phone(world, page, screens, request.node.name.removeprefix("test_")[:40])


def other_phone(phone: Phone, context: BrowserContext) -> Phone:
    return Phone(phone.world, context.new_page(), phone._screens, phone._name + "-other")


def signing_in(world: World) -> Browser:
    browser = Browser(world)
    assert browser.open().status_code == 200
    return browser


def suspended_by(world: World, seeded: Seeded, code: str) -> int:
    browser = Browser(world)
    return browser.http.post(
        f"{world.origin}/suspend", data={"code": code}, headers={"Origin": world.origin}
    ).status_code


def test_a_passkey_opens_and_signs_in_with_one_prompt_each(phone: Phone, context: BrowserContext) -> None:
    with authenticator(context, phone.page) as device:
        seed(phone.world, phone.page, "passkey")
        phone.load()
        expect(phone.page.locator('[data-kind-of-key="passkey"]:visible')).to_contain_text("votre empreinte")
        before = device.used()
        phone.open()
        assert device.used() == before + 1
        browser = signing_in(phone.world)
        phone.approve(browser)
        phone.screen("approved")
        assert device.used() == before + 2
        assert "code" in browser.finish()
        device.refuse()
        phone.load()
        phone.type(CODE)
        expect(phone.page.locator("#open-problem")).to_contain_text("Votre appareil n’a pas confirmé")


def test_another_code_in_two_phases_with_a_reload_between(phone: Phone) -> None:
    seed(phone.world, phone.page)
    phone.open()
    phone.go("change")
    for bad, said in (("123456", "trop facile"), ("240862", "trop facile"), (CODE, "votre code d’aujourd’hui")):
        phone.change_code(bad)
        expect(phone.page.locator("#change-problem")).to_contain_text(said)
    asked: list[str] = []

    def first_alone(route: object) -> None:
        asked.append("")
        route.continue_() if len(asked) == 1 else route.abort()  # type: ignore[attr-defined]

    phone.page.route("**/phone/challenge", first_alone)
    phone.change_code(NEXT)
    phone.screen("begun")
    phone.page.unroute("**/phone/challenge")
    phone.load("begun")
    phone.page.click("#begun-keep")
    phone.screen("locked")
    phone.open()  # the old one is still the one
    phone.go("change")
    asked.clear()
    phone.page.route("**/phone/challenge", first_alone)
    phone.change_code(NEXT)
    phone.screen("begun")
    phone.page.unroute("**/phone/challenge")
    phone.load("begun")
    phone.page.fill("#begun-code", NEXT)
    phone.page.click("#begun-form button:not([type=button])")
    phone.screen("open")
    phone.load()
    phone.type(CODE)
    expect(phone.page.locator("#open-problem")).to_contain_text("3 essais")
    phone.type(NEXT)
    phone.screen("open")


def test_a_code_adopted_while_its_answer_was_lost_is_the_code(phone: Phone) -> None:
    seed(phone.world, phone.page)
    phone.open()
    phone.go("change")
    seen: list[str] = []

    def second_answer_lost(route: object) -> None:
        seen.append("")
        route.continue_() if len(seen) == 1 else (route.fetch(), route.abort())  # type: ignore[attr-defined]

    phone.page.route("**/phone/instruction", second_answer_lost)
    phone.change_code(NEXT)
    phone.screen("begun")
    phone.page.unroute("**/phone/instruction")
    phone.load()
    expect(phone.page.locator("#adopted")).to_be_visible()
    phone.type(NEXT)
    phone.screen("open")


def test_four_wrong_codes_begin_a_pause_that_counts_down(phone: Phone) -> None:
    seed(phone.world, phone.page)
    phone.load()
    for left in ("3 essais", "2 essais", "un essai"):
        phone.type(WRONG)
        expect(phone.page.locator("#open-problem")).to_contain_text(left)
    phone.type(WRONG)
    expect(phone.page.locator("#open-problem")).to_contain_text("Réessayez à")
    expect(phone.page.locator(".countdown")).to_contain_text("0:5")
    phone.type(CODE)
    expect(phone.page.locator("#open-problem")).to_contain_text(cause("code_paused"))
    phone.world.clock.advance(61)
    phone.type(CODE)
    phone.screen("open")


def test_the_history_is_read_saved_and_erased(phone: Phone) -> None:
    seed(phone.world, phone.page, history=(ENTRY,))
    phone.open()
    phone.go("history")
    expect(phone.page.locator("#history li")).to_contain_text("FranceConnect, niveau substantiel")
    with phone.page.expect_download() as saved:
        phone.page.click("#history-export")
    assert json.loads(Path(saved.value.path()).read_text("utf-8")) == [ENTRY]
    phone.page.click("#history-erase")
    phone.page.click("#history-erase-now")
    expect(phone.page.locator("[data-history=none]")).to_be_visible()
    phone.page.click('[data-screen="history"] [data-way="home"]')
    phone.page.click('[data-way="lock"]')
    phone.screen("locked")
    assert phone.page.text_content("#identity") == phone.page.text_content("#history") == ""
    phone.open()
    phone.go("history")
    expect(phone.page.locator("#history li")).to_have_count(0)


def test_another_suspension_code_and_suspension_while_a_sign_in_waits(phone: Phone) -> None:
    seeded = seed(phone.world, phone.page)
    phone.open()
    phone.go("suspension")
    drawn = phone.page.inner_text("#suspension-code")
    assert [len(group) for group in drawn.split(" ")] == [4] * 5
    phone.page.check("#written")
    phone.page.click("#suspension-form button:not([type=button])")
    phone.screen("open")
    assert suspended_by(phone.world, seeded, seeded.suspension_code) == 404
    browser = signing_in(phone.world)
    phone.page.goto(browser.link)
    phone.page.wait_for_selector('[data-screen="asked"]:not([hidden])')
    assert suspended_by(phone.world, seeded, drawn.lower()) == 200
    phone.page.fill("#number", browser.number)
    phone.page.fill("#code", CODE)
    phone.page.click("#approve")
    phone.screen("stopped")
    assert phone.page.inner_text("#stopped-cause") == cause("account_suspended")
    phone.open(then="stopped")
    phone.page.click("#stopped-delete")  # its owner may still close it
    phone.screen("delete")
    phone.page.fill("#delete-code", CODE)
    phone.page.click("#delete-now")
    phone.screen("erased")


def test_suspended_by_its_owner(phone: Phone) -> None:
    seed(phone.world, phone.page)
    phone.open()
    phone.go("suspend")
    phone.page.click("#suspend-now")
    phone.screen("suspended")
    phone.open(then="stopped")


def test_a_second_phone_is_kept_then_removed(phone: Phone, chromium: object) -> None:
    first = seed(phone.world, phone.page)
    phone.open()
    expect(phone.page.locator("#others-way")).to_be_hidden()
    context = chromium.new_context(locale="fr-FR", viewport={"width": 320, "height": 640}, color_scheme="dark")  # type: ignore[attr-defined]
    second = other_phone(phone, context)
    seed(phone.world, second.page, beside=first, keep=True)
    second.load()
    expect(second.page.locator('[data-when="unfinished"]')).to_be_visible()
    second.type(CODE)
    second.screen("open")
    phone.open()
    phone.go("others")
    expect(phone.page.locator("#others-said")).to_have_text("Votre compte a un autre appareil.")
    phone.page.click("#others-now")
    phone.screen("open")
    expect(phone.page.locator("#others-way")).to_be_hidden()
    second.open(then="stranger")
    second.page.click('[data-screen="stranger"] [data-forget]')
    second.screen("forget")
    second.page.click("#forget-now")
    second.screen("none")
    context.close()


def test_a_closing_that_never_reached_the_server_is_not_taken_for_done(phone: Phone) -> None:
    seed(phone.world, phone.page)
    phone.open()
    phone.go("delete")
    phone.page.route("**/phone/instruction", lambda route: route.abort())
    phone.page.click("#delete-now")
    expect(phone.page.locator("#delete-problem")).to_contain_text("ne répond pas")
    phone.page.unroute("**/phone/instruction")
    phone.world.clock.advance(120)  # its challenge is over: the server refuses it as a stranger's
    phone.open()


def test_a_vault_of_another_time_leaves_two_ways(phone: Phone) -> None:
    seed(phone.world, phone.page)
    phone.page.evaluate(
        """() => import("/static/state.js").then((state) =>
            state.saveVault(Uint8Array.of(1, ...crypto.getRandomValues(new Uint8Array(80)))))"""
    )
    phone.open(then="forgotten")


def test_storage_that_the_browser_cleared_leaves_two_ways(phone: Phone) -> None:
    seed(phone.world, phone.page)
    phone.page.evaluate(
        """async () => { const open = indexedDB.open("alicem"); await new Promise((done) => { open.onsuccess = done; });
        const writing = open.result.transaction("state", "readwrite"); writing.objectStore("state").delete("vault");
        await new Promise((done) => { writing.oncomplete = done; }); open.result.close(); }"""
    )
    phone.load("forgotten")
    assert phone.page.locator('[data-screen="forgotten"] a[href="/enrol"]').is_visible()
    expect(phone.page.locator('[data-screen="forgotten"]')).to_contain_text("guichet")


def test_too_many_requests_lose_nothing(phone: Phone) -> None:
    seed(phone.world, phone.page)
    phone.load()
    phone.page.route("**/phone/instruction", lambda route: route.fulfill(status=429, json={"outcome": "rate_limited"}))
    phone.type(CODE)
    expect(phone.page.locator("#open-problem")).to_contain_text("Trop de demandes")
    phone.page.unroute("**/phone/instruction")
    phone.type(CODE)
    phone.screen("open")


@pytest.mark.parametrize("kind", ["webcrypto", "passkey"])
def test_the_thief_of_a_whole_browser_profile(
    playwright: Playwright, world: World, screens: Path, tmp_path: Path, kind: str
) -> None:
    """Without the code nothing opens. With it, keys of the browser serve until two phones use one number; a passkey stays behind."""
    profile, copied = tmp_path / "profile", tmp_path / "copied"

    def launch(folder: Path) -> BrowserContext:
        return playwright.chromium.launch_persistent_context(
            folder, executable_path=chromium_path(), args=["--no-sandbox"], locale="fr-FR"
        )

    owners = launch(profile)
    owner = Phone(world, owners.pages[0], screens, f"owner-{kind}")
    with authenticator(owners, owner.page):
        seed(world, owner.page, kind)
        owner.open()
        owners.storage_state()
        shutil.copytree(profile, copied, ignore=shutil.ignore_patterns("Singleton*", "*.lock", "LOCK"))
        assert not any(b"Angela" in file.read_bytes() for file in copied.rglob("*") if file.is_file())
        thieves = launch(copied)
        thief = Phone(world, thieves.pages[0], screens, f"thief-{kind}")
        with authenticator(thieves, thief.page):  # their own fingerprint reader
            thief.load()
            thief.type(WRONG)
            if kind == "passkey":
                expect(thief.page.locator("#open-problem")).to_contain_text("pas confirmé", timeout=70_000)
                thief.type(CODE)
                expect(thief.page.locator("#open-problem")).to_contain_text("pas confirmé", timeout=70_000)
                owner.open()
            else:
                expect(thief.page.locator("#open-problem")).to_contain_text(cause("code_wrong"))
                thief.type(CODE)
                thief.screen("open")
                owner.load()
                owner.type(CODE)
                owner.screen("stopped")
                assert owner.page.inner_text("#stopped-cause") == cause("clone_suspected")
                thief.open(then="stopped")
        thieves.close()
    owners.close()

"""The whole way in a real browser, against the demonstration's real processes: enrol, sign in, say no, be refused, leave."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_citizen import Citizen, Demo, MakeCitizen, Watch, authenticator, cause
from playwright.sync_api import Browser, expect

from alicem import jose

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def enrolled(chromium: Browser, demo: Demo, screens: Path) -> Iterator[Citizen]:
    """A citizen whose phone is enrolled, for the tests that leave it so."""
    context = chromium.new_context(locale="fr-FR", viewport={"width": 1024, "height": 900})
    watch = Watch(demo, context)
    mael = Citizen(demo, context, "mael", screens, name="enrolled")
    mael.enrol()
    yield mael
    mael.leave()
    assert not watch.faults
    context.close()


@pytest.fixture(scope="module")
def second(chromium: Browser, demo: Demo, screens: Path, enrolled: Citizen) -> Iterator[Citizen]:
    """The same person at another browser, small, dark and in English; the first phone stays."""
    context = chromium.new_context(
        locale="en-GB", viewport={"width": 320, "height": 640}, color_scheme="dark", reduced_motion="reduce"
    )
    mael = Citizen(demo, context, enrolled.persona, screens, name="narrow-dark-en", phones="keep")
    mael.enrol()
    yield mael
    mael.leave()
    context.close()


@pytest.fixture
def zoe(citizen: MakeCitizen) -> Iterator[Citizen]:
    """With a device that keeps her key under her fingerprint."""
    zoe = citizen(passkey=True)
    with authenticator(zoe.context, zoe.page):
        yield zoe


def test_from_the_chip_to_a_signed_in_service(zoe: Citizen) -> None:
    began = time.monotonic()
    zoe.enrol()
    assert time.monotonic() - began < 60
    expect(zoe.page.locator("#checked li")).to_have_count(7)
    expect(zoe.page.locator("#erased")).to_contain_text("Vidéo de votre visage")
    zoe.open_home()
    expect(zoe.page.locator("#identity")).to_contain_text("Zoë-Anaïs Marie")
    expect(zoe.page.locator("#identity")).to_contain_text("17 mai 1988")
    tab = zoe.ask_to_sign_in()
    number = zoe.follow_link(tab)
    expect(zoe.page.locator("#asker")).to_have_text("FranceConnect")
    zoe.approve(number, zoe.code)
    zoe.screen("approved")
    tab.wait_for_selector("[data-claim]", timeout=30_000)
    zoe.picture("information", tab)
    if tab.locator("[name=consent]").count():
        tab.check("[name=consent]")
    tab.click('button[name="decision"][value="continue"]')
    tab.wait_for_selector("#claims")
    zoe.picture("signed-in", tab)
    for claim, value in zoe.person["expected"].items():
        expect(tab.locator(f'[data-claim="{claim}"]')).to_have_text(value)
    zoe.open_home()
    zoe.go("history")
    expect(zoe.page.locator("#history li")).to_contain_text("FranceConnect, niveau substantiel")


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("document", {"document_not_authentic"}),
        ("chip", {"chip_is_copy"}),
        ("face", {"face_not_same_person", "face_doubtful"}),
    ],
)
def test_what_is_wrong_is_refused_by_its_own_name(citizen: MakeCitizen, wrong: str, expected: set[str]) -> None:
    letizia = citizen("letizia", name=f"wrong-{wrong}")
    letizia.start(wrong=wrong)
    letizia.prove_email()
    letizia.copy_document()
    letizia.read_chip()
    if wrong == "face":
        letizia.show_face()
    letizia.page.wait_for_selector('[data-screen="refused"]:not([hidden])', timeout=90_000)
    letizia.picture("refused")
    assert letizia.page.inner_text("#refused-cause") in {cause(name) for name in expected}
    assert letizia.page.locator("#refused-ways li").count() >= 1


def test_a_wrong_code_is_counted_and_a_right_one_still_opens(enrolled: Citizen) -> None:
    number = enrolled.follow_link(enrolled.ask_to_sign_in())
    enrolled.approve(number, "730519")
    expect(enrolled.page.locator("#approve-problem")).to_contain_text(cause("code_wrong"))
    expect(enrolled.page.locator("#approve-problem")).to_contain_text("3 essais")
    enrolled.picture("code-wrong")
    enrolled.approve(number, enrolled.code)
    enrolled.screen("approved")


def test_a_wrong_number_ends_the_sign_in(enrolled: Citizen) -> None:
    number = enrolled.follow_link(enrolled.ask_to_sign_in())
    enrolled.approve("10" if number != "10" else "11", enrolled.code)
    enrolled.screen("ended")
    assert enrolled.page.inner_text("#ended-cause") == cause("number_wrong")


def test_no_is_an_answer(enrolled: Citizen) -> None:
    for button in ("#refuse", "#not-mine"):
        tab = enrolled.ask_to_sign_in()
        enrolled.follow_link(tab)
        enrolled.page.click(button)
        enrolled.screen("refused-by-me")
        expect(enrolled.page.locator("#watch-out")).to_be_visible(visible=button == "#not-mine")
        tab.wait_for_selector("[data-failure]", timeout=30_000)
        tab.close()


def test_the_bank_has_the_document_read_again(enrolled: Citizen) -> None:
    tab = enrolled.ask_to_sign_in("/banque")
    number = enrolled.follow_link(tab)
    expect(enrolled.page.locator("#level")).to_have_text("élevé")
    enrolled.approve(number, enrolled.code)
    enrolled.screen("chip")
    expect(enrolled.page.locator("#persona")).to_have_value(enrolled.persona)  # by what the vault has of the document
    enrolled.page.select_option("#persona", "zoe")
    enrolled.page.click("#read-chip")
    expect(enrolled.page.locator("#chip-problem")).to_contain_text(cause("another_document"))
    enrolled.page.select_option("#persona", enrolled.persona)
    enrolled.page.click("#read-chip")
    enrolled.screen("approved")
    tab.wait_for_selector("[data-claim]", timeout=30_000)
    enrolled.picture("bank-information", tab)
    tab.close()


def test_the_language_of_a_request_can_be_changed(enrolled: Citizen) -> None:
    enrolled.follow_link(enrolled.ask_to_sign_in())
    enrolled.page.click(".language")
    enrolled.screen("asked")
    expect(enrolled.page.locator("h1:visible")).to_have_text("FranceConnect asks who you are")
    enrolled.page.click(".language")
    enrolled.screen("asked")


def sub_of(citizen: Citizen) -> str:
    """Who the service says that they are, after a sign-in."""
    tab = citizen.ask_to_sign_in()
    citizen.approve(citizen.follow_link(tab), citizen.code)
    citizen.screen("approved")
    tab.wait_for_selector("[data-claim]", timeout=30_000)
    tab.click('button[name="decision"][value="continue"]')
    sub = tab.inner_text('[data-claim="sub"]')
    tab.close()
    citizen.context.clear_cookies()  # or the service would know them still
    return sub


def test_a_second_phone_on_a_narrow_dark_screen_in_english(enrolled: Citizen, second: Citizen) -> None:
    assert "earlier" in second.seen
    assert sub_of(second) == sub_of(enrolled)
    second.open_home()
    second.go("history")
    enrolled.open_home()
    enrolled.go("others")
    expect(enrolled.page.locator("#others-said")).to_have_text("Votre compte a un autre appareil.")


def test_a_forgotten_code_leaves_the_person_the_same_to_services(enrolled: Citizen, second: Citizen) -> None:
    before = sub_of(enrolled)
    enrolled.code = "902847"  # the other is forgotten
    enrolled.enrol()
    assert sub_of(enrolled) == before
    enrolled.open_home()
    expect(enrolled.page.locator("#others-way")).to_be_hidden()
    second.open_home(then="stranger")


def test_suspended_from_the_website_without_the_phone(citizen: MakeCitizen) -> None:
    joao = citizen("joao", name="suspended")
    joao.enrol()
    website = joao.context.new_page()
    website.goto(f"{joao.demo.alicem}/suspend")
    website.fill("#code", "ABCD EFGH")
    website.click("main button")
    joao.picture("not-found", website)
    expect(website.locator("[role=alert]")).to_be_visible()
    website.fill("#code", joao.suspension_code.lower())
    website.click("main button")
    joao.picture("done", website)
    expect(website.locator(".notice.good")).to_be_visible()
    joao.page.goto(f"{joao.demo.alicem}/phone")
    joao.screen("locked")
    joao.page.fill("#code", joao.code)
    joao.page.click("#open-form button")
    joao.screen("stopped")
    assert joao.page.inner_text("#stopped-cause") == cause("account_suspended")


def test_deleted_in_two_taps_and_nothing_is_left(citizen: MakeCitizen) -> None:
    wibowo = citizen("wibowo", name="deleted")
    wibowo.enrol()
    wibowo.open_home()
    wibowo.go("delete")
    wibowo.page.click("#delete-now")
    wibowo.screen("erased")
    expect(wibowo.page.locator("#erased li")).not_to_have_count(0)
    with wibowo.page.expect_download() as saved:
        wibowo.page.click("#receipt-download")
    assert jose.unpack(Path(saved.value.path()).read_text(), "alicem-receipt+jwt").json()["erased"]
    databases = "async () => (await indexedDB.databases()).map((one) => one.name)"
    assert wibowo.page.evaluate(databases) == []
    wibowo.page.goto(f"{wibowo.demo.alicem}/phone")
    wibowo.screen("none")

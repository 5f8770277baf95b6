"""The whole way in a real browser, against the demonstration's real processes: enrol, sign in, be refused, come back, leave."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser_citizen import SHOWN, Citizen, Demo, chromium_path
from playwright.sync_api import Browser, BrowserContext, Playwright, WebSocketRoute, expect

from alicem import reasons
from alicem.demo.town import Town
from wire import Wire

pytestmark = pytest.mark.timeout(400)
MakeCitizen = Callable[..., Citizen]


@pytest.fixture(scope="session")
def demo(town: Town, modules: None) -> Demo:
    return Demo(town.base)


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


@pytest.fixture
def citizen(demo: Demo, context: BrowserContext, screens: Path) -> Iterator[MakeCitizen]:
    watch = Watch(demo, context)
    made: list[Citizen] = []

    def make(persona: str = "zoe", **given: str) -> Citizen:
        made.append(Citizen(demo, context, persona, screens, **given))
        return made[-1]

    yield make
    for one in made:
        one.leave()
    assert not watch.faults


@pytest.fixture(scope="module")
def enrolled(chromium: Browser, demo: Demo, screens: Path) -> Iterator[Citizen]:
    """A citizen whose phone is enrolled, for the tests that leave it so."""
    context = chromium.new_context(locale="fr-FR", viewport={"width": 1024, "height": 900})
    watch = Watch(demo, context)
    mael = Citizen(demo, context, "mael", screens, name="enrolled")
    mael.enrol()
    yield mael
    assert not watch.faults
    context.close()


def cause(name: str) -> str:
    return reasons.load()[name].fr.cause.replace(" ?", "\u202f?")


def test_from_the_chip_to_a_signed_in_service(citizen: MakeCitizen) -> None:
    zoe = citizen()
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
    expect(zoe.page.locator("#history li")).to_contain_text("FranceConnect, niveau substantiel")


def test_the_same_on_a_narrow_dark_screen_in_english(chromium: Browser, demo: Demo, screens: Path) -> None:
    context = chromium.new_context(
        locale="en-GB", viewport={"width": 320, "height": 640}, color_scheme="dark", reduced_motion="reduce"
    )
    joao = Citizen(demo, context, "joao", screens, name="narrow-dark-en")
    joao.enrol()
    joao.open_home()
    number = joao.follow_link(joao.ask_to_sign_in())
    joao.approve(number, joao.code)
    joao.screen("approved")
    joao.open_home()
    context.close()


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


def test_the_language_of_a_request_can_be_changed(enrolled: Citizen) -> None:
    enrolled.follow_link(enrolled.ask_to_sign_in())
    enrolled.page.click(".language")
    enrolled.screen("asked")
    expect(enrolled.page.locator("h1:visible")).to_have_text("FranceConnect asks who you are")
    enrolled.page.click(".language")
    enrolled.screen("asked")


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
    expect(joao.page.locator("#open-problem")).to_contain_text(cause("account_suspended"))


def test_deleted_in_two_taps_and_nothing_is_left(citizen: MakeCitizen) -> None:
    wibowo = citizen("wibowo", name="deleted")
    wibowo.enrol()
    wibowo.open_home()
    wibowo.page.click("#delete")
    wibowo.picture("sure")
    wibowo.page.click("#delete-now")
    wibowo.screen("erased")
    databases = "async () => (await indexedDB.databases()).map((one) => one.name)"
    assert wibowo.page.evaluate(databases) == []
    wibowo.page.goto(f"{wibowo.demo.alicem}/phone")
    wibowo.screen("none")


def test_a_reload_in_each_step_loses_nothing(citizen: MakeCitizen) -> None:
    camille = citizen("camille", name="reload")
    page = camille.page

    def reload(then: str) -> None:
        page.reload()
        camille.screen(then)

    camille.start()
    camille.screen("email")
    reload("email")
    camille.prove_email()
    camille.screen("document")
    reload("document")
    camille.copy_document()
    camille.screen("chip")
    reload("chip")
    camille.read_chip()
    camille.screen("consent")
    reload("consent")
    page.click("#agree")
    camille.screen("face")
    reload("consent")
    camille.pass_face()
    camille.screen("code")
    reload("code")
    camille.choose_code()
    camille.screen("done")
    camille.open_home()


def test_a_cut_line_is_found_again(citizen: MakeCitizen) -> None:
    zoe = citizen(name="cut")
    lines: list[WebSocketRoute] = []

    def carry(line: WebSocketRoute) -> None:
        line.connect_to_server()
        lines.append(line)

    zoe.page.route_web_socket(f"ws://localhost:{zoe.demo.base}/enrolment/**", carry)

    def cut() -> None:
        lines[-1].close(code=3001)

    def carry_chip(chip: WebSocketRoute) -> None:
        """The first reading is cut after sixty commands."""
        server, commands = chip.connect_to_server(), itertools.count(1)

        def forward(command: str | bytes) -> None:
            server.send(command)
            if next(commands) == 60 and len(lines) == 2:
                cut()

        chip.on_message(forward)

    zoe.page.route_web_socket(f"ws://127.0.0.1:{zoe.demo.base + 3}/chips/**", carry_chip)

    zoe.start()
    zoe.screen("email")
    cut()
    expect(zoe.page.locator("#line")).to_be_visible()
    zoe.picture("line")
    expect(zoe.page.locator("#line")).to_be_hidden()
    zoe.prove_email()
    zoe.copy_document()
    zoe.screen("chip")
    zoe.page.click("#read-chip")
    expect(zoe.page.locator("#read-chip")).to_be_visible()
    zoe.page.click("#read-chip")
    zoe.pass_face()
    zoe.choose_code()
    zoe.screen("done")
    assert len(lines) == 3


def test_what_can_be_put_right_is_put_right_on_the_spot(citizen: MakeCitizen) -> None:
    zoe = citizen(name="put-right")
    page = zoe.page
    zoe.start()
    zoe.screen("email")
    page.fill("#email", "nowhere")
    page.click("#email-form button:not([type=button])")
    expect(page.locator("#email-problem")).to_contain_text(cause("email_invalid"))
    zoe.picture("email-invalid")
    page.click('[data-specimen="email"]')
    known = len(zoe.letters())
    page.click("#email-form button:not([type=button])")
    zoe.screen("email-code")
    right = zoe.letter(known)
    page.fill("#email-code", "000000" if right != "000000" else "000001")
    page.click("#email-code-form button:not([type=button])")
    expect(page.locator("#email-code-problem")).to_contain_text("4 essais")
    page.fill("#email-code", right)
    page.click("#email-code-form button:not([type=button])")
    zoe.screen("document")
    page.click("#document-form button:not([type=button])")
    expect(page.locator("#document-problem")).not_to_be_empty()
    page.click('[data-specimen="document"]')
    page.fill("#number", "24AB12346")
    page.click("#document-form button:not([type=button])")
    zoe.read_chip()
    page.wait_for_selector('[data-screen="refused"]:not([hidden])')
    zoe.picture("wrong-number")
    assert page.inner_text("#refused-cause") == cause("access_key_refused")
    page.click("#again")
    zoe.copy_document()
    zoe.read_chip()
    zoe.pass_face()
    zoe.screen("code")
    for trivial in ("123456", "170588"):
        page.fill("#code-first", trivial)
        page.fill("#code-again", trivial)
        page.click("#code-form button")
        expect(page.locator("#code-problem")).to_contain_text("trop facile")
    zoe.choose_code()
    zoe.screen("done")


def test_a_second_tab_takes_the_session_over(citizen: MakeCitizen, context: BrowserContext) -> None:
    first = citizen(name="tabs")
    first.start()
    first.screen("email")
    second = citizen(name="tabs-second")
    second.page.goto(first.page.url)
    second.screen("email")
    first.page.wait_for_selector('[data-screen="refused"]:not([hidden])')
    expect(first.page.locator("#refused-cause")).to_contain_text("autre fenêtre")
    second.page.reload()
    second.screen("email")


def test_an_answer_lost_on_the_way_is_asked_for_again(citizen: MakeCitizen) -> None:
    zoe = citizen(name="lost-answer")
    zoe.enrol()
    for purpose in ("open", "close"):
        zoe.page.goto(f"{zoe.demo.alicem}/phone")
        zoe.screen("locked")
        if purpose == "close":
            zoe.page.fill("#code", zoe.code)
            zoe.page.click("#open-form button")
            zoe.screen("open")
            zoe.page.click("#delete")
        zoe.page.route("**/phone/instruction", lambda route: (route.fetch(), route.abort()))
        if purpose == "close":
            zoe.page.click("#delete-now")
            expect(zoe.page.locator("#delete-problem")).to_contain_text("ne répond pas")
        else:
            zoe.page.fill("#code", zoe.code)
            zoe.page.click("#open-form button")
            expect(zoe.page.locator("#open-problem")).to_contain_text("ne répond pas")
        zoe.page.unroute("**/phone/instruction")
        zoe.page.goto(f"{zoe.demo.alicem}/phone")
        zoe.screen("locked")
        zoe.page.fill("#code", zoe.code)
        zoe.page.click("#open-form button")
        zoe.screen("open" if purpose == "open" else "erased")


QUEUES = {
    "fr-FR": ("Vous êtes à la place 2 dans la file.", "Vous êtes la prochaine personne."),
    "en-GB": ("You are number 2 in the queue.", "You are next."),
}


@pytest.mark.parametrize("locale", QUEUES)
def test_whoever_comes_when_every_place_is_taken_sees_the_queue_move(
    chromium: Browser, demo: Demo, town: Town, screens: Path, locale: str
) -> None:
    context = chromium.new_context(locale=locale, viewport={"width": 400, "height": 800})
    zoe = Citizen(demo, context, "zoe", screens, name=f"queue-{locale}")
    others = [Wire(town) for _ in range(4)]  # three have a place, the fourth waits
    with contextlib.ExitStack() as connections:
        for one in others:
            connections.enter_context(one.connected())
            one.choose()
            one.prove_address()
            one.hear("queue" if one is others[3] else "step")
        zoe.start()
        zoe.prove_email()
        zoe.screen("queue")
        expect(zoe.page.locator("#queue-said")).to_have_text(QUEUES[locale][0])
        others[3].stop()
        expect(zoe.page.locator("#queue-said")).to_have_text(QUEUES[locale][1])
        zoe.page.reload()
        zoe.screen("queue")
        expect(zoe.page.locator("#queue-said")).to_have_text(QUEUES[locale][1])
        expect(zoe.page.locator("#cancel")).to_be_visible()
        others[0].stop()
        zoe.screen("document")
        zoe.leave()
        others[1].stop()
        others[2].stop()
    context.close()


def test_refusing_the_biometrics_shows_the_other_way(citizen: MakeCitizen) -> None:
    zoe = citizen(name="consent-refused")
    zoe.start()
    zoe.prove_email()
    zoe.copy_document()
    zoe.read_chip()
    zoe.screen("consent")
    zoe.page.click("#disagree")
    zoe.page.wait_for_selector('[data-screen="refused"]:not([hidden])')
    zoe.picture("refused")
    assert zoe.page.inner_text("#refused-cause") == cause("consent_refused")


def test_chromium_s_own_camera_shows_no_face(playwright: Playwright, demo: Demo, screens: Path) -> None:
    browser = playwright.chromium.launch(
        executable_path=chromium_path(),
        args=["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"],
    )
    context = browser.new_context(locale="fr-FR")
    zoe = Citizen(demo, context, "zoe", screens, name="fake-camera")
    zoe.start(camera="own", wrong="face")
    zoe.prove_email()
    zoe.copy_document()
    zoe.read_chip()
    zoe.show_face()
    expect(zoe.page.locator("#hint")).to_have_text("Placez votre visage dans l’ovale.", timeout=20_000)
    zoe.picture("no-face")
    zoe.page.click("#cancel")
    zoe.page.wait_for_selector('[data-screen="refused"]:not([hidden])')
    assert zoe.page.inner_text("#refused-cause") == cause("cancelled")
    assert zoe.page.evaluate(SHOWN) == "refused"
    browser.close()

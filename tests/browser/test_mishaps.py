"""What goes wrong on the way, in a real browser: reloads, cut lines, slips, a second tab, a full house, a camera that shows nobody."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import pytest
from browser_citizen import SHOWN, Citizen, Demo, MakeCitizen, authenticator, cause, chromium_path
from playwright.sync_api import Browser, BrowserContext, Playwright, Route, WebSocketRoute, expect

from alicem.demo.town import Town
from wire import Wire

pytestmark = pytest.mark.timeout(400)


def test_a_reload_in_each_step_loses_nothing_and_a_renewed_document_continues(citizen: MakeCitizen) -> None:
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
    page.reload()
    page.wait_for_selector("[data-screen=code]:not([hidden]), [data-screen=earlier]:not([hidden])")
    camille.answer_about_phones()
    camille.choose_code()
    camille.screen("done")
    camille.open_home()
    account, code = camille.account(), camille.code
    camille.become("camille_renewed")  # and the document the person has renewed since continues it
    camille.start()
    camille.prove_email()
    camille.copy_document()
    camille.read_chip()
    camille.pass_face()
    camille.choose_code()
    camille.screen("renewed")
    page.fill("#renewed-code", "730519")
    page.click("#renewed-form button:not([type=button])")
    expect(page.locator("#renewed-problem")).to_contain_text("3 essais")
    page.fill("#renewed-code", code)
    page.click("#renewed-form button:not([type=button])")
    camille.screen("done")
    camille.open_home()
    assert camille.account() == account


def test_a_cut_line_is_found_again(citizen: MakeCitizen) -> None:
    zoe = citizen(name="cut")
    lines: list[WebSocketRoute] = []
    offers: list[Route] = []

    def hold(asked: Route) -> None:
        offers.append(asked)

    zoe.page.route("**/credential/token", hold)

    def carry(line: WebSocketRoute) -> None:
        """The first word of step 7 is the last of its connection; the offer is taken when there is another."""
        server = line.connect_to_server()
        lines.append(line)
        if len(lines) == 4:
            offers[0].continue_()

        def forward(message: str | bytes) -> None:
            line.send(message)
            if len(lines) == 3 and '"step": 7' in str(message):
                cut()

        server.on_message(forward)

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
    assert len(lines) == 4
    assert len(offers) == 1


def test_a_session_that_is_gone_is_told_from_a_server_that_is(citizen: MakeCitizen) -> None:
    zoe = citizen(name="gone")
    zoe.start()
    zoe.screen("email")
    zoe.page.route_web_socket(f"ws://localhost:{zoe.demo.base}/enrolment/**", lambda line: line.close(code=3001))
    zoe.page.reload()
    zoe.page.wait_for_selector('[data-screen="refused"]:not([hidden])', timeout=20_000)
    assert zoe.page.inner_text("#refused-cause") == cause("session_expired")


@pytest.mark.parametrize("device", ["without PRF", "of somebody else"])
def test_a_key_that_cannot_be_made_is_no_dead_end(citizen: MakeCitizen, device: str) -> None:
    zoe = citizen(name=f"no-key-{device}", passkey=True)
    with authenticator(zoe.context, zoe.page, hasPrf=device != "without PRF") as asked:
        if device == "of somebody else":
            asked.refuse()
        zoe.start()
        expect(zoe.page.locator("#key-problem")).to_contain_text("ce navigateur" if asked.prf else "Ce navigateur")
        expect(zoe.page.locator("#make-key")).to_be_visible(visible=asked.prf)
        zoe.screen("key")
        zoe.page.click("#no-key")
        zoe.prove_email()
        zoe.screen("document")


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
            zoe.go("delete")
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

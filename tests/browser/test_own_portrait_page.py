"""A visitor with a camera: their picture goes on the specimen chip, and enrolment reads it. The camera is Chromium's own, playing an actor's frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from browser_citizen import CONTRAST, SMALL, Citizen, Demo, chromium_path
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

from alicem.demo import personas
from alicem.demo.actor import Actor
from alicem.demo.town import Town

pytestmark = pytest.mark.timeout(400)
SIZES = {"narrow-dark": (320, 640, "dark", "en-GB"), "wide-light": (1024, 900, "light", "fr-FR")}


@pytest.fixture(scope="session")
def demo(town: Town, modules: None) -> Demo:
    return Demo(town.base)


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a person at rest, in motion JPEG."""
    actor = Actor(personas.load()["joao"].face, 3)
    file: Path = tmp_path_factory.mktemp("film") / "joao.mjpeg"
    file.write_bytes(b"".join(actor.frame(at * 100.0) for at in range(20)))
    return file


@pytest.fixture(scope="module")
def filmed(playwright: Playwright, film: Path) -> Iterator[Browser]:
    """A Chromium before whose camera somebody sits."""
    browser = playwright.chromium.launch(
        executable_path=chromium_path(),
        args=[
            "--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={film}",
        ],
    )  # fmt: skip
    yield browser
    browser.close()


@contextmanager
def context_of(browser: Browser, size: str) -> Iterator[BrowserContext]:
    width, height, scheme, locale = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, locale=locale, reduced_motion="reduce"
    )
    yield context
    context.close()


def looks_right(page: Page, picture: Path) -> None:
    page.screenshot(path=picture, full_page=True)
    assert page.locator("h1:visible").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate(SMALL) == [] and page.evaluate(CONTRAST) == []


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id"))


@pytest.mark.parametrize("size", SIZES)
def test_from_the_camera_to_the_chip(filmed: Browser, demo: Demo, screens: Path, size: str) -> None:
    """By keyboard alone until the picture is used."""
    with context_of(filmed, size) as context:
        farid = Citizen(demo, context, "farid", screens, name=f"own-{size}")
        page = farid.page
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
        page.goto(demo.stage)
        looks_right(page, screens / f"own-{size}-stage.png")
        page.goto(f"{demo.stage}/begin?persona=zoe")
        looks_right(page, screens / f"own-{size}-person.png")
        page.goto(demo.stage)
        page.check('[name="persona"][value="farid"]')
        page.focus('[formaction="/portrait"]')
        page.keyboard.press("Enter")
        page.wait_for_url("**/portrait?**")
        page.wait_for_selector("#open:enabled")
        looks_right(page, screens / f"own-{size}-begin.png")
        page.focus("#open")
        page.keyboard.press("Enter")
        expect(page.locator("#take")).to_be_visible()
        expect(page.locator("#live")).not_to_be_empty()
        page.wait_for_timeout(300)
        looks_right(page, screens / f"own-{size}-live.png")
        assert focused(page) == "take"
        page.keyboard.press("Enter")
        expect(page.locator("#still")).to_be_visible()
        looks_right(page, screens / f"own-{size}-still.png")
        assert focused(page) == "use"
        page.keyboard.press("Tab")
        assert focused(page) == "again"
        page.keyboard.press("Enter")
        expect(page.locator("#take")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#use")).to_be_focused()
        page.keyboard.press("Enter")
        page.wait_for_url(f"{demo.alicem}/enrol?**", timeout=60_000)
        asked = parse_qs(urlsplit(page.url).query)
        assert (asked["persona"], asked["camera"]) == (["farid"], ["own"]) and len(asked["portrait"][0]) == 22
        page.wait_for_selector("#start:enabled")
        farid.screen("choose")
        page.click("#start")
        farid.prove_email()
        farid.copy_document()
        farid.read_chip()
        farid.screen("consent")
        farid.leave()
        assert not faults


def test_a_picture_without_a_face_is_taken_again(playwright: Playwright, demo: Demo, screens: Path) -> None:
    browser = playwright.chromium.launch(
        executable_path=chromium_path(),
        args=["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"],
    )
    with context_of(browser, "narrow-dark") as context:
        page = context.new_page()
        page.goto(f"{demo.stage}/portrait?persona=zoe")
        page.click("#open")
        page.click("#take")
        page.click("#use")
        expect(page.locator("#problem")).to_have_text(
            "There is no face in the picture. Face the camera.", timeout=60_000
        )
        expect(page.locator("#use")).to_be_hidden()
        looks_right(page, screens / "own-refused.png")
        assert focused(page) == "again"
        page.keyboard.press("Enter")
        expect(page.locator("#take")).to_be_focused()
        expect(page.locator("#problem")).to_be_empty()
    browser.close()


def test_without_a_camera_there_is_the_actor(chromium: Browser, demo: Demo, screens: Path) -> None:
    with context_of(chromium, "wide-light") as context:
        page = context.new_page()
        page.goto(f"{demo.stage}/portrait?persona=zoe&lang=en")
        page.click("#open")
        expect(page.locator("#problem")).to_contain_text("camera")
        looks_right(page, screens / "own-no-camera.png")
        page.click(f'main a[href^="{demo.alicem}"]')
        page.wait_for_selector("#start:enabled")
        assert page.get_attribute("body", "data-camera") == "actor"


def test_one_s_own_camera_without_a_picture_leads_to_taking_one(filmed: Browser, demo: Demo, screens: Path) -> None:
    with context_of(filmed, "narrow-dark") as context:
        page = context.new_page()
        page.goto(f"{demo.alicem}/enrol?persona=mael&camera=own&wrong=chip")
        page.wait_for_selector("#cast:not([hidden])")
        looks_right(page, screens / "own-missing.png")
        expect(page.locator("#start")).to_be_hidden()
        page.click("#cast .notice a")
        page.wait_for_url(f"{demo.stage}/portrait?persona=mael&wrong=chip")
        page.goto(f"{demo.alicem}/enrol?persona=mael&camera=own&wrong=face")
        page.wait_for_selector("#start:enabled")


def test_a_picture_that_is_gone_is_taken_again_and_the_enrolment_goes_on(
    filmed: Browser, demo: Demo, screens: Path
) -> None:
    with context_of(filmed, "wide-light") as context:
        zoe = Citizen(demo, context, "zoe", screens, name="own-gone")
        page = zoe.page
        zoe.start(camera="own", portrait="A" * 22)
        zoe.prove_email()
        zoe.copy_document()
        zoe.read_chip()
        expect(page.locator("#chip-problem")).to_contain_text("n’existe plus")
        looks_right(page, screens / "own-gone.png")
        expect(page.locator("#read-chip")).to_be_hidden()
        page.click("#new-portrait")
        page.click("#open")
        page.click("#take")
        page.click("#use")
        page.wait_for_url(f"{demo.alicem}/enrol?**", timeout=60_000)
        zoe.read_chip()
        zoe.screen("consent")
        zoe.leave()

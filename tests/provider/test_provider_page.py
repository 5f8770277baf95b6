"""The waiting page in a real Chromium: with and without JavaScript, small, dark, by keyboard. Pictures go to `$ALICEM_SCREENS`, else `build/screens`."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, sync_playwright
from provider_world import Browser, Flaws, Person, World, answer, enrol, make_world, request, serve, values
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from alicem.web.server import listening_at

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass
class Scene:
    world: World
    callback: str
    person: Person

    def address(self, **changes: str) -> str:
        asked = request(client_id="other", redirect_uri=self.callback, scope="openid email", **changes)
        return f"{self.world.origin}/authorize?{urlencode(asked)}"


async def received(_request: Request) -> Response:
    return PlainTextResponse("back at the client")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    (listener,) = listening_at("127.0.0.1:0")
    callback = f"http://127.0.0.1:{listener.getsockname()[1]}/callback"
    server, thread = serve(Starlette(routes=[Route("/callback", received)]), listener)
    world = make_world(tmp_path_factory.mktemp("page"), extra_callback=callback)
    yield Scene(world, callback, enrol(world))
    world.close()
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium: install the package `chromium`, or name it in $CHROMIUM")
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context_of(chromium: Chromium) -> Iterator[Callable[..., BrowserContext]]:
    made: list[BrowserContext] = []

    def make(**options: object) -> BrowserContext:
        made.append(chromium.new_context(**{"locale": "fr-FR", **options}))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


def picture(page: Page, name: str) -> None:
    folder = Path(os.environ.get("ALICEM_SCREENS", "build/screens"))
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"signin-{name}.png", full_page=True)


def phone(scene: Scene, page: Page, flaws: Flaws | None = None) -> tuple[int, str]:
    """The phone's owner looks at this page. In a thread: playwright has an event loop of its own here."""
    shown = page.locator("#sign-in")
    seen = Browser(scene.world, link=shown.get_attribute("data-link") or "")
    seen.number = shown.get_attribute("data-number") or ""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(answer, scene.person, seen, flaws).result()


def ours(said: ConsoleMessage) -> bool:
    """Of the provider's page: the client's has no icon, for one."""
    return "/callback" not in said.location["url"] and "favicon.ico" not in said.location["url"]


def watched(context: BrowserContext) -> tuple[Page, list[str]]:
    page, faults = context.new_page(), list[str]()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" and ours(said) else None)
    return page, faults


def test_the_page_goes_on_when_the_phone_has_answered(scene: Scene, context_of: Callable[..., BrowserContext]) -> None:
    page, faults = watched(context_of())
    page.goto(scene.address(state="s"))
    assert urlsplit(page.url).path == "/signin"  # a reload shows this sign-in again
    number = page.locator("#number").inner_text()
    page.reload()
    assert page.locator("#number").inner_text() == number
    assert page.locator("#sign-in").get_attribute("data-number") == number
    picture(page, "fr")
    assert phone(scene, page) == (200, "done")
    page.wait_for_url(re.compile(re.escape(scene.callback)), timeout=10_000)
    back = values(page.url)
    assert back.keys() == {"code", "state", "iss"} and back["state"] == "s"
    assert not faults
    assert not [one for one in page.context.cookies() if one["name"] == "__Host-signin"]


def test_the_picture_is_the_link(scene: Scene, context_of: Callable[..., BrowserContext]) -> None:
    page, _ = watched(context_of(device_scale_factor=2))
    page.goto(scene.address())
    page.wait_for_function("document.getElementById('qr').naturalWidth > 0")
    pixels = cv2.imdecode(np.frombuffer(page.locator("#qr").screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(pixels)
    assert text == page.locator("#sign-in").get_attribute("data-link")
    assert page.locator("#same-device").get_attribute("href") == text
    assert page.locator("#qr").get_attribute("alt")


def test_a_refusal_leads_back_with_an_error(scene: Scene, context_of: Callable[..., BrowserContext]) -> None:
    page, faults = watched(context_of(locale="en-GB"))
    page.goto(scene.address())
    picture(page, "en")
    phone(scene, page, Flaws(binding={"nonce": "another"}))
    page.wait_for_url(re.compile(re.escape(scene.callback)), timeout=10_000)
    assert values(page.url)["error"] == "access_denied" and not faults


def test_the_language_changes_without_another_sign_in(scene: Scene, context_of: Callable[..., BrowserContext]) -> None:
    page, _ = watched(context_of())
    page.goto(scene.address())
    number = page.locator("#number").inner_text()
    page.locator("a.language").click()
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("#number").inner_text() == number


def test_back_to_the_client_by_keyboard(scene: Scene, context_of: Callable[..., BrowserContext]) -> None:
    page, _ = watched(context_of())
    page.goto(scene.address())
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "back":
            break
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(re.escape(scene.callback)), timeout=10_000)
    assert values(page.url)["error_description"] == "cancelled"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_at_320_pixels(scene: Scene, context_of: Callable[..., BrowserContext], scheme: str) -> None:
    page, _ = watched(context_of(viewport={"width": 320, "height": 640}, color_scheme=scheme))
    page.goto(scene.address())
    page.wait_for_function("document.getElementById('qr').naturalWidth > 0")
    picture(page, f"320-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_without_javascript_the_page_looks_again(scene: Scene, context_of: Callable[..., BrowserContext]) -> None:
    page, _ = watched(context_of(java_script_enabled=False))
    page.goto(scene.address())
    picture(page, "noscript")
    assert phone(scene, page) == (200, "done")
    page.wait_for_url(re.compile(re.escape(scene.callback)), timeout=30_000)
    assert "code" in values(page.url)


def test_a_second_sign_in_takes_the_browser_over(scene: Scene, context_of: Callable[..., BrowserContext]) -> None:
    context = context_of()
    first, _ = watched(context)
    first.goto(scene.address())
    second, _ = watched(context)
    second.goto(scene.address())
    first.goto(f"{scene.world.origin}/signin")
    assert first.locator("#number").inner_text() == second.locator("#number").inner_text()


def test_a_dead_end_says_why(scene: Scene, context_of: Callable[..., BrowserContext]) -> None:
    page, _ = watched(context_of())
    page.goto(f"{scene.world.origin}/authorize?client_id=nobody")
    picture(page, "refused")
    assert page.locator("[role=alert]").is_visible()
    page.goto(f"{scene.world.origin}/end_session")
    picture(page, "signed-out")

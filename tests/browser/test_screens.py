"""Screens that need no server behind them: how they stand in every width, language and colour scheme, and that they ask nobody else for anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser_citizen import CONTRAST, SMALL
from playwright.sync_api import Browser, Page
from playwright.sync_api import Response as Answer
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alicem import reasons
from alicem.settings import Database, Keys, Mail, Registry, Service, Settings, Trust
from alicem.web import site
from alicem.web.headers import SecurityHeaders
from alicem.web.pages import Pages
from alicem.web.static_files import static_routes

NOWHERE = Path("nowhere")
ADDRESSES = {
    "home": "/",
    "help": "/help",
    "enrol": "/enrol",
    "phone": "/phone",
    "approve": "/phone/approve#a.b.c",
    "suspend": "/suspend",
    "suspend-not-found": "/suspend?outcome=not_found",
    "suspend-done": "/suspend?outcome=done",
}
WIDTHS = {"narrow": 320, "wide": 1200}


def application(origin: str) -> Starlette:
    settings = Settings(
        service=Service(profile="development", origin=origin),
        database=Database("sqlite://"),
        keys=Keys(NOWHERE),
        trust=Trust(NOWHERE),
        registry=Registry("http://127.0.0.1:1", NOWHERE),
        mail=Mail("127.0.0.1", 1, "nobody@alicem.example"),
    )
    pages = Pages()

    async def suspend(request: Request) -> Response:
        return pages.render(request, "accounts/suspend.html", outcome=request.query_params.get("outcome"))

    routes = [Route("/suspend", suspend), *site.routes(pages, settings, reasons.load()), *static_routes()]
    return Starlette(routes=routes, middleware=[Middleware(SecurityHeaders, origin=origin)])


@pytest.fixture(scope="session")
def origin(serve: Callable[..., str]) -> str:
    return serve(application)


def settle(page: Page) -> None:
    """Wait until the page's module, where it has one, has chosen its screen."""
    if page.locator("script").count():
        page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", sorted(WIDTHS))
def test_every_screen_fits_and_can_be_read(
    chromium: Browser, origin: str, screens: Path, width: str, scheme: str, language: str
) -> None:
    context = chromium.new_context(
        viewport={"width": WIDTHS[width], "height": 800}, color_scheme=scheme, locale=language, reduced_motion="reduce"
    )
    page = context.new_page()
    elsewhere: list[str] = []
    page.on(
        "request",
        lambda asked: (
            elsewhere.append(asked.url)
            if urlsplit(asked.url).scheme not in ("data", "blob") and not asked.url.startswith(origin)
            else None
        ),
    )
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console", lambda said: faults.append(said.text) if said.type == "error" and "404" not in said.text else None
    )
    for name, address in ADDRESSES.items():
        page.goto(origin + address)
        settle(page)
        page.screenshot(path=screens / f"{name}-{language}-{width}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width], name
        assert page.get_attribute("html", "lang") == language
        assert page.locator("h1:visible").count() == 1, name
        assert page.evaluate(SMALL) == [] and page.evaluate(CONTRAST) == [], name
    assert not elsewhere and not faults
    context.close()


@pytest.mark.parametrize(
    ("address", "ending", "most"),
    [("/", "", 100_000), ("/enrol", ".js", 60_000), ("/phone", ".js", 60_000), ("/phone/approve#a.b.c", ".js", 60_000)],
)
def test_the_first_page_is_light_and_so_are_the_scripts(
    page: Page, origin: str, address: str, ending: str, most: int
) -> None:
    sizes: dict[str, int] = {}

    def weigh(response: Answer) -> None:
        sizes[response.url] = response.request.sizes()["responseBodySize"]

    page.on("requestfinished", lambda request: weigh(request.response()))
    page.goto(origin + address)
    settle(page)
    weight = sum(size for url, size in sizes.items() if url.endswith(ending))
    print(f"{address}: {weight} bytes")
    assert weight < most


def test_storage_the_browser_lost_is_said_with_a_way_on(page: Page, origin: str, screens: Path) -> None:
    page.goto(origin + "/phone")
    page.evaluate(
        """async () => { const [state, encoding] = await Promise.all([import('/static/state.js'), import('/static/encoding.js')]);
        await state.savePhone(state.newPhone({origin: location.origin}, encoding.random(32))); }"""
    )
    page.reload()
    page.wait_for_selector('[data-screen="forgotten"]:not([hidden])')
    page.screenshot(path=screens / "phone-forgotten.png", full_page=True)
    assert page.locator('[data-screen="forgotten"] a[href="/enrol"]').is_visible()

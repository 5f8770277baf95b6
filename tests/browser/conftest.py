"""A real Chromium for the browser tests: `$CHROMIUM`, else one in PATH. Pictures of screens go to `$ALICEM_SCREENS`, else `build/screens`."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from browser_citizen import Citizen, Demo, MakeCitizen, Watch, chromium_path
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from alicem.demo.town import Town
from alicem.web import vendor
from alicem.web.headers import SecurityHeaders
from alicem.web.server import listening_at
from alicem.web.static_files import static_routes

sys.path.append(str(Path(__file__).parent.parent / "provider"))  # provider_world, which phone_world builds upon


@pytest.fixture(scope="session")
def modules() -> None:
    """The modules from npm are in place."""
    vendor.vendor()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def chromium(playwright: Playwright, modules: None) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
    yield browser
    browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(locale="fr-FR", viewport={"width": 1024, "height": 900})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    assert not faults


@pytest.fixture(scope="session")
def screens() -> Path:
    folder = Path(os.environ.get("ALICEM_SCREENS", "build/screens"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Served:
    """An application on a port of its own, in a thread."""

    def __init__(self, make: Callable[[str], Starlette]) -> None:
        config = uvicorn.Config(
            lambda: make(self.origin), factory=True, port=0, log_level="warning", ws="websockets-sansio"
        )
        (self._socket,) = listening_at("127.0.0.1:0")
        self.origin = f"http://localhost:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Callable[[str], Starlette]], str]]:
    """Serve an application made from its own origin; returns the origin."""
    running: list[Served] = []

    def start(make: Callable[[str], Starlette]) -> str:
        running.append(Served(make))
        return running[-1].origin

    yield start
    for one in running:
        one.stop()


def application(origin: str) -> Starlette:
    async def blank(_request: Request) -> Response:
        return HTMLResponse("<!doctype html><title>blank</title>")

    routes = [Route("/", blank), *static_routes()]
    return Starlette(routes=routes, middleware=[Middleware(SecurityHeaders, origin=origin)])


@pytest.fixture
def js(page: Page, serve: Callable[..., str], blank: str) -> Callable[..., Any]:
    """Run a body with `given` and the modules named in it: `js("jose", "return m.jose…", {...})`."""
    page.goto(blank)

    def run(modules: str, body: str, given: object = None) -> Any:
        names = modules.split()
        imports = ", ".join(f"import('/static/{name}.js')" for name in names)
        members = ", ".join(names)
        return page.evaluate(
            f"async (given) => {{ const [{members}] = await Promise.all([{imports}]); {body} }}", given
        )

    return run


@pytest.fixture(scope="session")
def blank(serve: Callable[..., str]) -> str:
    return serve(application)


@pytest.fixture(scope="session")
def demo(town: Town, modules: None) -> Demo:
    return Demo(town.base)


@pytest.fixture
def citizen(demo: Demo, context: BrowserContext, screens: Path) -> Iterator[MakeCitizen]:
    watch = Watch(demo, context)
    made: list[Citizen] = []

    def make(persona: str = "zoe", **given: Any) -> Citizen:
        made.append(Citizen(demo, context, persona, screens, **given))
        return made[-1]

    yield make
    for one in made:
        one.leave()
    assert not watch.faults

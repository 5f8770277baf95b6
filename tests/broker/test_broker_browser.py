"""The same way in Chromium: Secure cookies on loopback, forms that a content security policy lets end elsewhere, small screens, no JavaScript."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker_peers import ANGELA, Provider, Serve, free_port, sample_service
from playwright.sync_api import Browser, Page, sync_playwright

from alicem.broker import BrokerSettings
from alicem.broker.app import app as broker_app
from alicem.demo.services.app import ServicesSettings
from alicem.demo.services.app import app as service_app

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome") or ""
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def service(serve: Serve, settings: BrokerSettings, tmp_path: Path) -> str:
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    sample_service(settings.services, origin, tmp_path / "secrets")
    serve(broker_app(settings), int(settings.origin.rsplit(":", 1)[1]))
    serve(service_app(ServicesSettings(origin, settings.origin, tmp_path / "secrets")), port)
    return f"{origin}/demarches"


def open_page(chromium: Browser, *, javascript: bool, width: int) -> tuple[Page, list[str]]:
    context = chromium.new_context(
        java_script_enabled=javascript, viewport={"width": width, "height": 700}, locale="en-GB"
    )
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page, complaints


def claims_on(page: Page) -> dict[str, str]:
    return {str(one.get_attribute("data-claim")): one.inner_text() for one in page.locator("[data-claim]").all()}


def fits(page: Page) -> bool:
    box = page.locator("html").bounding_box()
    widest = max((one.bounding_box() or {"x": 0, "width": 0} for one in page.locator("main *").all()), key=_right)
    return box is not None and _right(widest) <= box["width"]


def _right(box: object) -> float:
    return float(box["x"] + box["width"])  # type: ignore[index]


@pytest.mark.parametrize(("javascript", "width"), [(True, 1100), (False, 320)])
def test_the_way_in_chromium(chromium: Browser, service: str, provider: Provider, javascript: bool, width: int) -> None:
    page, complaints = open_page(chromium, javascript=javascript, width=width)
    page.goto(service)
    page.click("#sign-in")
    assert page.inner_text("h1") == "Who can identify you?"
    assert fits(page)
    provider.error = "access_denied"
    page.click("button[value=small]")
    assert "did not succeed" in page.inner_text("[role=alert]")
    provider.error = None
    page.click("button[value=small]")
    assert claims_on(page) == ANGELA | {"acr": "eidas2"}
    assert fits(page)
    page.get_by_role("button", name="Continue as").click()
    assert page.url == service
    assert page.inner_text("h1") == "You are signed in"
    shown = claims_on(page)
    assert shown.pop("sub").endswith("v1")
    assert shown == ANGELA | {"acr": "eidas2"}
    assert fits(page)
    page.click("#sign-out")
    page.wait_for_url(f"{service}/signed-out")
    page.goto(service)
    assert page.locator("#sign-in").count() == 1
    assert complaints == []
    page.context.close()


def test_cancelling_in_chromium_returns_to_the_service(chromium: Browser, service: str) -> None:
    page, complaints = open_page(chromium, javascript=True, width=800)
    for last in ("Back to", "Cancel"):
        page.goto(service)
        page.click("#sign-in")
        if last == "Cancel":
            page.click("button[value=small]")
        page.get_by_role("button", name=last).click()
        assert page.url == service
        assert "abandoned" in page.inner_text("[role=alert]")
    assert complaints == []
    page.context.close()

"""A copy for another wallet, ordered from the phone's page; where the service gives none, the page does not speak of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from phone_world import make_phone_world, seed
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect
from provider_world import CODE, World
from test_account import Phone, suspended_by

import node_peers
from alicem import jose

WALLET = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def copying_world(tmp_path_factory: pytest.TempPathFactory, modules: None) -> Iterator[World]:
    world = make_phone_world(tmp_path_factory.mktemp("copies"), copies="low")
    yield world
    world.close()


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Page]:
    context = chromium.new_context(locale="fr-FR", viewport={"width": 320, "height": 640})
    yield context.new_page()
    context.close()


def test_a_copy_goes_from_the_page_into_a_foreign_wallet(copying_world: World, page: Page, screens: Path) -> None:
    phone = Phone(copying_world, page, screens, "copy")
    seed(copying_world, page)
    phone.open()
    phone.go("copy")
    page.click("#copy-now")
    expect(page.locator("#copy-link")).to_be_focused(timeout=20_000)
    expect(page.locator("#copy-form")).to_be_hidden()
    link = page.get_attribute("#copy-link", "href") or ""
    assert link.startswith("openid-credential-offer://?credential_offer=")
    assert (
        json.loads(parse_qs(urlsplit(link).query)["credential_offer"][0])["credential_issuer"] == copying_world.origin
    )
    scalar = WALLET.private_numbers().private_value.to_bytes(32, "big")
    jwk = {**jose.public_jwk(WALLET.public_key()), "d": jose.b64(scalar)}
    root = base64.b64encode(copying_world.ring.signing("issuer", copying_world.clock()).x5c[-1]).decode()
    made = node_peers.ask("wallet.mjs", "issue", offer=link, jwk=jwk, roots=[root])
    found = node_peers.ask("sdjwt.mjs", "verify", token=made["credential"], roots=[root])["payload"]
    assert found["level"] == "low" and found["family_name"] == "Ledoux-Dûment" and "chip_key" not in found


def test_an_account_that_was_suspended_gets_none(copying_world: World, page: Page, screens: Path) -> None:
    phone = Phone(copying_world, page, screens, "copy-suspended")
    seeded = seed(copying_world, page)
    phone.open()
    phone.go("copy")
    assert suspended_by(copying_world, seeded, seeded.suspension_code) == 200
    page.click("#copy-now")
    phone.screen("stopped")


def test_where_none_is_given_the_page_does_not_speak_of_it(
    tmp_path: Path, page: Page, screens: Path, modules: None
) -> None:
    world = make_phone_world(tmp_path / "world")
    phone = Phone(world, page, screens, "copy-off")
    seed(world, page)
    phone.open(CODE)
    expect(page.locator('[data-way="copy"]')).to_have_count(0)
    world.close()

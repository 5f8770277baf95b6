"""docs/integrate.md against the program: its words, and a service behind the broker, typed from the page and run."""

from __future__ import annotations

import asyncio
import html
import json
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_town import small_town
from typer.testing import CliRunner

import apache_peer
from alicem import cli
from alicem.demo import personas
from alicem.demo.identifiant.app import PASSWORD
from alicem.demo.town import Town
from alicem.demo.visitor import Browser, Page
from developers_desk import PAGE, ROOT, Desk, blocks

ADD, PYTHON, NODE = blocks("A service behind the broker")
ASKED = ("given_name", "family_name", "birthdate", "gender", "email")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with small_town(tmp_path_factory.mktemp("desk") / "demo") as here:
        yield here


@pytest.fixture(scope="module")
def desk(town: Town) -> Desk:
    """The service is added as the page says."""
    made = Desk(town.folder.parent, {"http://127.0.0.1:8001": town.broker, "3000": str(town.base + 7)})
    assert "client_id      my-service" in made.type(ADD)
    return made


async def choice(browser: Browser, service: str) -> Page:
    """The broker's page, once the broker that runs has read the new file."""
    for _ in range(60):
        page = await browser.open(f"{service}/sign-in")
        if any(form.action.endswith("/depart") for form in page.forms):
            return page
        await asyncio.to_thread(time.sleep, 0.1)
    raise AssertionError("the broker does not know the service")


def claims(page: Page) -> dict[str, Any]:
    found = re.search(r"<pre id='claims'>(.*?)</pre>", page.text, re.DOTALL)
    assert found, page.text
    told: dict[str, Any] = json.loads(html.unescape(found[1]))
    return told


@pytest.mark.parametrize("commands", [PYTHON, NODE], ids=["authlib", "openid-client"])
def test_the_example_signs_a_person_in_and_out(desk: Desk, commands: str) -> None:
    async def run(service: str) -> tuple[Page, Page]:
        async with Browser() as browser:
            page = await browser.submit(await choice(browser, service), provider="identifiant")
            page = await browser.submit(page, ends="/sign-in", persona="zoe", password=PASSWORD, decision="sign_in")
            signed_in = await browser.submit(page, decision="continue")
            return signed_in, await browser.open(f"{service}/sign-out")

    with desk.serving(commands) as service:
        signed_in, signed_out = asyncio.run(run(service))
    told, zoe = claims(signed_in), personas.load()["zoe"].expected
    assert told.pop("sub") and told == {name: zoe[name] for name in ASKED} | {"acr": "eidas2"}
    assert signed_out.url.startswith(service) and "Sign in" in signed_out.text


@pytest.mark.parametrize("commands", [PYTHON, NODE], ids=["authlib", "openid-client"])
def test_the_example_says_what_went_wrong(desk: Desk, commands: str) -> None:
    async def run(service: str) -> tuple[Page, Page]:
        async with Browser() as browser:
            gone_back = await browser.submit(await choice(browser, service), provider="")
            return gone_back, await browser.open(f"{service}/callback?code=x&state=y&iss=z")

    with desk.serving(commands) as service:
        for page, word in zip(asyncio.run(run(service)), ("access_denied", ""), strict=True):
            assert "Not signed in" in page.text and word in page.text


def test_the_table_of_people_is_theirs() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| ([\d-]+) \| `(\d{6})` \|", PAGE, re.MULTILINE)
    assert rows == [(name, one.shown_name, one.document.birth_date, one.code) for name, one in personas.load().items()]


def test_every_file_it_links_to_is_there() -> None:
    for path in re.findall(r"\]\((?!http|#)([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / path).exists(), path


def typed() -> list[list[str]]:
    spans = re.findall(r"`(alicem [a-z][^`]*)`", PAGE)
    lines = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    return [shlex.split(one)[1:] for one in [*spans, *lines] if one.startswith("alicem ")]


@pytest.mark.parametrize("words", typed(), ids=" ".join)
def test_every_command_of_the_page_is_one(words: list[str]) -> None:
    assert CliRunner().invoke(cli.build(words[0]), [*words, "--help"]).exit_code == 0


def test_addresses_of_the_page_are_the_demonstrations() -> None:
    here = Town(Path("demo"), 8000)
    assert {here.broker, here.alicem} <= set(re.findall(r"http://[\w.]+:80\d\d", PAGE))


@pytest.mark.skipif(not apache_peer.installed(), reason=apache_peer.MISSING)
def test_apache_with_mod_auth_openidc_signs_a_person_in(desk: Desk, town: Town) -> None:
    """Everyone's web server, told nothing but where discovery is."""
    port = int(desk.ours["3000"])
    secret = (town.folder / "broker" / "services" / "my-service.secret").read_text()
    told = {
        "OIDCProviderMetadataURL": f"{town.broker}/.well-known/openid-configuration",
        "OIDCScope": "openid profile email",
        "OIDCAuthRequestParams": "acr_values=eidas2",
        "OIDCPKCEMethod": "S256",
        "OIDCProviderTokenEndpointAuth": "client_secret_post",
        "OIDCIDTokenSignedResponseAlg": "ES256",
    }

    async def run(service: str) -> tuple[Page, dict[str, Any]]:
        async with Browser() as browser:
            page = await browser.submit(await choice(browser, service), provider="identifiant")
            page = await browser.submit(page, ends="/sign-in", persona="zoe", password=PASSWORD, decision="sign_in")
            page = await browser.submit(page, decision="continue")
            return page, json.loads((await browser.open(f"{service}/callback?info=json")).text)

    with apache_peer.apache(port, "my-service", secret, told) as service:
        page, session = asyncio.run(run(service))
    zoe = personas.load()["zoe"].expected
    assert page.text == "signed in"
    assert session["id_token"]["acr"] == "eidas2" and session["id_token"]["sub"] == session["userinfo"]["sub"]
    assert {name: session["userinfo"][name] for name in ASKED} == {name: zoe[name] for name in ASKED}

"""After a whole life, nothing anywhere at the provider tells who lived it: database, keys, journal, logs, measurements, traces, backups, temporary files.

Sought are every personal datum of every person, in every usual encoding; every key, code, token, credential and claim that was seen on the way; the
people's browser and address; the services they used; and the names that strangers sent where no name belongs. The search first proves that it finds
what is planted.
"""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from life import AGENT, PEOPLE, SOURCE, STRANGER, STRANGERS_SOURCE, Life, collector, live, loud, operate

from alicem.demo import portraits
from alicem.demo.headless import personal_data
from alicem.demo.memory import Finder, in_files
from alicem.demo.search import Needle, needles, proven
from alicem.demo.town import Town, found
from emrtd.softchip.personalise import zone_date
from free_ports import free_ports
from running_town import in_background
from warm_python import WarmPython

pytestmark = pytest.mark.timeout(400)
LIVED = [PEOPLE[name] for name in ("letizia", "camille", "leo", "mael")]
KINDS = {"device key", "salt", "PIN key", "challenge", "sealed", "registration", "share", "suspension code"}
KINDS |= {"pre-authorized code", "issuing token", "credential", "disclosure", "claim", "presentation"}
KINDS |= {"code of the sign-in", "cookie", "pseudonym", "proof"}
"""What is heard at least."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def life(request: pytest.FixtureRequest, warm: WarmPython, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """Lived, and the provider still running."""
    folder = tmp_path_factory.mktemp("life")
    town = Town(folder / "town", free_ports())
    found(town, tuple(PEOPLE.values()))
    url, databases = None, ()
    if request.param == "postgresql":
        cluster = request.getfixturevalue("cluster")
        name = cluster.create()
        url, data = cluster.url(name), cluster.folder / "data"
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            row = connection.execute("select oid from pg_database where datname = current_database()").fetchone()
        assert row is not None
        databases = (data / "base" / str(row[0]), data / "pg_wal", *data.glob("log*"))
    with collector(folder / "traces") as traces:
        life = Life(town, folder, loud(town, traces, url), databases=databases)
        with in_background(town):
            asyncio.run(live(life, whole=request.param == "sqlite"))
            operate(life, warm)
            yield life


def test_the_life_was_lived(life: Life) -> None:
    assert life.told.count("signed in") >= 2 and life.told.count("sign-in error_access_denied") >= 2
    assert {"enrolled", "holder_is_minor", "suspension 404", "suspension 200"} <= set(life.told)
    assert life.heard.keys() >= KINDS
    assert len((life.town.provider_folder / "alicem.log").read_text().splitlines()) > 100
    assert len(list((life.folder / "traces").iterdir())) > 1
    assert "alicem_" in (life.folder / "drawn" / "metrics").read_text()
    assert json.loads((life.folder / "drawn" / "journal-verify").read_text())["holds"]


def test_no_personal_datum_is_anywhere(life: Life) -> None:
    data = {}
    for persona in LIVED:
        born, until = zone_date(persona.document.born), f"{persona.document.expiry_date:%y%m%d}"
        more = {"access key": born + until, "date": "/".join(reversed(persona.registry.birthdate.split("-")))}
        data |= {f"{name} of {persona.name}": text for name, text in (personal_data(persona) | more).items()}
    assert len(data) > 30
    assert proven(life.places, data) == []


def sought(life: Life) -> list[Needle]:
    """What was said and heard; portraits; browser, addresses, strangers' names; the services."""
    found = list(life.needles())
    for persona in LIVED:
        found += needles({}, portraits.portrait(persona.face))
    words = {"browser": AGENT, "address": SOURCE, "stranger's address": STRANGERS_SOURCE, "stranger": STRANGER}
    words |= {f"service {number}": text for number, text in enumerate(sorted(services(life.town)))}
    for name, text in words.items():
        found += [Needle(name, text.encode()), Needle(name, text.encode("utf-16-le"))]
    return found


def services(town: Town) -> set[str]:
    """What a service is called, and where it is."""
    settings = (tomllib.loads(file.read_text()) for file in (town.folder / "broker" / "services").glob("*.toml"))
    named = {value for one in settings for value in _texts(one | {"scopes": []}) if len(value) > 9}
    return {value for value in named if value not in town.broker} | {town.service}


def _texts(tree: object) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict | list):
        for one in tree.values() if isinstance(tree, dict) else tree:
            yield from _texts(one)


def test_nothing_that_was_said_or_shown_is_anywhere(life: Life, tmp_path: Path) -> None:
    patterns = sought(life)
    finder, names = Finder(patterns), {one.name for one in patterns}
    assert names > KINDS and len(patterns) > 400
    (tmp_path / "planted").write_bytes(b"\0noise ".join(one.pattern for one in patterns))
    assert set().union(*in_files([tmp_path], finder).values()) == names
    assert in_files(life.places, finder) == {}


def test_no_code_stands_in_a_text(life: Life) -> None:
    """Six digits are found by chance in what is encrypted, and not by themselves in a line of text."""
    codes = {persona.code for persona in LIVED}
    texts = [file for place in life.places[:3] for file in place.rglob("*") if file.suffix in (".log", "")]
    assert len(texts) > 10
    for file in texts:
        content = file.read_bytes().decode("utf-8", "replace") if file.is_file() else ""
        assert codes.isdisjoint(re.findall(r"(?<![0-9A-Za-z_.+/-])[0-9]{6}(?![0-9A-Za-z_.+/-])", content)), file.name


def test_temporary_files_are_gone(life: Life) -> None:
    left = [file.name for file in (life.town.provider_folder / "tmp").rglob("*") if file.is_file()]
    assert left == []
    assert list(life.town.provider_folder.rglob("core*")) == []

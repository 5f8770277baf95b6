"""What tests of several rooms need: databases of both kinds, and one demonstration, real processes on free ports, kept for the session."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest

import postgres
from alicem.demo import personas
from alicem.demo.town import Town, found
from alicem.face import models
from alicem.store import Store, upgrade
from free_ports import free_ports
from running_town import in_background
from warm_python import WarmPython, warm_python

LONG = (
    "journeys",
    "privacy",
    "demo",
    "thieves",
    "face",
    "keys",
    "mrzscan",
    "store",
    "enrolment",
    "accounts",
    "registry",
)
"""Rooms to begin with, so that nothing long comes last on one worker alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Pages last: a browser kept for the session holds an event loop in this thread, and no other can run beside it."""
    items.sort(key=lambda item: (_in_a_browser(item.path), _turn(item.path.parent.name)))


def _in_a_browser(file: Path) -> bool:
    return "browser" in file.parent.name or "browser" in file.name


def _turn(room: str) -> int:
    return LONG.index(room) if room in LONG else len(LONG)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the folder of screenshots."""
    folder = Path(os.environ.get("ALICEM_SCREENS", "build/screens")).resolve()
    pictures = len(list(folder.glob("*.png"))) if folder.is_dir() else 0
    if pictures:
        terminalreporter.write_line(f"{pictures} screenshots in {folder}")


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test asks a server out in the world. httpx reads the world's authorities anew for every client, which takes longer than what most ask: here
    there is one."""
    file = tmp_path_factory.mktemp("authorities") / "one.pem"
    file.write_text("".join(certifi.contents().partition("-----END CERTIFICATE-----\n")[:2]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifi, "where", lambda: str(file))
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A running demonstration: registry, stage, provider, broker, service."""
    if not models.ready():
        pytest.fail("the face networks are missing: run `make models`")
    town = Town(tmp_path_factory.mktemp("town"), free_ports())
    found(town, tuple(personas.load().values()))
    with in_background(town):
        yield town


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmPython]:
    """What types commands."""
    with warm_python(*(f"alicem.cli.{name}" for name in ("operate", "keys", "journal", "phone", "services"))) as python:
        yield python


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    """A running PostgreSQL. Without one on the machine the test is skipped, with the line to type."""
    with contextlib.ExitStack() as stack:
        try:
            cluster = stack.enter_context(postgres.running())
        except postgres.PostgresMissing as missing:
            pytest.skip(str(missing))
        yield cluster


@pytest.fixture(scope="session")
def postgresql_template(cluster: postgres.Cluster) -> str:
    """A migrated database to which nobody is connected."""
    return cluster.made_by(lambda store: upgrade(store.engine))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database nobody has open."""
    file = tmp_path_factory.mktemp("template") / "alicem.db"
    store = Store(f"sqlite:///{file}")
    upgrade(store.engine)
    store.close()
    return file


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A provider's database of the test's own, migrated and empty."""
    shutil.copy(sqlite_template, tmp_path / "alicem.db")
    return f"sqlite:///{tmp_path}/alicem.db"


@pytest.fixture
def postgresql_url(cluster: postgres.Cluster, postgresql_template: str) -> Iterator[str]:
    """A provider's database of the test's own, migrated and empty."""
    name = cluster.create(postgresql_template)
    yield cluster.url(name)
    cluster.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A provider's database of the test's own, migrated and empty: the test runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url

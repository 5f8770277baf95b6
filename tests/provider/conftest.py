from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from provider_world import Browser, Person, World, enrol, make_world

import postgres

ON_BOTH_DATABASES = {"test_provider_flow", "test_provider_signin", "test_provider_tokens", "test_two_redeemers"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames and metafunc.module.__name__ in ON_BOTH_DATABASES:
        metafunc.parametrize("database", ["sqlite", "postgresql"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database under the providers."""
    kind: str = getattr(request, "param", "sqlite")
    return kind


@pytest.fixture(scope="session")
def world(request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One provider for tests that leave nothing the others see."""
    yield from _running(request, database, tmp_path_factory.mktemp("provider"))


@pytest.fixture
def own_world(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Iterator[World]:
    """A provider of the test's own: its clock may jump, its database may be searched."""
    yield from _running(request, database, tmp_path / "world")


def _running(request: pytest.FixtureRequest, database: str, folder: Path) -> Iterator[World]:
    url, name = None, ""
    if database == "postgresql":
        cluster: postgres.Cluster = request.getfixturevalue("cluster")
        name = cluster.create(request.getfixturevalue("postgresql_template"))
        url = cluster.url(name)
    made = make_world(folder, database=url)
    yield made
    made.close()
    if name:
        cluster.drop(name)


@pytest.fixture(scope="session")
def angela(world: World) -> Person:
    return enrol(world)


@pytest.fixture
def browser(world: World) -> Browser:
    return Browser(world)

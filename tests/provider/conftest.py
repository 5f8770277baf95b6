from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from provider_world import Browser, Person, World, enrol, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One provider for tests that leave nothing the others see."""
    made = make_world(tmp_path_factory.mktemp("provider"))
    yield made
    made.close()


@pytest.fixture
def own_world(tmp_path: Path) -> Iterator[World]:
    """A provider of the test's own: its clock may jump, its database may be searched."""
    made = make_world(tmp_path / "world")
    yield made
    made.close()


@pytest.fixture(scope="session")
def angela(world: World) -> Person:
    return enrol(world)


@pytest.fixture
def browser(world: World) -> Browser:
    return Browser(world)

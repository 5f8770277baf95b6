"""One demonstration for every test that needs the whole product: real processes on free ports, kept for the session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from alicem.demo import personas
from alicem.demo.town import Town, found
from alicem.face import models
from free_ports import free_ports
from running_town import in_background


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Pages last: a browser kept for the session holds an event loop in this thread, and no other can run beside it."""
    items.sort(key=lambda item: "browser" in item.path.parts[-2:][0] or "browser" in item.path.name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the folder of screenshots."""
    folder = Path(os.environ.get("ALICEM_SCREENS", "build/screens")).resolve()
    pictures = len(list(folder.glob("*.png"))) if folder.is_dir() else 0
    if pictures:
        terminalreporter.write_line(f"{pictures} screenshots in {folder}")


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A running demonstration: registry, stage, provider, broker, service."""
    if not models.ready():
        pytest.fail("the face networks are missing: run `make models`")
    town = Town(tmp_path_factory.mktemp("town"), free_ports())
    found(town, tuple(personas.load().values()))
    with in_background(town):
        yield town

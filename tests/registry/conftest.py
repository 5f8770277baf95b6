import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from registry_and_provider import Provider, Registry

from warm_python import WarmPython


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    """Running; nobody has an account."""
    folder = tmp_path / "alicem"
    folder.mkdir()
    provider = Provider.found(folder)
    provider.start()
    yield provider
    provider.stop()
    provider.database.close()


@pytest.fixture
def registry(tmp_path: Path, provider: Provider, warm: WarmPython) -> Iterator[Registry]:
    """Not running; Zoë has a passport and a permit, Farid a passport."""
    folder = tmp_path / "registry"
    folder.mkdir()
    registry = Registry(folder, provider, warm)
    yield registry
    registry.close()

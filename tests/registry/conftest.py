import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from registry_and_provider import Provider, Registry


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
def registry(tmp_path: Path, provider: Provider) -> Iterator[Registry]:
    """Not running; Zoë has a passport and a permit, Farid a passport."""
    folder = tmp_path / "registry"
    folder.mkdir()
    registry = Registry(folder, provider)
    yield registry
    registry.close()

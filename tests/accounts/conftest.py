import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from account_world import World


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    """Accounts on SQLite, and once more on PostgreSQL."""
    world = World(database_url, tmp_path)
    yield world
    world.store.close()

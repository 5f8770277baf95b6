"""Real networks, built on first use into the cache."""

import pytest

from alicem.demo import portraits
from alicem.face import models


@pytest.fixture(scope="session")
def networks() -> models.Models:
    models.build()
    portraits.build()
    return models.load()

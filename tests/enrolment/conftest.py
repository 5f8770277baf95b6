import pytest

from alicem.demo.town import Town
from wire import Wire


@pytest.fixture
def wire(town: Town) -> Wire:
    return Wire(town)

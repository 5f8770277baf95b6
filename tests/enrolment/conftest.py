import sys
from pathlib import Path

import pytest

from alicem.demo.town import Town

sys.path.insert(0, str(Path(__file__).parent))
from wire import Wire


@pytest.fixture
def wire(town: Town) -> Wire:
    return Wire(town)

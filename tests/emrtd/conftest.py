"""Fixtures of the chip library's tests; what they are made of is in emrtd_specimens."""

from __future__ import annotations

import pytest
from emrtd_specimens import State, make_document, make_state, read
from hypothesis import settings

from emrtd.passive import RawDocument
from emrtd.softchip import ChipDocument

# a shared machine pauses at any moment; bounds on time are tested by counting steps
settings.register_profile("without_deadline", deadline=None)
settings.load_profile("without_deadline")


@pytest.fixture(scope="session")
def state() -> State:
    return make_state()


@pytest.fixture(scope="session")
def document() -> ChipDocument:
    return make_document()


@pytest.fixture(scope="session")
def raw(document: ChipDocument) -> RawDocument:
    return read(document)

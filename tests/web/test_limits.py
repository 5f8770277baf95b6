"""How often an address may do a thing, and what counts as one address."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from starlette.requests import HTTPConnection

from alicem.web.limits import Limit, whose


def asks(host: str | None) -> HTTPConnection:
    return HTTPConnection({"type": "http", "client": None if host is None else (host, 1)})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("testclient", "testclient", True),
        (None, None, True),
    ],
)
def test_whose_address_it_is(one: str | None, other: str | None, same: bool) -> None:
    assert (whose(asks(one)) == whose(asks(other))) is same


def test_a_network_of_ones_own_gives_no_more_tries() -> None:
    limit = Limit(10, 60, lambda: datetime(2026, 11, 22, tzinfo=UTC))
    admitted = [limit.admits(asks(f"2001:db8::{number:x}")) for number in range(1, 100)]
    assert admitted.count(True) == 10

"""What counts as one address."""

from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

from alicem.web.limits import whose


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

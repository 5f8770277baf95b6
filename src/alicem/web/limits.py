"""How often one address may do a thing: counted in memory, in fixed windows, for a bounded number of addresses."""

from __future__ import annotations

import hashlib
import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

from starlette.requests import HTTPConnection

_MOST_ADDRESSES = 50_000


class Limit:
    """At most `most` events an address in each window of `seconds`."""

    def __init__(self, most: int, seconds: int, clock: Callable[[], datetime]) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._counts: OrderedDict[bytes, tuple[int, int]] = OrderedDict()

    def admits(self, connection: HTTPConnection) -> bool:
        """Count one event of this address; whether it is still within the limit."""
        key = hashlib.blake2b(whose(connection).encode(), digest_size=16).digest()
        window = int(self._clock().timestamp()) // self._seconds
        started, count = self._counts.pop(key, (window, 0))
        count = count + 1 if started == window else 1
        self._counts[key] = (window, count)
        if len(self._counts) > _MOST_ADDRESSES:
            self._counts.popitem(last=False)
        return count <= self._most


def whose(connection: HTTPConnection) -> str:
    """The address of who asks; of IPv6 its first 64 bits, since the others are anybody's to choose (RFC 4291 §2.5.1)."""
    host = connection.client.host if connection.client else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return address.packed[:8].hex()

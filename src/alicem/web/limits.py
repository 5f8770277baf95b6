"""Who it is that limits count: one address, or one network."""

from __future__ import annotations

import ipaddress

from starlette.requests import HTTPConnection


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

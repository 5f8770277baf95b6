"""How often one address may do a thing: the broker is one process, so it counts in memory, for a bounded number of addresses."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from starlette.requests import HTTPConnection

from alicem.web.limits import whose

_MOST_ADDRESSES = 50_000
SECONDS = 60


class Limit:
    """At most `most` events an address in each minute. `clock`: Unix time."""

    def __init__(self, most: int, clock: Callable[[], int]) -> None:
        self._most, self._clock = most, clock
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def admits(self, connection: HTTPConnection) -> bool:
        """Count one event of this address; whether it is still within the limit."""
        who, minute = whose(connection), self._clock() // SECONDS
        begun, count = self._counts.pop(who, (minute, 0))
        count = count + 1 if begun == minute else 1
        self._counts[who] = (minute, count)
        if len(self._counts) > _MOST_ADDRESSES:
            self._counts.popitem(last=False)
        return count <= self._most

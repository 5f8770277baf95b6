"""Whether this worker can serve: named checks, each in bounded time, looked at once a second at most however often one asks.

What one worker's absence would not mend is shown and takes nobody off: a registry that is down is down for every worker, and people sign
in without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

NEEDS: Mapping[str, tuple[str, ...]] = {
    "web": ("accepting", "database"),
    "provider": ("accepting", "database", "keys"),
    "enrolment": ("accepting", "database", "keys", "session_processes"),
}
"""What each role cannot do without. `journal` and `registry` are shown beside them."""
SECONDS, PATIENCE = 1.0, 2.0

Look = Callable[[], Awaitable[bool]]


@dataclass
class Readiness:
    """`checks`: by name. `clock`: seconds that only grow."""

    checks: Mapping[str, Look]
    roles: Sequence[str]
    clock: Callable[[], float]
    _seen: tuple[float, dict[str, bool]] | None = None
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self) -> dict[str, bool]:
        """Every check, true where all is well; at most a second old."""
        async with self._looking:  # whoever asks meanwhile waits for the same look
            if self._seen is None or self.clock() - self._seen[0] >= SECONDS:
                results = await asyncio.gather(*(_bounded(look) for look in self.checks.values()))
                self._seen = (self.clock(), dict(zip(self.checks, results, strict=True)))
            return self._seen[1]

    def routes(self) -> list[Route]:
        async def ready(request: Request) -> Response:
            """Ready while one of its roles can be served; `?role=` asks for one."""
            roles = self.serving(await self.look())
            asked = request.query_params.get("role")
            well = roles.get(asked, False) if asked is not None else any(roles.values())
            return JSONResponse(
                {"ready": well, "roles": roles, "checks": await self.look()},
                200 if well else 503,
                {"Cache-Control": "no-store"},
            )

        return [Route("/live", _live), Route("/ready", ready)]

    def serving(self, seen: Mapping[str, bool]) -> dict[str, bool]:
        """Which of its roles this worker can serve."""
        return {role: all(seen.get(name, True) for name in NEEDS[role]) for role in self.roles}


async def _live(_request: Request) -> Response:
    """The process answers. FranceConnect's status address too."""
    return JSONResponse({"status": "up"})


async def _bounded(look: Look) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            return await look()
    except (TimeoutError, SQLAlchemyError, OSError):
        return False

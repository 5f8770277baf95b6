"""What the provider's endpoints share: forms within bounds, refusals as pages."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from alicem import reasons
from alicem.provider.parameters import MOST_BYTES, Given, Unreadable, parse
from alicem.provider.room import Provider
from alicem.web.bodies import BodyTooLarge, body_of

NOT_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""RFC 6749 §5.1."""


async def form_of(request: Request, most: int = MOST_BYTES) -> Given:
    """A posted form. Raises `Unreadable`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Unreadable("not application/x-www-form-urlencoded")
    try:
        return parse(await body_of(request, most), most)
    except BodyTooLarge as error:
        raise Unreadable("too long") from error


def refusal_page(
    provider: Provider, request: Request, reason: str, detail: str = "", *, status: int = 400, name: str | None = None
) -> Response:
    """Why there is nowhere to go back to, and what to do. `detail`: for the client's developer. `name`: another template."""
    row = reasons.load()[reason]
    return provider.pages.render(request, name or "provider/refused.html", status=status, reason=row, detail=detail)

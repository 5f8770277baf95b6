"""The demonstration's mail box: letters arrive by SMTP on loopback, the State's paper letters by POST, and people read them on a page.

Letters are kept in memory alone, the newest two hundred.
"""

from __future__ import annotations

import asyncio
import email.policy
import json
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from alicem.web.pages import Pages

_MOST = 200
_MOST_BYTES = 65_536


@dataclass(frozen=True)
class Letter:
    """`kind`: `email` or `paper`. `to`: an e-mail address, or a name with `address` below it."""

    kind: str
    to: str
    subject: str
    text: str
    at: str
    address: str = ""


class MailBox:
    """All letters, newest first."""

    def __init__(self) -> None:
        self._letters: deque[Letter] = deque(maxlen=_MOST)

    def put(self, letter: Letter) -> None:
        self._letters.appendleft(letter)

    def letters(self, to: str | None = None) -> list[Letter]:
        """Those to one address or name; all without."""
        return [one for one in self._letters if to is None or one.to.lower() == to.lower()]

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """One letter by SMTP."""
        message = message_from_bytes(_bytes(envelope.content), policy=email.policy.default)
        body = message.get_body(("plain",))
        text = str(body.get_content()) if body is not None else ""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        for recipient in envelope.rcpt_tos[:10]:
            self.put(Letter("email", str(recipient), str(message.get("subject", "")), text, at))
        return "250 OK"

    async def listen(self, address: str) -> asyncio.Server:
        """Take letters by SMTP at `host:port`."""
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            lambda: SMTP(self, data_size_limit=_MOST_BYTES, enable_SMTPUTF8=True, hostname="mailbox"), host, int(port)
        )


def mailbox_routes(box: MailBox, pages: Pages) -> list[BaseRoute]:
    """`/mail` for people, `/letters?to=` for programs, `/paper` for the registry's carrier."""

    async def page(request: Request) -> Response:
        to = request.query_params.get("to")
        return pages.render(request, "demo/mail.html", letters=box.letters(to), to=to)

    async def listing(request: Request) -> Response:
        return JSONResponse({"letters": [asdict(one) for one in box.letters(request.query_params.get("to"))]})

    async def paper(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_BYTES:
                return Response(status_code=413)
        letter = _paper(body)
        if letter is None:
            return Response(status_code=400)
        box.put(letter)
        return Response(status_code=204)

    return [
        Route("/mail", page),
        Route("/letters", listing),
        Route("/paper", paper, methods=["POST"]),
    ]


def _paper(body: bytes) -> Letter | None:
    try:
        tree = json.loads(body)
        return Letter(**{name: str(tree[name]) for name in ("kind", "to", "subject", "text", "at", "address")})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _bytes(content: bytes | str | None) -> bytes:
    return content.encode() if isinstance(content, str) else content or b""

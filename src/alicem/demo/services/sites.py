"""One sample service as a web site: its pages, its cookie, its sessions in memory. Its OpenID is `openid`'s."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from alicem.demo.services.catalogue import SampleService
from alicem.demo.services.openid import Begun, OpenIDClient, SignedIn, SignInFailed
from alicem.web.pages import Pages

LIVES = 3600.0  # seconds
MOST = 1000  # sessions, and persons whose visits are remembered
SHOWN_VISITS = 5

FAILURES = (SignInFailed, httpx.HTTPError, ValueError, KeyError)
"""Whatever the broker answers, or does not."""

KINDS: Mapping[str, tuple[str, ...]] = {
    "denied": ("access_denied",),
    "level": ("acr", "unmet_authentication_requirements"),
    "unavailable": ("unreachable", "temporarily_unavailable", "server_error"),
    "settings": (
        "invalid_request",
        "invalid_scope",
        "invalid_client",
        "unauthorized_client",
        "unsupported_response_type",
    ),
    "over": ("no_session", "invalid_grant", "login_required"),
    "unbelievable": ("state", "mix_up", "issuer", "signature", "iss", "aud", "exp", "nonce", "sub"),
}
"""What a person reads (`services.failure.…`), for each word of an error; every other word reads as `other`."""


def kind_of(word: str) -> str:
    return next((kind for kind, words in KINDS.items() if word in words), "other")


@dataclass
class Session:
    """One browser: on its way to the broker, back with an error, or signed in."""

    began: float
    begun: Begun | None = None
    failure: str | None = None
    person: SignedIn | None = None


class Site:
    """`origin`: of all sample services; this one's pages are below `/{name}`."""

    def __init__(self, service: SampleService, origin: str, client: OpenIDClient, pages: Pages) -> None:
        self.service, self._origin, self._client, self._pages = service, origin, client, pages
        self._now = client.clock
        self.home_path = f"/{service.name}"
        self._cookie = f"__Host-{service.name}"
        self._sessions: dict[str, Session] = {}
        self._visits: dict[str, list[datetime]] = {}

    def routes(self) -> list[Route]:
        return [
            Route(self.home_path, self.home),
            Route(f"{self.home_path}/sign-in", self.sign_in, methods=["POST"]),
            Route(f"{self.home_path}/callback", self.callback),
            Route(f"{self.home_path}/sign-out", self.sign_out, methods=["POST"]),
            Route(f"{self.home_path}/signed-out", self.signed_out),
            Route(f"{self.home_path}/api/session", self.api_session),
        ]

    async def home(self, request: Request) -> Response:
        session = self._session(request)
        if session is None or session.person is None:
            return self._page(request, "before", failure=session.failure if session else None)
        claims = dict(session.person.claims)
        sub = str(claims.pop("sub"))
        return self._page(
            request, "after", claims=claims, sub=sub, acr=session.person.acr, visits=self._visits.get(sub, [])[1:]
        )

    async def api_session(self, request: Request) -> Response:
        """Who is signed in, for the visitor without a browser."""
        session = self._session(request)
        if session is None or session.person is None:
            return JSONResponse({"signed_in": False, "error": session.failure if session else None}, 401)
        return JSONResponse({"signed_in": True, "claims": session.person.claims, "acr": session.person.acr})

    async def sign_in(self, request: Request) -> Response:
        """To the broker, by a form of ours: another site cannot begin a sign-in here."""
        if not self._is_ours(request):
            return Response(status_code=403)
        try:
            address, begun = await self._client.begin()
        except FAILURES as error:
            return self._page(request, "before", failure=_word(error))
        response = RedirectResponse(address, 303)
        # Lax: the answer is a link of another site. Path=/ is what `__Host-` asks; the name keeps services apart.
        key = self._begin(begun)
        response.set_cookie(self._cookie, key, secure=True, httponly=True, samesite="lax", path="/")
        return response

    async def callback(self, request: Request) -> Response:
        """From the broker: a code or an error, for the session that asked, once."""
        session = self._session(request)
        if session is None or session.begun is None:
            return self._page(request, "before", failure="no_session")
        begun, session.begun = session.begun, None
        try:
            session.person = await self._client.complete(begun, request.query_params)
        except FAILURES as error:
            session.failure = _word(error)
        if self.service.remembers and session.person is not None:
            self._remember(str(session.person.claims["sub"]))
        return RedirectResponse(self.home_path, 303)

    async def sign_out(self, request: Request) -> Response:
        """Ends the session here, then at the broker."""
        if not self._is_ours(request):
            return Response(status_code=403)
        session = self._sessions.pop(request.cookies.get(self._cookie, ""), None)
        address = f"{self.home_path}/signed-out"
        if session is not None and session.person is not None:
            with contextlib.suppress(*FAILURES):  # signed out here all the same
                address = await self._client.end(session.person.id_token)
        # A page, and no redirect: the way leads through a provider nobody here knows, and browsers hold the redirects of a form to `form-action`
        response = self._page(request, "leaving", address=address)
        response.delete_cookie(self._cookie, secure=True, httponly=True, samesite="lax", path="/")
        return response

    async def signed_out(self, request: Request) -> Response:
        return self._page(request, "signed_out")

    def _page(self, request: Request, page: str, *, failure: str | None = None, **values: Any) -> Response:
        kind = None if failure is None else kind_of(failure)
        values |= {"service": self.service, "failure": failure, "kind": kind}
        return self._pages.render(request, f"demo/services/{page}.html", **values)

    def _is_ours(self, request: Request) -> bool:
        return request.headers.get("origin", self._origin) == self._origin

    def _session(self, request: Request) -> Session | None:
        session = self._sessions.get(request.cookies.get(self._cookie, ""))
        return session if session is not None and self._now() - session.began < LIVES else None

    def _begin(self, begun: Begun) -> str:
        """A new key at each sign-in, so that none can be fixed beforehand; the oldest go."""
        while len(self._sessions) >= MOST:
            self._sessions.pop(next(iter(self._sessions)))
        key = secrets.token_urlsafe(32)
        self._sessions[key] = Session(self._now(), begun)
        return key

    def _remember(self, sub: str) -> None:
        """This visit, newest first, under the pseudonym: all a service needs to know a person again."""
        while len(self._visits) >= MOST and sub not in self._visits:
            self._visits.pop(next(iter(self._visits)))
        self._visits[sub] = [datetime.fromtimestamp(self._now()).astimezone(), *self._visits.get(sub, [])][
            : SHOWN_VISITS + 1
        ]


def _word(error: Exception) -> str:
    return error.word if isinstance(error, SignInFailed) else "unreachable"

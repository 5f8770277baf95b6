"""A sample public service, and all that a service has to do to be connected: one page before signing in, one after.

Its OpenID client is short on purpose (RFC 6749 §4.1, OpenID Connect Core 1.0 §3.1): authorize with state, nonce and PKCE, redeem the code, check the id
token, ask for the claims. Sessions live in memory for an hour.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import secrets
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import uvicorn
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from alicem.settings import SettingsError, read
from alicem.web.headers import SecurityHeaders, Sources
from alicem.web.pages import Pages
from alicem.web.static_files import static_routes

COOKIE = "__Host-service"
STYLES = Path(__file__).parent / "static" / "stage.css"
_LIVES = 3600  # seconds
_MOST = 1000  # sessions


@dataclass(frozen=True)
class ServiceSettings:
    """`services.toml`."""

    origin: str
    """For instance `http://127.0.0.1:8002`."""
    broker: str
    """The broker's issuer."""
    client_id: str
    secret_file: Path
    listen: str = "127.0.0.1:8002"
    level: str = "eidas2"
    scope: str = "openid profile birth email"
    demo_origin: str | None = None
    """Where the demonstration begins: the page links back to it."""


class SignInFailed(Exception):
    """The broker's answer is an error, or may not be believed; the message is one word."""


@dataclass
class Session:
    """One browser. `claims` is empty until someone signed in."""

    began: float
    state: str = ""
    nonce: str = ""
    verifier: str = ""
    failure: str | None = None
    claims: dict[str, Any] = field(default_factory=dict)
    acr: str | None = None
    id_token: str | None = None


class SampleService:
    """The service's pages and its part of the code flow."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        try:
            self._secret = settings.secret_file.read_text("ascii").strip()
        except OSError as error:
            raise SettingsError(f"{settings.secret_file}: {error.strerror}") from error
        self.pages = Pages(demo_origin=settings.demo_origin)
        self.client = httpx.AsyncClient(timeout=6.0, trust_env=False)
        self._sessions: dict[str, Session] = {}

    async def home(self, request: Request) -> Response:
        session = self._session(request)
        return self.pages.render(
            request,
            "demo/service.html",
            claims=session.claims if session else {},
            acr=session.acr if session else None,
            failure=session.failure if session else None,
        )

    async def api_session(self, request: Request) -> Response:
        """Who is signed in, for the visitor without a browser."""
        session = self._session(request)
        if session is None or not session.claims:
            failure = session.failure if session else None
            return JSONResponse({"signed_in": False, "error": failure}, 401)
        return JSONResponse({"signed_in": True, "claims": session.claims, "acr": session.acr})

    async def sign_in(self, request: Request) -> Response:
        """To the broker, by a form of ours: another site cannot begin a sign-in here."""
        if request.headers.get("origin", self.settings.origin) != self.settings.origin:
            return Response(status_code=403)
        metadata = await self._metadata()
        key, session = self._new_session()
        session.state, session.nonce = secrets.token_hex(32), secrets.token_hex(32)
        session.verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(session.verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": f"{self.settings.origin}/callback",
            "scope": self.settings.scope,
            "acr_values": self.settings.level,
            "state": session.state,
            "nonce": session.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        response = RedirectResponse(f"{metadata['authorization_endpoint']}?{urlencode(asked)}", 303)
        response.set_cookie(COOKIE, key, secure=True, httponly=True, samesite="lax", path="/")
        return response

    async def callback(self, request: Request) -> Response:
        """From the broker: a code or an error, for the session that asked, once."""
        session, given = self._session(request), request.query_params
        if session is not None and session.state and secrets.compare_digest(given.get("state", ""), session.state):
            session.state = ""
            try:
                await self._finish(session, given.get("code"), given.get("error"), given.get("iss"))
            except SignInFailed as failed:
                session.failure = str(failed)
            except (httpx.HTTPError, ValueError, KeyError):
                session.failure = "unreachable"
        return RedirectResponse("/", 303)

    async def sign_out(self, request: Request) -> Response:
        if request.headers.get("origin", self.settings.origin) != self.settings.origin:
            return Response(status_code=403)
        session = self._sessions.pop(request.cookies.get(COOKIE, ""), None)
        if session is None or session.id_token is None:
            return RedirectResponse("/", 303)
        metadata = await self._metadata()
        asked = {"id_token_hint": session.id_token, "post_logout_redirect_uri": f"{self.settings.origin}/signed-out"}
        response = RedirectResponse(f"{metadata['end_session_endpoint']}?{urlencode(asked)}", 303)
        response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="lax", path="/")
        return response

    async def signed_out(self, request: Request) -> Response:
        return self.pages.render(request, "demo/service_signed_out.html")

    async def _finish(self, session: Session, code: str | None, error: str | None, iss: str | None) -> None:
        if iss != self.settings.broker:  # RFC 9207 §2.4
            raise SignInFailed("mix_up")
        if code is None:
            raise SignInFailed((error or "no_answer")[:40])
        metadata = await self._metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": f"{self.settings.origin}/callback",
            "client_id": self.settings.client_id,
            "client_secret": self._secret,
            "code_verifier": session.verifier,
        }
        tokens = (await self.client.post(metadata["token_endpoint"], data=form)).raise_for_status().json()
        keys = (await self.client.get(metadata["jwks_uri"])).raise_for_status().json()
        checked = self._check_id_token(tokens["id_token"], KeySet.import_key_set(keys), session.nonce)
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        answer = (await self.client.get(metadata["userinfo_endpoint"], headers=headers)).raise_for_status()
        claims: dict[str, Any] = answer.json()
        if claims.get("sub") != checked["sub"]:
            raise SignInFailed("sub")
        session.claims, session.acr, session.id_token = claims, checked["acr"], tokens["id_token"]

    def _check_id_token(self, token: str, keys: KeySet, nonce: str) -> dict[str, Any]:
        """OpenID Connect Core §3.1.3.7."""
        try:
            claims = jwt.decode(token, keys, algorithms=["ES256"]).claims
        except (JoseError, ValueError) as error:
            raise SignInFailed("signature") from error
        rules = {
            "iss": claims.get("iss") == self.settings.broker,
            "aud": claims.get("aud") == self.settings.client_id,
            "exp": claims.get("exp", 0) > time.time(),
            "nonce": claims.get("nonce") == nonce,
            "acr": str(claims.get("acr", "")) >= self.settings.level,  # eidas1 < eidas2 < eidas3
        }
        for name, holds in rules.items():
            if not holds:
                raise SignInFailed(name)
        return claims

    async def _metadata(self) -> dict[str, Any]:
        address = f"{self.settings.broker}/.well-known/openid-configuration"
        metadata: dict[str, Any] = (await self.client.get(address)).raise_for_status().json()
        if metadata.get("issuer") != self.settings.broker:
            raise SignInFailed("issuer")
        return metadata

    def _session(self, request: Request) -> Session | None:
        session = self._sessions.get(request.cookies.get(COOKIE, ""))
        return session if session is not None and time.monotonic() - session.began < _LIVES else None

    def _new_session(self) -> tuple[str, Session]:
        """A new key at each sign-in, so that none can be fixed beforehand; the oldest go."""
        while len(self._sessions) >= _MOST:
            self._sessions.pop(next(iter(self._sessions)))
        key, session = secrets.token_urlsafe(32), Session(time.monotonic())
        self._sessions[key] = session
        return key, session


def app(settings: ServiceSettings) -> Starlette:
    """The application. Raises `SettingsError`."""
    service = SampleService(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await service.client.aclose()

    async def unreachable(request: Request, _error: Exception) -> Response:
        return service.pages.render(
            request, "demo/service.html", status=503, claims={}, acr=None, failure="unreachable"
        )

    return Starlette(
        routes=[
            Route("/", service.home),
            Route("/api/session", service.api_session),
            Route("/sign-in", service.sign_in, methods=["POST"]),
            Route("/callback", service.callback),
            Route("/sign-out", service.sign_out, methods=["POST"]),
            Route("/signed-out", service.signed_out),
            Route("/live", _live),
            Route("/static/stage.css", _styles),
            *static_routes(service.pages.texts),
        ],
        # A form that is answered by a redirect is held to `form-action` along the whole way (CSP 3 §6.4)
        middleware=[Middleware(SecurityHeaders, origin=settings.origin, sources=Sources(form=(settings.broker,)))],
        exception_handlers={httpx.HTTPError: unreachable, SignInFailed: unreachable},
        lifespan=lifespan,
    )


async def _styles(_request: Request) -> Response:
    return FileResponse(STYLES, media_type="text/css")


async def _live(_request: Request) -> Response:
    return JSONResponse({"status": "up"})


def serve(config: Path) -> None:
    """Serve `services.toml` until stopped. Raises `SettingsError`."""
    settings = read(ServiceSettings, config)
    host, _, port = settings.listen.rpartition(":")
    uvicorn.run(app(settings), host=host, port=int(port), log_level="warning", server_header=False, http="h11")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "--config":
        sys.exit("usage: python -m alicem.demo.services --config services.toml")
    serve(Path(sys.argv[2]))

"""Identifiant Exemple's endpoints: discovery, keys, authorize with its page, token, userinfo, end of session. Everything is in memory."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from alicem.demo import personas
from alicem.demo.identifiant.requests import LEVELS, SCOPES, Asked, ClientTable, OneTime, Refused, Unanswerable, parse
from alicem.demo.personas import Persona
from alicem.jose import BadToken
from alicem.settings import SettingsError, read
from alicem.web.bodies import BodyTooLarge, form_of
from alicem.web.headers import SecurityHeaders, Sources
from alicem.web.pages import Pages
from alicem.web.static_files import static_routes

COOKIE = "__Host-identifiant"
PASSWORD = "exemple"  # noqa: S105 - told on the page
TRIES = 5
SIGN_IN_LIVES, CODE_LIVES, TOKEN_LIVES = 600, 30, 60
_MOST = 16_384  # bytes of a form
_MOST_KEPT = 1000
_BROWSER = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class IdentifiantSettings:
    """`identifiant.toml`."""

    origin: str
    """Also the issuer."""
    client: ClientTable
    listen: str = "127.0.0.1:8006"
    demo_origin: str | None = None


@dataclass(frozen=True)
class Grant:
    """What a code stands for."""

    persona: Persona
    asked: Asked
    auth_time: int


class Identifiant:
    """The provider. `clock`: seconds since 1970."""

    def __init__(
        self, settings: IdentifiantSettings, pages: Pages, clock: Callable[[], float], rng: Callable[[int], bytes]
    ) -> None:
        self.settings, self.pages, self._clock, self._rng = settings, pages, clock, rng
        try:
            self._secret = settings.client.secret_file.read_bytes().strip()
        except OSError as error:
            raise SettingsError(f"{settings.client.secret_file}: {error.strerror}") from error
        key = ECKey.generate_key("P-256", private=True)
        self._key = ECKey.import_key(key.as_dict(private=True), {"kid": key.thumbprint(), "use": "sig", "alg": "ES256"})
        self._people = {one.name: one for one in personas.load().values() if one.renews is None}
        self._sign_ins: OneTime[tuple[str, Asked]] = OneTime(SIGN_IN_LIVES, _MOST_KEPT, rng)
        self._codes: OneTime[Grant] = OneTime(CODE_LIVES, _MOST_KEPT, rng)
        self._tokens: OneTime[dict[str, str]] = OneTime(TOKEN_LIVES, _MOST_KEPT, rng)

    async def configuration(self, _request: Request) -> Response:
        """OpenID Connect Discovery 1.0 §3."""
        issuer = self.settings.origin
        return JSONResponse(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "userinfo_endpoint": f"{issuer}/userinfo",
                "jwks_uri": f"{issuer}/jwks",
                "end_session_endpoint": f"{issuer}/end_session",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
                "code_challenge_methods_supported": ["S256"],
                "scopes_supported": list(SCOPES),
                "acr_values_supported": list(LEVELS),
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def jwks(self, _request: Request) -> Response:
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})

    async def authorize(self, request: Request) -> Response:
        """The client sends a person: who are they, and do they know the password?"""
        try:
            asked = parse(request.query_params.multi_items(), self.settings.client, self.settings.origin)
        except Unanswerable:
            return self.pages.render(request, "demo/identifiant/over.html", status=400)
        except Refused as refused:
            return RedirectResponse(refused.address, 303)
        held = request.cookies.get(COOKIE, "")  # kept, so that two tabs do not end each other
        browser = held if _BROWSER.fullmatch(held) else self._rng(32).hex()
        response = self._page(request, browser, asked)
        response.set_cookie(COOKIE, browser, secure=True, httponly=True, samesite="lax", path="/")
        return response

    async def sign_in(self, request: Request) -> Response:
        """The page's form: a code for the client, another try, or an error after too many or none."""
        if request.headers.get("origin", self.settings.origin) != self.settings.origin:
            return Response(status_code=403)
        form = await form_of(request, _MOST)
        browser, asked = self._sign_ins.take(form.get("sign_in", ""), self._clock()) or ("", None)
        if asked is None or not hmac.compare_digest(browser.encode(), request.cookies.get(COOKIE, "").encode()):
            return self.pages.render(request, "demo/identifiant/over.html", status=400)
        if form.get("decision") == "cancel":
            return self._back(asked, error="access_denied")
        persona = self._people.get(form.get("persona", ""))
        if persona is None or not hmac.compare_digest(form.get("password", "").encode(), PASSWORD.encode()):
            if asked.tries + 1 >= TRIES:
                return self._back(asked, error="access_denied", error_description="too many wrong passwords")
            return self._page(request, browser, replace(asked, tries=asked.tries + 1))
        now = self._clock()
        return self._back(asked, code=self._codes.put(Grant(persona, asked, int(now)), now))

    async def token(self, request: Request) -> Response:
        """RFC 6749 §4.1.3: a code, once, for an id_token and an access token."""
        form = await form_of(request, _MOST)
        right = hmac.compare_digest(form.get("client_secret", "").encode(), self._secret)
        if form.get("client_id") != self.settings.client.id or not right:
            return JSONResponse({"error": "invalid_client"}, 401)
        if form.get("grant_type") != "authorization_code":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        now = self._clock()
        grant = self._codes.take(form.get("code", ""), now)
        if (
            grant is None
            or form.get("redirect_uri") != grant.asked.redirect_uri
            or grant.asked.challenge != _challenge(form.get("code_verifier"))
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        claims = {"sub": self._sub(grant.persona), **_released(grant.persona, grant.asked.scopes)}
        return JSONResponse(
            {
                "access_token": self._tokens.put(claims, now),
                "token_type": "Bearer",
                "expires_in": TOKEN_LIVES,
                "id_token": self._id_token(grant, int(now)),
            },
            headers={"cache-control": "no-store"},
        )

    async def userinfo(self, request: Request) -> Response:
        """OpenID Connect Core §5.3: the claims, once for each token."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        claims = self._tokens.take(given, self._clock()) if scheme.lower() == "bearer" else None
        if claims is None:
            return JSONResponse({"error": "invalid_token"}, 401, {"www-authenticate": 'Bearer error="invalid_token"'})
        return JSONResponse(claims)

    async def end_session(self, request: Request) -> Response:
        """RP-Initiated Logout 1.0: nobody stays signed in here, so the person goes back at once."""
        given, back = request.query_params, self.settings.client.post_logout_redirect_uri
        if given.get("post_logout_redirect_uri") != back:
            return self.pages.render(request, "demo/identifiant/over.html")
        state = {"state": given["state"][:512]} if "state" in given else {}
        return RedirectResponse(f"{back}?{urlencode(state)}" if state else back, 303)

    async def home(self, request: Request) -> Response:
        return self.pages.render(request, "demo/identifiant/home.html", people=self._people.values(), password=PASSWORD)

    def _page(self, request: Request, browser: str, asked: Asked) -> Response:
        return self.pages.render(
            request,
            "demo/identifiant/sign_in.html",
            sign_in=self._sign_ins.put((browser, asked), self._clock()),
            people=self._people.values(),
            password=PASSWORD,
            level=asked.level,
            left=TRIES - asked.tries if asked.tries else None,
        )

    def _back(self, asked: Asked, **values: str) -> Response:
        return RedirectResponse(asked.answer(self.settings.origin, **values), 303)

    def _sub(self, persona: Persona) -> str:
        return hmac.new(self._secret, persona.name.encode(), hashlib.sha256).hexdigest()

    def _id_token(self, grant: Grant, now: int) -> str:
        claims = {
            "iss": self.settings.origin,
            "aud": self.settings.client.id,
            "sub": self._sub(grant.persona),
            "iat": now,
            "exp": now + TOKEN_LIVES,
            "auth_time": grant.auth_time,
            "nonce": grant.asked.nonce,
            "acr": grant.asked.level,
            "amr": ["pwd"],  # RFC 8176
        }
        return jwt.encode({"alg": "ES256", "kid": str(self._key.kid)}, claims, self._key)


def _challenge(verifier: str | None) -> str | None:
    """RFC 7636 §4.6."""
    if verifier is None:
        return None
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _released(persona: Persona, scopes: tuple[str, ...]) -> dict[str, str]:
    """The claims that the scopes mean and this person has."""
    held = persona.registry
    known = {
        "given_name": held.given_names,
        "family_name": held.family_name,
        "preferred_username": held.usage_name or "",
        "gender": held.gender,
        "birthdate": held.birthdate,
        "birthplace": held.birthplace_cog,
        "birthcountry": held.birthcountry_cog,
        "email": persona.email,
    }
    asked = {claim for scope in scopes for claim in SCOPES[scope]}
    return {name: text for name, text in known.items() if name in asked and text}


def app(
    settings: IdentifiantSettings,
    clock: Callable[[], float] = time.time,
    rng: Callable[[int], bytes] = secrets.token_bytes,
) -> Starlette:
    """The application. Raises `SettingsError`."""
    pages = Pages(demo_origin=settings.demo_origin)
    provider = Identifiant(settings, pages, clock, rng)
    parts = urlsplit(settings.client.redirect_uri)
    form = Sources(form=(f"{parts.scheme}://{parts.netloc}",))  # a form's redirects are held to it (CSP 3 §6.4)
    return Starlette(
        routes=[
            Route("/", provider.home),
            Route("/.well-known/openid-configuration", provider.configuration),
            Route("/jwks", provider.jwks),
            Route("/authorize", provider.authorize),
            Route("/sign-in", provider.sign_in, methods=["POST"]),
            Route("/token", provider.token, methods=["POST"]),
            Route("/userinfo", provider.userinfo),
            Route("/end_session", provider.end_session),
            Route("/live", _live),
            *static_routes(pages.texts),
        ],
        middleware=[Middleware(SecurityHeaders, origin=settings.origin, sources=form)],
        exception_handlers={BadToken: _malformed, BodyTooLarge: _malformed},
    )


async def _live(_request: Request) -> Response:
    return JSONResponse({"status": "up"})


async def _malformed(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"error": "invalid_request"}, 400)


def serve(config: Path) -> None:
    """Serve `identifiant.toml` until stopped. Raises `SettingsError`."""
    settings = read(IdentifiantSettings, config)
    host, _, port = settings.listen.rpartition(":")
    uvicorn.run(app(settings), host=host, port=int(port), log_level="warning", server_header=False, http="h11")

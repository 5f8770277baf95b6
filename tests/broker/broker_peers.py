"""The broker's two neighbours, small and real: an OpenID provider whose answers can be flawed, and a service's browser and back channel."""

from __future__ import annotations

import json
import re
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from joserfc import jws
from joserfc.jwk import ECKey, OctKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from alicem.demo.services import SERVICES

Serve = Callable[[Starlette, int], str]
"""Runs an application on a port of loopback; its origin."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Clock:
    """The time, ahead by what the test let pass."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def pass_by(self, **how: float) -> None:
        self.ahead += timedelta(**how)


ANGELA = {
    "given_name": "Angela Claire Louise",
    "family_name": "DUBOIS",
    "birthdate": "1962-08-24",
    "gender": "female",
    "birthplace": "75107",
    "birthcountry": "99100",
    "email": "angela@courriel.example",
    "preferred_username": "Ledoux",
}


@dataclass
class Provider:
    """`flaw` changes the id_token's claims before they are signed; `seen` keeps what every request carried."""

    issuer: str
    client_id: str = "broker-at-small"
    secret: str = "s" * 40
    algorithm: str = "ES256"
    claims: dict[str, Any] = field(default_factory=lambda: dict(ANGELA))
    flaw: Callable[[dict[str, Any]], None] | None = None
    sub_at_userinfo: str = "person-1"
    error: str | None = None
    signed_userinfo: bool = False
    iss_in_answer: str | None = None
    discovery_issuer: str | None = None
    answer_key: ECKey | OctKey | None = None
    clock: Callable[[], float] = time.time
    seal: Callable[[str], str] = str
    """What is done to a token once it is signed: encryption, or damage."""
    discovery: dict[str, Any] = field(default_factory=dict)
    """Said otherwise there."""
    level: str | None = None
    """Given whatever was asked."""
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig"})
        self.asked: dict[str, str] = {}

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/keys", self._keys),
                Route("/login", self._login),
                Route("/exchange", self._exchange, methods=["POST"]),
                Route("/me", self._me),
                Route("/end", self._end),
            ]
        )

    async def _discovery(self, _request: Request) -> Response:
        self.seen.append(("discovery", {}))
        return JSONResponse(
            {
                "issuer": self.discovery_issuer or self.issuer,
                "authorization_endpoint": f"{self.issuer}/login",
                "token_endpoint": f"{self.issuer}/exchange",
                "userinfo_endpoint": f"{self.issuer}/me",
                "jwks_uri": f"{self.issuer}/keys",
                "end_session_endpoint": f"{self.issuer}/end",
                **self.discovery,
            }
        )

    async def _keys(self, _request: Request) -> Response:
        self.seen.append(("keys", {}))
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def _login(self, request: Request) -> Response:
        self.asked = dict(request.query_params)
        self.seen.append(("login", self.asked))
        answer = {"state": self.asked["state"]}
        answer |= {"error": self.error} if self.error else {"code": "c" * 43}
        if self.iss_in_answer:
            answer["iss"] = self.iss_in_answer
        return RedirectResponse(self.asked["redirect_uri"] + "?" + urlencode(answer), 303)

    async def _exchange(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        self.seen.append(("exchange", form))
        if form["client_secret"] != self.secret or form["code"] != "c" * 43:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(self.clock())
        claims = {"iss": self.issuer, "aud": self.client_id, "sub": "person-1", "iat": now, "exp": now + 60}
        claims |= {"nonce": self.asked["nonce"], "acr": self.level or self.asked["acr_values"]}
        if self.flaw:
            self.flaw(claims)
        return JSONResponse(
            {"access_token": "t" * 43, "token_type": "Bearer", "id_token": self.seal(self.sign(claims))}
        )

    async def _me(self, request: Request) -> Response:
        self.seen.append(("me", {}))
        assert request.headers["authorization"] == "Bearer " + "t" * 43
        claims = {"sub": self.sub_at_userinfo, **self.claims}
        if not self.signed_userinfo:
            return JSONResponse(claims)
        signed = self.sign(claims | {"iss": self.issuer, "aud": self.client_id})
        return Response(self.seal(signed), media_type="application/jwt")

    async def _end(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.seen.append(("end", asked))
        return RedirectResponse(asked["post_logout_redirect_uri"] + "?" + urlencode({"state": asked["state"]}), 303)

    def sign(self, claims: dict[str, Any]) -> str:
        key = self.answer_key or (OctKey.import_key(self.secret) if self.algorithm == "HS256" else self.key)
        header = {"alg": "HS256" if isinstance(key, OctKey) else "ES256", "kid": "k1"}
        return jws.serialize_compact(header, json.dumps(claims).encode(), key)


class Service:
    """A service and a person's browser in one. Loopback is plain http, so the Secure cookie is carried by hand."""

    FILES: ClassVar[dict[str, str]] = {
        "town": 'scopes = ["openid", "profile", "birth", "email"]\n',
        "private": 'scopes = ["openid", "given_name"]\nconsent = true\nsignature = "HS256"\nuserinfo_signed = true\n',
        "closed": 'scopes = ["openid"]\nrefused_providers = ["small"]\n',
        "games": 'scopes = ["openid", "over_18"]\nlevels = ["eidas1", "eidas2"]\nallowed_providers = ["small"]\n',
    }
    BACK = "http://127.0.0.1:1/back"

    def other(self, name: str, scope: str = "openid") -> Service:
        """Another service, in the same browser."""
        made = Service(self.origin, name, scope)
        made.cookie, made.browser = self.cookie, self.browser
        return made

    def __init__(self, origin: str, name: str = "town", scope: str = "openid profile birth email") -> None:
        self.origin, self.name, self.scope = origin, name, scope
        self.state, self.nonce = secrets.token_hex(32), secrets.token_hex(32)
        self.browser = httpx.Client(follow_redirects=False, trust_env=False)
        self.cookie: dict[str, str] = {}

    @staticmethod
    def secret(name: str) -> str:
        return f"secret-of-{name}-".ljust(40, "x")

    @staticmethod
    def file(name: str) -> str:
        return (
            f'title = "Service {name}"\nclient_id = "{name}-id"\nsecret_file = "{name}.secret"\nentity = "org-{name}"\n'
            f'redirect_uris = ["{Service.BACK}"]\npost_logout_redirect_uris = ["{Service.BACK}/out"]\n'
        )

    def parameters(self, **changes: str | None) -> dict[str, str]:
        asked: dict[str, str | None] = {
            "client_id": f"{self.name}-id", "redirect_uri": self.BACK, "response_type": "code", "scope": self.scope,
            "acr_values": "eidas2", "state": self.state, "nonce": self.nonce,
        }  # fmt: skip
        return {name: value for name, value in (asked | changes).items() if value is not None}

    def get(self, url: str) -> httpx.Response:
        return self._keep(self.browser.get(self._whole(url), headers=self._headers()))

    def post(self, path: str, **form: str) -> httpx.Response:
        headers = self._headers() | {"origin": self.origin}
        return self._keep(self.browser.post(self._whole(path), data=form, headers=headers))

    def _whole(self, url: str) -> str:
        return url if url.startswith("http") else self.origin + url

    def _headers(self) -> dict[str, str]:
        return {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookie.items())}

    def _keep(self, response: httpx.Response) -> httpx.Response:
        for line in response.headers.get_list("set-cookie"):
            name, _, value = line.split(";")[0].partition("=")
            self.cookie[name] = value
        return response

    def begin(self, **changes: str | None) -> str:
        """To the choice page; its sign-in number."""
        answer = self.get("/authorize?" + urlencode(self.parameters(**changes)))
        assert answer.status_code == 303, answer.text
        page = self.get(answer.headers["location"])
        assert page.status_code == 200
        return hidden(page)

    def through_provider(self, number: str, name: str = "small") -> httpx.Response:
        """Chooses the provider and comes back: the page where the person ends."""
        to_provider = self.post("/depart", sign_in=number, provider=name)
        back = self.browser.get(to_provider.headers["location"])
        answer = self.get(back.headers["location"])
        while answer.status_code == 303:
            answer = self.get(answer.headers["location"])
        return answer

    def send(self, page: httpx.Response) -> httpx.Response:
        """The information page's main button."""
        return self.post("/decide", sign_in=hidden(page), decision="continue", consent="yes")

    def at_information(self, **changes: str | None) -> httpx.Response | None:
        """Where a browser that is still recognised comes to; None where it is not."""
        answer = self.get("/authorize?" + urlencode(self.parameters(**changes)))
        where = answer.headers["location"]
        return self.get(where) if where.startswith("/information") else None

    def open_history(self) -> httpx.Response:
        """Through the provider to the citizen's page; or to where that ended."""
        page = self.get(self.post("/history/enter").headers["location"])
        page = self.through_provider(hidden(page))
        if page.url.path != "/information":
            return page
        return self.get(self.send(page).headers["location"])

    def code(self) -> str:
        """The whole way; the code the service gets."""
        page = self.through_provider(self.begin())
        return query(self.post("/decide", sign_in=hidden(page), decision="continue", consent="yes"))["code"]

    def redeem(self, code: str, /, **changes: str | None) -> httpx.Response:
        form: dict[str, str | None] = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": self.BACK,
            "client_id": f"{self.name}-id", "client_secret": self.secret(self.name),
        }  # fmt: skip
        return httpx.post(f"{self.origin}/token", data={k: v for k, v in (form | changes).items() if v is not None})

    def userinfo(self, token: str) -> httpx.Response:
        return httpx.get(f"{self.origin}/userinfo", headers={"authorization": f"Bearer {token}"})


def sample_service(folder: Path, origin: str, secrets: Path) -> None:
    """Make `town` the demonstration's public service at `origin`; the others' secrets are there and nobody's."""
    file = folder / "town.toml"
    text = file.read_text().replace("town-id", SERVICES["demarches"].client_id)
    text = text.replace(f"{Service.BACK}/out", f"{origin}/demarches/signed-out")
    file.write_text(text.replace(Service.BACK, f"{origin}/demarches/callback"))
    secrets.mkdir()
    for one in SERVICES.values():
        (secrets / f"{one.client_id}.secret").write_text(Service.secret("town"))


def hidden(page: httpx.Response) -> str:
    found = re.search(r'name="sign_in" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def query(response: httpx.Response) -> dict[str, str]:
    """The parameters of a redirect."""
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()}


def payload(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(jws.extract_compact(token.encode()).payload)
    return claims

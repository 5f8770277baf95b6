"""Independent clients: Authlib does the whole flow by its own rules; discovery, keys and logout as clients use them."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from authlib.integrations.starlette_client import OAuth
from provider_world import (
    FAREWELL,
    PLAIN_SECRET,
    Browser,
    Person,
    World,
    answer,
    enrol,
    make_world,
    redeem,
    serve,
    sign_in,
    values,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from alicem import jose
from alicem.provider import logout
from alicem.web.server import listening_at


class Sessions:
    """One visitor's session, kept in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self._session = app, dict[str, object]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["session"] = self._session
        await self._app(scope, receive, send)


def relying_party(issuer: str, origin: str, **options: object) -> ASGIApp:
    """A service that knows the provider by its issuer alone."""
    client = OAuth().register(
        "alicem",
        client_id="other",
        client_secret=PLAIN_SECRET,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid email", **options},
    )

    async def login(request: Request) -> Response:
        return await client.authorize_redirect(request, f"{origin}/callback", acr_values="eidas2", prompt="login")

    async def callback(request: Request) -> Response:
        token = await client.authorize_access_token(request)
        told = await client.userinfo(token=token)
        return JSONResponse({"id_token": dict(token["userinfo"]), "userinfo": dict(told)})

    return Sessions(Starlette(routes=[Route("/login", login), Route("/callback", callback)]))


@pytest.mark.parametrize(
    "options",
    [
        {"token_endpoint_auth_method": "client_secret_post"},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_method": "client_secret_post", "code_challenge_method": "S256"},
    ],
)
def test_authlib_completes_the_flow(tmp_path: Path, options: dict[str, str]) -> None:
    (listener,) = listening_at("127.0.0.1:0")
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    world = make_world(tmp_path / "w", extra_callback=f"{origin}/callback")
    server, thread = serve(relying_party(world.origin, origin, **options), listener)
    try:
        person, browser = enrol(world), Browser(world)
        asked = urlsplit(httpx.get(f"{origin}/login").headers["location"])
        browser.read(browser.get(f"{asked.path}?{asked.query}"))
        assert answer(person, browser) == (200, "done")
        there = browser.get("/signin/continue").headers["location"]
        told = httpx.get(there, timeout=30).json()
        assert told["userinfo"] == {"sub": told["id_token"]["sub"], "email": person.email}
        assert told["id_token"]["acr"] == "eidas2"
    finally:
        server.should_exit = True
        thread.join(10)
        world.close()


def test_discovery_and_keys(world: World) -> None:
    found = httpx.get(f"{world.origin}/.well-known/openid-configuration").json()
    assert found["issuer"] == world.origin and found["acr_values_supported"] == ["eidas1", "eidas2"]
    assert found["authorization_response_iss_parameter_supported"] is True
    for name in ("authorization", "token", "userinfo", "end_session"):
        path = urlsplit(found[f"{name}_endpoint"]).path
        assert httpx.get(world.origin + path).status_code != 404
    [key] = httpx.get(found["jwks_uri"]).json()["keys"]
    assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}


def end(world: World, **given: str) -> httpx.Response:
    return httpx.get(f"{world.origin}/end_session", params=given)


def id_token(world: World, person: Person, client: str) -> str:
    back = sign_in(person, Browser(world), client_id=client)
    return str(redeem(world, back["code"], client_id=client).json()["id_token"])


@pytest.mark.parametrize("client", ["fc-plus", "fc"])
def test_logout_goes_back_with_state(world: World, angela: Person, client: str) -> None:
    hint = id_token(world, angela, client)
    there = end(world, id_token_hint=hint, client_id=client, post_logout_redirect_uri=FAREWELL, state="s")
    assert there.status_code == 303 and there.headers["location"] == FAREWELL + "?state=s"
    assert end(world, id_token_hint=hint, post_logout_redirect_uri=FAREWELL).headers["location"] == FAREWELL
    assert end(world, client_id=client, post_logout_redirect_uri=FAREWELL).status_code == 303
    posted = httpx.post(f"{world.origin}/end_session", data={"id_token_hint": hint})
    assert posted.status_code == 200 and "location" not in posted.headers


FORGED = jose.b64(b'{"alg":"none","typ":"JWT"}') + "." + jose.b64(b'{"iss":"x","aud":"fc-plus"}') + "."
REFUSALS = [
    ("a parameter is repeated", {"state": ["a", "b"]}),
    ("id_token_hint is not an id token of ours", {"id_token_hint": FORGED}),
    ("id_token_hint is not an id token of ours", {"id_token_hint": "x"}),
    ("client_id is unknown", {"client_id": "nobody"}),
    ("client_id and id_token_hint are of two clients", {"id_token_hint": "", "client_id": "other"}),
    (
        "post_logout_redirect_uri is not registered for this client",
        {"client_id": "fc-plus", "post_logout_redirect_uri": "https://evil.example/"},
    ),
    ("post_logout_redirect_uri is not registered for this client", {"post_logout_redirect_uri": FAREWELL}),
    ("state is longer than 1024 characters", {"state": "s" * 1025}),
]


@pytest.mark.parametrize(("text", "given"), REFUSALS)
def test_logout_refuses(world: World, angela: Person, text: str, given: dict[str, object]) -> None:
    if given.get("id_token_hint") == "":
        given = {**given, "id_token_hint": id_token(world, angela, "fc-plus")}
    there = httpx.get(f"{world.origin}/end_session", params=given)  # type: ignore[arg-type]
    assert there.status_code == 400 and text in there.text and "location" not in there.headers


@pytest.mark.parametrize("header", [[], "HS256", 7, None, {"alg": ["HS256"]}, {"alg": None}, {"kid": {}}])
@pytest.mark.parametrize("client", ["fc", "fc-plus"])
def test_headers_that_are_none_are_no_hints(world: World, client: str, header: object) -> None:
    payload = {"aud": client, "iss": world.origin, "auth_time": 1}
    hint = ".".join(jose.b64(json.dumps(part).encode()) for part in (header, payload, "signature"))
    assert end(world, id_token_hint=hint).status_code == 400


def test_every_check_of_logout_has_its_refusal() -> None:
    assert {check.text for check in logout.CHECKS} == {case[0] for case in REFUSALS}


def test_algorithms_are_not_confused(world: World, angela: Person) -> None:
    """An HS256 token keyed with the public key, or with another client's algorithm, is no hint (RFC 8725 §2.1)."""
    es, hs = id_token(world, angela, "fc-plus"), id_token(world, angela, "fc")
    for hint, client in ((es, "fc"), (hs, "fc-plus")):
        swapped = jose.unpack(es, "JWT").json() | {"aud": client}
        body = jose.b64(json.dumps(swapped).encode())
        head, _, signature = hint.split(".")
        assert end(world, id_token_hint=f"{head}.{body}.{signature}").status_code == 400


def test_no_error_description_leaves_ascii(world: World) -> None:
    there = Browser(world).open(prompt="none")
    assert values(there.headers["location"])["error_description"].isascii()

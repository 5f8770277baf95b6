"""The token and userinfo endpoints: who may redeem a code, once, and what a replay takes back."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import quote_plus

import httpx
import pytest
from client_profiles import OF_DIRECT
from hypothesis import given, settings
from hypothesis import strategies as st
from provider_world import CALLBACK, SECRET, Browser, Person, World, enrol, redeem, sign_in, userinfo

from alicem import jose
from alicem.provider import tokens
from alicem.provider.checks import ProtocolError
from alicem.provider.client_authentication import by_secret
from alicem.provider.clients import Client
from alicem.provider.parameters import Given
from alicem.provider.profiles import PROFILES

VERIFIER = "v" * 64
CHALLENGE = jose.b64(hashlib.sha256(VERIFIER.encode()).digest())

ANY_CLIENT = Client(
    client_id="c",
    name="C",
    profile=PROFILES["franceconnect"],
    secret="s",
    redirect_uris=(CALLBACK,),
    post_logout_redirect_uris=(),
    auth=PROFILES["franceconnect"].auth,
    id_token_alg="HS256",
    userinfo="json",
    encryption_alg=None,
    sector="s",
    scopes=frozenset({"openid"}),
)

REQUESTS = [
    ("grant_type is missing", "invalid_request", {"grant_type": None}),
    ("grant_type is authorization_code, nothing else", "unsupported_grant_type", {"grant_type": "password"}),
    ("grant_type is authorization_code, nothing else", "unsupported_grant_type", {"grant_type": "refresh_token"}),
    ("code is missing", "invalid_request", {"code": ""}),
    ("redirect_uri is missing", "invalid_request", {"redirect_uri": None}),
    ("not a code of this server", "invalid_grant", {"code": "not base64url!"}),
    ("not a code of this server", "invalid_grant", {"code": "AAAA"}),
    ("the code is unknown, used or expired", "invalid_grant", {"code": jose.b64(bytes(32))}),
]
GRANTS = [
    ("the code was given to another client", {}, {"client_id": "other"}),
    ("redirect_uri is not the one of the authorization request", {}, {"redirect_uri": CALLBACK + "x"}),
    ("code_verifier without code_challenge: a downgrade", {}, {"code_verifier": VERIFIER}),
    (
        "code_verifier does not match",
        {"code_challenge": CHALLENGE, "code_challenge_method": "S256"},
        {"code_verifier": "w" * 64},
    ),
    ("code_verifier does not match", {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}, {}),
]


def refused(answer: httpx.Response, error: str, text: str, status: int = 400) -> bool:
    assert answer.headers["cache-control"] == "no-store"
    return (answer.status_code, answer.json()) == (status, {"error": error, "error_description": text})


@pytest.mark.parametrize(("text", "error", "changes"), REQUESTS)
def test_requests_refused(world: World, text: str, error: str, changes: dict[str, str | None]) -> None:
    assert refused(redeem(world, jose.b64(bytes(32)), **changes), error, text)


@pytest.mark.parametrize(("text", "asked", "changes"), GRANTS)
def test_grants_refused_and_the_code_is_gone(
    world: World, angela: Person, browser: Browser, text: str, asked: dict[str, str], changes: dict[str, str]
) -> None:
    code = sign_in(angela, browser, **asked)["code"]
    assert refused(redeem(world, code, **changes), "invalid_grant", text)
    again = redeem(world, code, **({"code_verifier": VERIFIER} if asked else {}))
    assert refused(again, "invalid_grant", "the code is unknown, used or expired")


def test_every_check_has_its_refusal() -> None:
    assert {check.text for check in tokens.CHECKS} - OF_DIRECT <= {case[0] for case in REQUESTS}
    assert {check.text for check in tokens.GRANT_CHECKS} - OF_DIRECT == {case[0] for case in GRANTS}


def test_pkce_is_honoured(world: World, angela: Person, browser: Browser) -> None:
    code = sign_in(angela, browser, nonce=None, code_challenge=CHALLENGE, code_challenge_method="S256")["code"]
    tokens = redeem(world, code, code_verifier=VERIFIER).json()
    payload = jose.unpack(tokens["id_token"], "JWT").json()
    assert "nonce" not in payload


def basic(client_id: str, secret: str) -> dict[str, str]:
    joined = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": "Basic " + base64.b64encode(joined.encode()).decode()}


visible = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=40)


@given(visible, visible)
@settings(deadline=None)
def test_any_identifier_and_secret_come_through_a_basic_header(client_id: str, secret: str) -> None:
    """RFC 6749 §2.3.1: each is form-url-encoded by itself, so a colon in one is none of the header."""
    made = replace(ANY_CLIENT, client_id=client_id, secret=secret)
    [authorization] = basic(client_id, secret).values()
    assert by_secret(Given({}), authorization, {client_id: made}) is made
    for wrong in (secret + "x", secret[:-1], ""):
        with pytest.raises(ProtocolError):
            by_secret(Given({}), basic(client_id, wrong)["Authorization"], {client_id: made})


def post(world: World, headers: dict[str, str], **form: str) -> httpx.Response:
    return httpx.post(f"{world.origin}/token", data=form, headers=headers)


def test_basic_is_form_url_decoded(world: World, angela: Person, browser: Browser) -> None:
    code = sign_in(angela, browser)["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    assert post(world, basic("fc-plus", SECRET), **form).status_code == 200


@pytest.mark.parametrize(
    ("headers", "form", "error"),
    [
        ({}, {}, "invalid_client"),
        ({}, {"client_id": "fc-plus", "client_secret": "wrong"}, "invalid_client"),
        ({}, {"client_id": "fc-plus"}, "invalid_client"),
        ({}, {"client_id": "nobody", "client_secret": SECRET}, "invalid_client"),
        ({}, {"client_id": "nobody", "client_secret": "0" * 64}, "invalid_client"),
        (basic("fc-plus", "wrong"), {}, "invalid_client"),
        ({"Authorization": "Basic !!!"}, {}, "invalid_client"),
        ({"Authorization": "Basic " + base64.b64encode(b"nocolon").decode()}, {}, "invalid_client"),
        ({"Authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()}, {}, "invalid_client"),
        ({"Authorization": "Bearer abc"}, {}, "invalid_client"),
        (basic("fc-plus", SECRET), {"client_secret": SECRET}, "invalid_request"),
        (basic("fc-plus", SECRET), {"client_id": "other"}, "invalid_request"),
        ({}, {"client_assertion_type": "x", "client_assertion": "y"}, "invalid_client"),
    ],
)
def test_clients_refused(world: World, headers: dict[str, str], form: dict[str, str], error: str) -> None:
    answer = post(world, headers, **{"grant_type": "authorization_code", "code": jose.b64(bytes(32)), **form})
    assert answer.json()["error"] == error
    assert answer.status_code == (401 if error == "invalid_client" else 400)
    challenged = bool(headers) and error == "invalid_client"
    assert ("www-authenticate" in answer.headers) == challenged


def test_repeated_and_foreign_forms_are_refused(world: World) -> None:
    address = f"{world.origin}/token"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for content, headers in ((b"code=a&code=b", kind), (b"{}", {}), (b"x=" + b"y" * 9000, kind), (b"a=%ff", kind)):
        answer = httpx.post(address, content=content, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert httpx.get(address).status_code == 405


def test_a_code_lives_thirty_seconds(own_world: World) -> None:
    code = sign_in(enrol(own_world), Browser(own_world))["code"]
    own_world.clock.advance(31)
    assert redeem(own_world, code).json()["error"] == "invalid_grant"


def test_an_access_token_lives_two_minutes(own_world: World) -> None:
    token = redeem(own_world, sign_in(enrol(own_world), Browser(own_world))["code"]).json()["access_token"]
    own_world.clock.advance(121)
    assert userinfo(own_world, token).status_code == 401


def test_a_replayed_code_takes_back_what_it_gave(world: World, angela: Person, browser: Browser) -> None:
    code = sign_in(angela, browser)["code"]
    token = redeem(world, code).json()["access_token"]
    assert redeem(world, code).json()["error"] == "invalid_grant"
    assert userinfo(world, token).status_code == 401


def test_of_many_redemptions_at_once_one_wins(world: World, angela: Person, browser: Browser) -> None:
    code = sign_in(angela, browser)["code"]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: redeem(world, code), range(16)))
    winners = [one for one in answers if one.status_code == 200]
    assert len(winners) == 1 and all(one.json()["error"] == "invalid_grant" for one in answers if one not in winners)
    assert userinfo(world, winners[0].json()["access_token"]).status_code == 401  # the others were replays


def test_of_many_readings_at_once_one_wins(world: World, angela: Person, browser: Browser) -> None:
    token = redeem(world, sign_in(angela, browser)["code"]).json()["access_token"]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: userinfo(world, token).status_code, range(16)))
    assert sorted(answers) == [200] + [401] * 15


@pytest.mark.parametrize(
    "authorization", [None, "Basic abc", "Bearer", "Bearer !", "Bearer AAAA", "Bearer " + "A" * 43]
)
def test_userinfo_refuses(world: World, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for method in ("GET", "POST"):
        answer = httpx.request(method, f"{world.origin}/userinfo", headers=headers)
        assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Bearer ")
        names_error = authorization is not None and authorization.startswith("Bearer ")
        assert ('error="invalid_token"' in answer.headers["www-authenticate"]) == names_error

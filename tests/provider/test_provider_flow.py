"""A whole sign-in from outside: browser, phone, client."""

from __future__ import annotations

import hashlib

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey
from provider_world import (
    CALLBACK,
    FC,
    SECRET,
    Browser,
    Person,
    World,
    approve,
    redeem,
    request,
    sign_in,
    userinfo,
    values,
)

from alicem import jose

EXPECTED = {
    "given_name": "Angela Claire Louise",
    "family_name": "DUBOIS",
    "birthdate": "1962-08-24",
    "gender": "female",
    "birthplace": "75107",
    "birthcountry": "99100",
    "email": "angela.dubois@courriel.example",
    "preferred_username": "Ledoux-Dûment",
}


def test_a_person_signs_in_and_the_client_gets_exactly_what_it_asked(
    world: World, angela: Person, browser: Browser
) -> None:
    back = sign_in(angela, browser, state="the-state", nonce="n" * 32)
    assert back.keys() == {"code", "state", "iss"} and back["state"] == "the-state" and back["iss"] == world.origin
    answer = redeem(world, back["code"])
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    tokens = answer.json()
    assert tokens["token_type"] == "Bearer" and 60 < tokens["expires_in"] <= 120
    keys = KeySet.import_key_set(httpx.get(f"{world.origin}/jwks").json())
    decoded = jwt.decode(tokens["id_token"], keys, algorithms=["ES256"])
    claims = decoded.claims
    assert claims["iss"] == world.origin and claims["aud"] == "fc-plus" and claims["nonce"] == "n" * 32
    assert claims["acr"] == "eidas2" and claims["amr"] == ["swk", "pin", "mfa"] and "nbf" not in claims
    assert claims["at_hash"] == jose.b64(hashlib.sha256(tokens["access_token"].encode()).digest()[:16])
    assert claims["iat"] >= claims["auth_time"] and not claims.keys() & EXPECTED.keys()
    told = userinfo(world, tokens["access_token"])
    assert told.json() == {"sub": claims["sub"], **EXPECTED}
    assert userinfo(world, tokens["access_token"]).status_code == 401


def test_the_python_phone_signs_in(world: World, angela: Person, browser: Browser) -> None:
    browser.open()
    assert approve(angela, browser) == "done"
    assert "code" in browser.finish()


def test_hs256_for_a_client_that_is_registered_so(world: World, angela: Person, browser: Browser) -> None:
    back = sign_in(angela, browser, client_id="fc", scope=FC)
    tokens = redeem(world, back["code"], client_id="fc").json()
    claims = jwt.decode(tokens["id_token"], OctKey.import_key(SECRET), algorithms=["HS256"]).claims
    assert claims["aud"] == "fc"
    assert userinfo(world, tokens["access_token"]).json()["birthplace"] == "75107"


def test_openid_alone_gives_a_pseudonym(world: World, angela: Person) -> None:
    """Anonymous: nothing is disclosed by the phone, nothing but `sub` reaches the client, and another sector sees another one."""
    subjects = []
    for client in ("fc-plus", "other"):
        back = sign_in(angela, Browser(world), client_id=client, scope="openid")
        token = redeem(world, back["code"], client_id=client).json()["access_token"]
        told = userinfo(world, token).json()
        assert told.keys() == {"sub"}
        subjects.append(told["sub"])
    assert len(set(subjects)) == 2


def test_scopes_beyond_the_client_are_not_given(world: World, angela: Person, browser: Browser) -> None:
    back = sign_in(angela, browser, client_id="other", scope="openid profile email unknown")
    tokens = redeem(world, back["code"], client_id="other").json()
    assert tokens["scope"] == "openid email"
    assert userinfo(world, tokens["access_token"]).json().keys() == {"sub", "email"}


def test_the_redirect_keeps_the_query_of_its_address(world: World, angela: Person, browser: Browser) -> None:
    answer = browser.open(redirect_uri="https://fc.example/other?kept=1")
    assert answer.status_code == 200
    there = browser.get(f"/signin/cancel?t={browser.signin}").headers["location"]
    assert values(there)["kept"] == "1" and values(there)["error"] == "access_denied"


def test_authorization_by_post(world: World, browser: Browser) -> None:
    answer = browser.http.post(f"{world.origin}/authorize", data=request())
    assert answer.status_code == 200 and "__Host-signin=" in answer.headers["set-cookie"]
    assert CALLBACK not in answer.text

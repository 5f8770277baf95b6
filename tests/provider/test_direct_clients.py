"""Services without a broker: a key in the place of a secret, requests pushed, tokens bound to a key; each check with its refusal."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from client_profiles import CHALLENGE, DIRECT, PREFIX, VERIFIER, Direct, published, tables
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from provider_world import CALLBACK, PLAIN_SECRET, Person, World, enrol, make_world, sha256
from sqlalchemy import select

from alicem import jose
from alicem.provider import client_assertions, dpop, one_time, pushed_requests

NONE = jose.b64(bytes(32))
OTHER = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = make_world(tmp_path_factory.mktemp("direct"))
    file = world.settings.service.clients
    file.write_text(file.read_text() + tables("http://127.0.0.1:9/keys"))
    Direct(world, ec.generate_private_key(ec.SECP256R1())).write_keys(world.folder)
    yield world
    world.close()


@pytest.fixture(scope="module")
def direct(world: World) -> Direct:
    made = Direct(world, ec.generate_private_key(ec.SECP256R1()))
    made.write_keys(world.folder)
    world.restart()
    return made


@pytest.fixture(scope="module")
def angela(world: World) -> Person:
    return enrol(world)


def refused(answer: httpx.Response, error: str, text: str) -> None:
    assert (answer.json()["error"], answer.json()["error_description"]) == (error, text)
    assert answer.status_code == (401 if error == "invalid_client" else 400)
    assert answer.headers["cache-control"] == "no-store"


# The client's assertion

OWN_KEY = {"jwk": jose.public_jwk(OTHER.public_key())}
NOT_ES256 = "the assertion is no JWT signed with ES256"
BRINGS = "the assertion brings a key of its own or asks for an extension"
ASSERTIONS: list[tuple[str, dict[str, Any]]] = [
    (BRINGS, {"header": OWN_KEY, "key": OTHER}),
    (BRINGS, {"header": {"jku": "https://evil.example/"}, "key": OTHER}),
    (BRINGS, {"header": {"x5c": ["AAAA"]}}),
    (BRINGS, {"header": {"x5u": "https://evil.example/"}}),
    (BRINGS, {"header": {"b64": False}}),
    ("sub is not a client that proves a key", {"sub": "nobody", "iss": "nobody"}),
    ("sub is not a client that proves a key", {"sub": "fc-plus", "iss": "fc-plus"}),
    ("sub is not a client that proves a key", {"sub": ["direct"]}),
    ("sub is not a client that proves a key", {"sub": None}),
    ("iss is not sub", {"iss": "fc-plus"}),
    ("iss is not sub", {"iss": None}),
    ("aud is not this issuer, as one string", {"aud": "https://elsewhere.example"}),
    ("aud is not this issuer, as one string", {"aud": None}),
    ("exp is missing, over, or more than 300 s ahead", {"exp": None}),
    ("exp is missing, over, or more than 300 s ahead", {"exp": 1}),
    ("exp is missing, over, or more than 300 s ahead", {"exp": 10**12}),
    ("exp is missing, over, or more than 300 s ahead", {"exp": float("nan")}),
    ("exp is missing, over, or more than 300 s ahead", {"exp": float("inf")}),
    ("exp is missing, over, or more than 300 s ahead", {"exp": True}),
    ("exp is missing, over, or more than 300 s ahead", {"exp": "9"}),
    ("iat or nbf is no time, or more than 10 s ahead", {"iat": 10**12}),
    ("iat or nbf is no time, or more than 10 s ahead", {"nbf": 10**12}),
    ("iat or nbf is no time, or more than 10 s ahead", {"nbf": "now"}),
    ("jti is not a text of 1 to 256 printable characters", {"jti": None}),
    ("jti is not a text of 1 to 256 printable characters", {"jti": ""}),
    ("jti is not a text of 1 to 256 printable characters", {"jti": 7}),
    ("jti is not a text of 1 to 256 printable characters", {"jti": "x" * 257}),
    ("jti is not a text of 1 to 256 printable characters", {"jti": "a\0b"}),
    ("the assertion is not signed by a key of this client", {"key": OTHER}),
    ("the assertion is not signed by a key of this client", {"header": {"kid": "another"}}),
    (NOT_ES256, {"header": {"alg": "ES384"}}),
    (NOT_ES256, {"header": {"alg": "none"}}),
    (NOT_ES256, {"header": {"typ": "dpop+jwt"}}),
    (NOT_ES256, {"header": {"typ": "kb+jwt"}}),
    (NOT_ES256, {"header": {"crit": ["exp"]}}),
]


def asserted(direct: Direct, assertion: str | None, **form: str | None) -> httpx.Response:
    body = {"grant_type": "authorization_code", "code": NONE, "redirect_uri": CALLBACK, **form}
    return direct.post("/token", {"client_assertion": assertion, **body}, {"DPoP": direct.proof("/token")})


@pytest.mark.parametrize(("text", "changes"), ASSERTIONS)
def test_assertions_refused(direct: Direct, text: str, changes: dict[str, Any]) -> None:
    refused(asserted(direct, direct.assertion(**changes)), "invalid_client", text)


def test_every_check_of_assertions_has_its_refusal() -> None:
    found = {text for text, _ in ASSERTIONS} | {"client_id is not the one of the assertion"}
    assert {check.text for check in client_assertions.CHECKS} <= found


def test_an_assertion_for_another_client_id_is_refused(direct: Direct) -> None:
    answer = asserted(direct, direct.assertion(), client_id="other")
    refused(answer, "invalid_client", "client_id is not the one of the assertion")


def test_audiences_that_openid_core_knows_are_not_taken(direct: Direct) -> None:
    """FAPI 2.0 §5.3.2.1: neither the token endpoint nor a list."""
    origin = direct.world.origin
    for aud in (f"{origin}/token", [origin], [origin, "https://evil.example"], origin + "/"):
        refused(asserted(direct, direct.assertion(aud=aud)), "invalid_client", "aud is not this issuer, as one string")


@pytest.mark.parametrize("assertion", [None, "", "a.b", "a.b.c", "a.b.c.d.e", "e30.e30.", "x" * 5000])
def test_what_is_no_assertion(direct: Direct, assertion: str | None) -> None:
    refused(asserted(direct, assertion), "invalid_client", NOT_ES256)


def test_the_public_key_is_no_secret(direct: Direct) -> None:
    """RFC 8725 §2.1: an HMAC keyed with the public key, in its every form, or no signature, is refused."""
    head, body, _ = direct.assertion().split(".")
    public = direct.key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, json.dumps(jose.public_jwk(public)).encode()):
        for alg in ("HS256", "ES256"):
            named = jose.b64(json.dumps({"alg": alg, "typ": "JWT", "kid": "s1"}).encode())
            mac = hmac.digest(secret, f"{named}.{body}".encode(), "sha256")
            assert asserted(direct, f"{named}.{body}.{jose.b64(mac)}").json()["error"] == "invalid_client"
    assert asserted(direct, f"{head}.{body}.").json()["error"] == "invalid_client"


def test_forms_of_an_assertion_that_are_taken(direct: Direct) -> None:
    for header in ({}, {"kid": None}, {"typ": "client-authentication+jwt"}, {"typ": None}):
        answer = asserted(direct, direct.assertion(header))
        refused(answer, "invalid_grant", "the code is unknown, used or expired")


def test_another_way_beside_an_assertion_is_refused(direct: Direct) -> None:
    answer = asserted(direct, direct.assertion(), client_secret=PLAIN_SECRET)
    refused(answer, "invalid_request", "two ways of authentication at once")
    bad = direct.post("/token", {"client_assertion_type": "saml"})
    refused(bad, "invalid_client", "client_assertion_type is jwt-bearer, nothing else")


def test_a_direct_client_has_no_secret(world: World) -> None:
    """Nor is the empty one right."""
    for secret in ("", "0" * 64, PLAIN_SECRET):
        form = {"client_id": DIRECT, "client_secret": secret, "grant_type": "authorization_code", "code": NONE}
        answer = httpx.post(f"{world.origin}/token", data=form)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_an_assertion_is_good_once_at_whatever_worker(direct: Direct) -> None:
    """Its identifier is held in the database: of many at once one is taken."""
    assertion = direct.assertion()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: asserted(direct, assertion).json()["error"], range(8)))
    assert sorted(answers) == ["invalid_client"] * 7 + ["invalid_grant"]
    direct.world.restart()  # another worker
    refused(asserted(direct, assertion), "invalid_client", "the assertion was used before")


# Pushed requests

UNPUSHED = "this client pushes its requests to the pushed_authorization_request_endpoint"
PUSHED: list[tuple[str, str, dict[str, str | None]]] = [
    ("invalid_request", "request_uri cannot be pushed", {"request_uri": PREFIX + NONE}),
    ("invalid_request", "this client sends a code_challenge", {"code_challenge": None, "code_challenge_method": None}),
    (
        "invalid_request",
        "code_challenge is 43 characters of base64url with code_challenge_method S256",
        {"code_challenge": VERIFIER, "code_challenge_method": "plain"},
    ),
    (
        "invalid_request",
        "redirect_uri is missing, repeated or not registered for this client",
        {"redirect_uri": CALLBACK + "/"},
    ),
    ("invalid_request", "redirect_uri is missing, repeated or not registered for this client", {"redirect_uri": None}),
    ("request_not_supported", "request objects are not taken", {"request": "e30.e30."}),
    ("unsupported_response_type", "response_type is code, nothing else", {"response_type": "token"}),
    ("invalid_client", "client_id is not the one of the assertion", {"client_id": "fc-plus"}),
]


@pytest.mark.parametrize(("error", "text", "changes"), PUSHED)
def test_pushes_refused(direct: Direct, error: str, text: str, changes: dict[str, str | None]) -> None:
    refused(direct.push(**changes), error, text)


def test_every_check_of_pushes_has_its_refusal() -> None:
    dpop_jkt = "dpop_jkt is not of the key that is proven"  # below
    assert {check.text for check in pushed_requests.CHECKS} <= {case[1] for case in PUSHED} | {dpop_jkt}


def test_what_is_pushed_is_named_once(direct: Direct) -> None:
    answer = direct.push()
    assert answer.status_code == 201 and answer.json()["expires_in"] == 90
    assert answer.headers["cache-control"] == "no-store"
    name = answer.json()["request_uri"]
    assert name.startswith(PREFIX) and len(jose.unb64(name.removeprefix(PREFIX))) == 32
    assert opened(direct, name).status_code == 200
    again = opened(direct, name)
    assert again.status_code == 400 and "location" not in again.headers


def test_a_page_loaded_again_is_the_same_sign_in(direct: Direct) -> None:
    name, browser = direct.begin(), direct.browser()
    address = "/authorize?" + urlencode({"client_id": DIRECT, "request_uri": name})
    browser.read(browser.get(address))
    begun = browser.signin
    assert browser.get(address).headers["location"] == "/signin"
    browser.read(browser.get("/signin"))
    assert browser.signin == begun
    assert browser.get(address.replace(f"client_id={DIRECT}", "client_id=fc-plus")).status_code == 400
    browser.get(f"/signin/cancel?t={begun}")
    assert browser.get(address).status_code == 400


def opened(direct: Direct, name: str, client_id: str = DIRECT, **more: str) -> httpx.Response:
    return direct.browser().get("/authorize?" + urlencode({"client_id": client_id, "request_uri": name, **more}))


def test_only_the_pushed_parameters_count(direct: Direct) -> None:
    """RFC 9126 §4: what the browser brings beside the name is not looked at."""
    name, browser = direct.begin(state="pushed"), direct.browser()
    brought = {"state": "brought", "prompt": "none", "redirect_uri": "https://evil.example/"}
    page = browser.get("/authorize?" + urlencode({"client_id": DIRECT, "request_uri": name, **brought}))
    browser.read(page)
    there = httpx.URL(browser.get(f"/signin/cancel?t={browser.signin}").headers["location"])
    assert str(there).startswith(CALLBACK) and there.params["state"] == "pushed"


def test_a_direct_client_cannot_ask_without_pushing(direct: Direct) -> None:
    asked = {
        "client_id": DIRECT,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    answer = direct.browser().get("/authorize?" + urlencode(asked))
    assert httpx.URL(answer.headers["location"]).params["error_description"] == UNPUSHED


def test_another_client_neither_opens_nor_spends_a_name(direct: Direct) -> None:
    name = direct.begin()
    for stranger in ("fc-plus", "nobody", ""):
        assert opened(direct, name, stranger).status_code == 400
    assert opened(direct, name).status_code == 200


@pytest.mark.parametrize(
    "name", [PREFIX, PREFIX + "!", PREFIX + NONE, "urn:other", "https://evil.example/", "x" * 4000]
)
def test_names_of_nothing(direct: Direct, name: str) -> None:
    answer = opened(direct, name)
    assert answer.status_code == 400 and "location" not in answer.headers


def test_a_name_lives_ninety_seconds(direct: Direct) -> None:
    clock = direct.world.clock
    clock.hold()
    try:
        name, late = direct.begin(), direct.begin()
        clock.advance(89)
        assert opened(direct, name).status_code == 200
        clock.advance(1)
        assert opened(direct, late).status_code == 400
    finally:
        clock.advance(-90)
        clock.held = None


def test_a_federation_may_push_with_its_secret(direct: Direct) -> None:
    world = direct.world
    form = {
        "client_id": "plain-fc",
        "client_secret": PLAIN_SECRET,
        "scope": "openid",
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "nonce": "n",
    }
    name = httpx.post(f"{world.origin}/par", data=form).json()["request_uri"]
    assert opened(direct, name, "plain-fc").status_code == 200
    wrong = httpx.post(f"{world.origin}/par", data={**form, "client_secret": "wrong"})
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    assert httpx.get(f"{world.origin}/par").status_code == 405


def test_nothing_pushed_is_in_the_database_in_clear_and_all_of_it_goes(direct: Direct) -> None:
    state = "a-state-long-enough-to-be-found"
    name = direct.begin(state=state)
    data = b"".join(file.read_bytes() for file in direct.world.folder.glob("alicem.db*"))
    assert state.encode() not in data and name.removeprefix(PREFIX).encode() not in data

    def count(connection: Any) -> int:
        tables = (one_time.pushed_requests, one_time.spent_proofs)
        return sum(len(connection.execute(select(table)).all()) for table in tables)

    assert direct.world.do(count) > 0
    direct.world.do(lambda c: one_time.expire(c, direct.world.clock() + timedelta(seconds=400)))
    assert direct.world.do(count) == 0


def test_forms_that_cannot_be_pushed(direct: Direct) -> None:
    """Too long, too many fields, twice the same, control characters, another kind: named, and never a crash."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    address = f"{direct.world.origin}/par"
    for content, headers in (
        (b"scope=openid&scope=email", kind),
        (b"client_assertion=a&client_assertion=b", kind),
        (b"x=" + b"y" * 9000, kind),
        (b"&".join(b"a%d=1" % number for number in range(41)), kind),
        (b"state=%0d%0aSet-Cookie:%20a=b", kind),
        (b"nonce=%00", kind),
        (b"{}", {"Content-Type": "application/json"}),
    ):
        answer = httpx.post(address, content=content, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_nothing_that_is_pushed_breaks_out_of_a_header(direct: Direct) -> None:
    """RFC 9700 §4.11: state comes back escaped; an address with more in it is another address."""
    browser = direct.browser()
    name = direct.begin(state="a&code=stolen#x?y=z")
    browser.read(browser.get("/authorize?" + urlencode({"client_id": DIRECT, "request_uri": name})))
    there = browser.get(f"/signin/cancel?t={browser.signin}").headers["location"]
    assert httpx.URL(there).params["state"] == "a&code=stolen#x?y=z" and "code=" not in there.replace("%", "_")
    for changed in (CALLBACK + "%0d%0aX: y", CALLBACK + "\\evil", CALLBACK + "?x=y"):
        refused(
            direct.push(redirect_uri=changed),
            "invalid_request",
            "redirect_uri is missing, repeated or not registered for this client",
        )


def test_a_client_may_turn_its_published_key(direct: Direct) -> None:
    """A `kid` that was not there before is looked for at the client's address."""
    world = direct.world
    with published() as at:
        table = tables(at.address).partition("[direct]")[2].partition("[plus")[0]
        file = world.settings.service.clients
        before = file.read_text()
        file.write_text(before + "[turning]" + table.replace('jwks_file = "direct.jwks"', f'jwks_uri = "{at.address}"'))
        world.restart()
        try:
            for kid, key in (("s1", direct.key), ("s2", OTHER)):
                at.show({**jose.public_jwk(key.public_key()), "use": "sig", "alg": "ES256", "kid": kid})
                named = direct.assertion({"kid": kid}, key, iss="turning", sub="turning")
                refused(asserted(direct, named), "invalid_grant", "the code is unknown, used or expired")
                world.clock.advance(11)
            assert at.hits == 2
        finally:
            file.write_text(before)
            world.clock.advance(-22)
            world.restart()


# The key that tokens are bound to

NO_PROOF = "not a proof signed with ES256 by the key in it"
PROOFS: list[tuple[str, dict[str, Any]]] = [
    ("htm is another method", {"htm": "GET"}),
    ("htm is another method", {"htm": None}),
    ("htu is another address", {"htu": "https://elsewhere.example/token"}),
    ("htu is another address", {"htu": None}),
    ("htu is another address", {"htu": ["x"]}),
    ("iat is not within 60 s before and 10 s after now", {"iat": 1}),
    ("iat is not within 60 s before and 10 s after now", {"iat": 10**12}),
    ("iat is not within 60 s before and 10 s after now", {"iat": float("nan")}),
    ("iat is not within 60 s before and 10 s after now", {"iat": None}),
    ("jti is not a text of 1 to 256 printable characters", {"jti": None}),
    ("jti is not a text of 1 to 256 printable characters", {"jti": "x" * 257}),
    (NO_PROOF, {"header": OWN_KEY}),
    (NO_PROOF, {"header": {"jwk": None}}),
    (NO_PROOF, {"header": {"jwk": {**OWN_KEY["jwk"], "d": "AAAA"}}, "key": OTHER}),
    (NO_PROOF, {"header": {"jwk": {"kty": "oct", "k": "AAAA"}}}),
    (NO_PROOF, {"header": {"typ": "JWT"}}),
    (NO_PROOF, {"header": {"alg": "none"}}),
    (NO_PROOF, {"header": {"crit": ["htm"]}}),
]


@pytest.mark.parametrize(("text", "changes"), PROOFS)
def test_proofs_refused(direct: Direct, text: str, changes: dict[str, Any]) -> None:
    refused(direct.redeem(NONE, direct.proof("/token", **changes)), "invalid_dpop_proof", text)


def test_every_check_of_proofs_has_its_refusal() -> None:
    assert {check.text for check in dpop.CHECKS} - {text for text, _ in PROOFS} == {"ath is not of this access token"}


def test_a_direct_client_has_to_prove_a_key(direct: Direct) -> None:
    form = {"grant_type": "authorization_code", "code": NONE, "redirect_uri": CALLBACK}
    text = "this client binds its tokens to a key: a DPoP proof is missing"
    refused(direct.post("/token", form), "invalid_dpop_proof", text)
    twice = [("DPoP", direct.proof("/token")), ("DPoP", direct.proof("/token"))]
    refused(direct.post("/token", form, twice), "invalid_dpop_proof", "more than one proof")


def test_a_proof_is_good_once(direct: Direct) -> None:
    proof = direct.proof("/token")
    refused(direct.redeem(NONE, proof), "invalid_grant", "the code is unknown, used or expired")
    refused(direct.redeem(NONE, proof), "invalid_dpop_proof", "the proof was used before")
    headers = {"DPoP": direct.proof("/par")}
    assert direct.push(headers).status_code == 201
    refused(direct.push(headers), "invalid_dpop_proof", "the proof was used before")


def test_a_pushed_request_binds_its_code_to_the_key(direct: Direct, angela: Person) -> None:
    thumbprint = jose.thumbprint(direct.proving.public_key())
    refused(
        direct.push({"DPoP": direct.proof("/par")}, dpop_jkt="t" * 43),
        "invalid_dpop_proof",
        "dpop_jkt is not of the key that is proven",
    )
    code = direct.sign_in(angela, dpop_jkt=thumbprint)["code"]
    thief = direct.redeem(code, direct.proof("/token", key=OTHER))
    refused(thief, "invalid_grant", "the code is bound to another key")


STOLEN: dict[str, Mapping[str, Any]] = {
    "by another key": {"key": OTHER},
    "for another token": {"ath": sha256("x")},
    "for no token": {"ath": None},
    "of another endpoint": {"htu": "https://elsewhere.example/userinfo"},
}


@pytest.fixture
def token(direct: Direct, angela: Person) -> str:
    given = direct.redeem(direct.sign_in(angela)["code"]).json()
    assert given["token_type"] == "DPoP"
    return str(given["access_token"])


def test_who_has_the_token_without_its_key_has_nothing(direct: Direct, token: str) -> None:
    for changes in list(STOLEN.values())[1:]:
        answer = direct.userinfo(token, **changes)
        assert answer.status_code == 401 and 'error="invalid_dpop_proof"' in answer.headers["www-authenticate"]
    answer = direct.userinfo(token, **STOLEN["by another key"])
    assert answer.status_code == 401 and 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert direct.userinfo(token).status_code == 401  # it was shown by a thief, so it is nobody's


def test_a_bound_token_is_no_bearer_token(direct: Direct, token: str) -> None:
    stolen = httpx.get(f"{direct.world.origin}/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert stolen.status_code == 401 and stolen.headers["www-authenticate"].startswith("Bearer ")


def test_the_scheme_of_bound_tokens_wants_a_proof(direct: Direct) -> None:
    answer = httpx.get(f"{direct.world.origin}/userinfo", headers={"Authorization": f"DPoP {NONE}"})
    assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("DPoP ")


def test_our_own_tokens_are_neither_assertions_nor_proofs(direct: Direct, angela: Person) -> None:
    """Cross-JWT confusion (RFC 8725 §2.8): an id token of ours, and each kind of proof in the place of the other."""
    given = direct.redeem(direct.sign_in(angela)["code"]).json()
    assert asserted(direct, given["id_token"]).json()["error"] == "invalid_client"
    assert asserted(direct, direct.proof("/token")).json()["error"] == "invalid_client"
    for wrong in (given["id_token"], direct.assertion()):
        assert direct.redeem(NONE, wrong).json()["error"] == "invalid_dpop_proof"

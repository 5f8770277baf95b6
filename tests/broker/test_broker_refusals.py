"""What the broker does not believe, does not answer, and gives once only."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from broker_peers import ANGELA, Provider, Service, hidden, payload, query
from joserfc.jwk import ECKey, OctKey

Flaw = Callable[[Provider], None]


def in_token(**changes: Any) -> Flaw:
    def flaw(provider: Provider) -> None:
        provider.flaw = lambda claims: claims.update(changes)

    return flaw


def without(name: str) -> Flaw:
    def flaw(provider: Provider) -> None:
        provider.flaw = lambda claims: claims.pop(name)

    return flaw


def in_userinfo(**changes: Any) -> Flaw:
    return lambda provider: provider.claims.update(changes)


def having(**changes: Any) -> Flaw:
    def flaw(provider: Provider) -> None:
        for name, value in changes.items():
            setattr(provider, name, value)

    return flaw


FLAWS: list[tuple[str, Flaw]] = [
    ("provider_iss", in_token(iss="http://elsewhere.example")),
    ("provider_iss", lambda p: in_token(iss=p.issuer + "/")(p)),
    ("provider_aud", in_token(aud="somebody-else")),
    ("provider_aud", in_token(aud=["broker-at-small", "somebody-else"])),
    ("provider_azp", in_token(azp="somebody-else")),
    ("provider_exp", in_token(exp=int(time.time()) - 1)),
    ("provider_exp", without("exp")),
    ("provider_iat", in_token(iat=int(time.time()) + 3600)),
    ("provider_iat", in_token(iat=True)),
    ("provider_nbf", in_token(nbf=int(time.time()) + 3600)),
    ("provider_nonce", in_token(nonce="0" * 64)),
    ("provider_nonce", without("nonce")),
    ("provider_acr", in_token(acr="eidas1")),
    ("provider_acr", in_token(acr="eidas3")),
    ("provider_acr", without("acr")),
    ("provider_sub", in_token(sub="person-é")),
    ("provider_sub", having(sub_at_userinfo="person-2")),
    ("provider_id_token_signature", having(answer_key=ECKey.generate_key("P-256"))),
    ("provider_id_token_signature", having(answer_key=OctKey.import_key("s" * 40))),
    ("provider_issuer", having(discovery_issuer="http://127.0.0.1:9")),
    ("provider_mix_up", having(iss_in_answer="http://127.0.0.1:9")),
    ("provider_claim_unasked", in_userinfo(photo="…")),
    ("provider_claim_unasked", in_userinfo(nationality="FRA")),
    ("provider_claim_family_name", in_userinfo(family_name="")),
    ("provider_claim_given_name", in_userinfo(given_name="x" * 257)),
    ("provider_claim_birthdate", in_userinfo(birthdate="2999-01-01")),
    ("provider_claim_birthdate", in_userinfo(birthdate="1962-02-30")),
    ("provider_claim_gender", in_userinfo(gender="F")),
    ("provider_claim_birthplace", in_userinfo(birthplace="")),
    ("provider_claim_birthplace", in_userinfo(birthcountry="99350")),
    ("provider_claim_birthcountry", in_userinfo(birthcountry="FRA", birthplace="")),
    ("provider_claim_family_name", in_userinfo(family_name="\u202eDubois")),
    ("provider_claim_given_name", in_userinfo(given_name=" ")),
    ("provider_claim_birthplace", in_userinfo(birthplace="75121")),
    ("provider_claim_email", in_userinfo(email="angela")),
    ("provider_claim_email", in_userinfo(email="angéla@courriel.example")),
    ("provider_claim_email", in_userinfo(email="angela@192.0.2.1")),
    ("error_access_denied", having(error="access_denied")),
    ("error_temporarily_unavailable", having(error="temporarily_unavailable")),
    ("error_other", having(error="<script>")),
    ("register_not_found", in_userinfo(family_name="Oubliée", given_name="Agnès")),
    ("register_deceased", in_userinfo(family_name="Défunt", given_name="Agnès")),
]


@pytest.mark.parametrize(("failure", "flaw"), FLAWS, ids=[f"{i}-{name}" for i, (name, _) in enumerate(FLAWS)])
def test_a_flawed_answer_leads_back_to_the_choice(origin: str, provider: Provider, failure: str, flaw: Flaw) -> None:
    flaw(provider)
    service = Service(origin)
    page = service.through_provider(service.begin()) if failure != "provider_issuer" else _refused_at_once(service)
    assert page.url.path == "/choice"
    assert 'role="alert"' in page.text
    assert f"<code data-failure>{failure}" in page.text
    assert "<script>" not in page.text.lower()
    assert "DUBOIS" not in page.text


def _refused_at_once(service: Service) -> httpx.Response:
    answer = service.post("/depart", sign_in=service.begin(), provider="small")
    return service.get(answer.headers["location"])


@pytest.mark.parametrize(
    ("discovery", "failure"),
    [
        ({"token_endpoint": None}, "provider_discovery"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "provider_discovery"),
        ({"jwks_uri": "http://["}, "provider_discovery"),
        ({"userinfo_endpoint": ["http://127.0.0.1"]}, "provider_discovery"),
        ({"padding": "x" * 70_000}, "provider_too_large"),
    ],
)
def test_a_flawed_discovery_leads_back_to_the_choice(
    origin: str, provider: Provider, discovery: dict[str, Any], failure: str
) -> None:
    provider.discovery = discovery
    assert f"<code data-failure>{failure}" in _refused_at_once(Service(origin)).text


def test_after_a_failure_the_person_tries_again(origin: str, provider: Provider) -> None:
    provider.error = "access_denied"
    service = Service(origin)
    page = service.through_provider(service.begin())
    provider.error = None
    again = service.through_provider(hidden(page))
    assert "code" in query(service.post("/decide", sign_in=hidden(again), decision="continue"))


def test_a_rectified_identity_is_what_is_sent(origin: str, provider: Provider) -> None:
    provider.claims |= {"family_name": "Rectifiee", "given_name": "Agnès"}
    service = Service(origin)
    token = service.redeem(service.code()).json()["access_token"]
    assert service.userinfo(token).json()["family_name"] == "RECTIFIÉE"


def test_a_person_with_a_single_name_born_abroad(origin: str, provider: Provider) -> None:
    provider.claims = {k: v for k, v in ANGELA.items() if k not in ("given_name", "birthplace", "preferred_username")}
    provider.claims |= {"birthcountry": "99212", "birthdate": "1980-00-00"}
    service = Service(origin)
    claims = service.userinfo(service.redeem(service.code()).json()["access_token"]).json()
    assert claims.keys() == provider.claims.keys() | {"sub"}


def test_a_code_is_redeemed_once_and_its_replay_revokes_the_token(origin: str) -> None:
    service = Service(origin)
    code = service.code()
    token = service.redeem(code).json()["access_token"]
    assert service.redeem(code).json()["error"] == "invalid_grant"
    assert service.userinfo(token).status_code == 401


def test_parallel_redemptions_have_one_winner(origin: str) -> None:
    service = Service(origin)
    code = service.code()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: service.redeem(code).status_code, range(8)))
    assert sorted(answers) == [200] + [400] * 7


def test_a_token_gives_the_claims_once(origin: str) -> None:
    service = Service(origin)
    token = service.redeem(service.code()).json()["access_token"]
    assert service.userinfo(token).status_code == 200
    assert service.userinfo(token).status_code == 401


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_id": "private-id", "client_secret": Service.secret("private")}, "invalid_grant"),
        ({"redirect_uri": Service.BACK + "/"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"code": "unknown"}, "invalid_grant"),
        ({"code_verifier": "v" * 43}, "invalid_grant"),
    ],
)
def test_the_token_endpoint_refuses(origin: str, changes: dict[str, str], error: str) -> None:
    service = Service(origin)
    answer = service.redeem(service.code(), **changes)
    assert answer.json()["error"] == error and len(answer.json()["error_description"]) > 20
    assert answer.status_code == (401 if error == "invalid_client" else 400)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"scope": "openid photo"}, "invalid_scope"),
        ({"scope": "openid gender"}, "invalid_scope"),
        ({"acr_values": "eidas4"}, "invalid_request"),
        ({"acr_values": None}, "invalid_request"),
        ({"nonce": "short"}, "invalid_request"),
        ({"nonce": "né" * 12}, "invalid_request"),
        ({"state": None}, "invalid_request"),
        ({"state": "a\r\nset-cookie: x=1"}, "invalid_request"),
        ({"state": "a\0"}, "invalid_request"),
        ({"state": "s" * 513}, "invalid_request"),
        ({"prompt": "none"}, "interaction_required"),
        ({"prompt": "create"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "http://127.0.0.1:1/"}, "request_uri_not_supported"),
        ({"code_challenge": "c" * 43}, "invalid_request"),
    ],
)
def test_a_wrong_request_goes_back_to_the_service(origin: str, changes: dict[str, str | None], error: str) -> None:
    service = Service(origin)
    answer = httpx.get(f"{origin}/authorize", params=service.parameters(**changes))
    assert answer.headers["location"].startswith(Service.BACK)
    assert query(answer)["error"] == error
    assert query(answer)["iss"] == origin
    assert changes.get("state") not in query(answer).values()
    (changed,) = changes
    assert changed in query(answer)["error_description"]


@pytest.mark.parametrize(
    "changes",
    [{"client_id": "nobody"}, {"redirect_uri": Service.BACK + "/more"}, {"redirect_uri": None}, {"client_id": None}],
)
def test_an_unknown_service_is_answered_nowhere(origin: str, changes: dict[str, str | None]) -> None:
    answer = httpx.get(f"{origin}/authorize", params=Service(origin).parameters(**changes))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert f"{next(iter(changes))} is missing, repeated or" in answer.text, "its developer reads which"


@pytest.mark.parametrize("more", [{f"more_{number}": "" for number in range(40)}, {"scope": "openid " * 1200}])
def test_what_is_too_much_is_answered_nowhere(origin: str, more: dict[str, str]) -> None:
    answer = httpx.get(f"{origin}/authorize", params=Service(origin).parameters() | more)
    assert answer.status_code == 400 and "location" not in answer.headers


def test_a_parameter_given_twice_is_refused(origin: str) -> None:
    service = Service(origin)
    twice = httpx.get(f"{origin}/authorize", params=[*service.parameters().items(), ("scope", "openid")])
    assert query(twice)["error"] == "invalid_request"
    nowhere = [*service.parameters().items(), ("redirect_uri", "http://evil.example/")]
    assert httpx.get(f"{origin}/authorize", params=nowhere).status_code == 400


def test_pkce_is_held_to_where_it_is_used(origin: str) -> None:
    verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    service = Service(origin)
    for given, status in ((verifier, 200), ("a" * 43, 400), (None, 400)):
        page = service.through_provider(service.begin(code_challenge=challenge, code_challenge_method="S256"))
        code = query(service.post("/decide", sign_in=hidden(page), decision="continue"))["code"]
        assert service.redeem(code, code_verifier=given).status_code == status


def test_another_browser_cannot_go_on(origin: str) -> None:
    service, thief = Service(origin), Service(origin)
    number = service.begin()
    page = service.through_provider(number)
    thief.begin()
    for path in (f"/choice?sign_in={number}", f"/information?sign_in={number}"):
        assert thief.get(path).status_code == 400
    assert thief.post("/decide", sign_in=hidden(page), decision="continue").status_code == 400


def test_an_answer_of_the_provider_is_taken_once_and_by_its_browser(origin: str, provider: Provider) -> None:
    service, thief = Service(origin), Service(origin)
    to_provider = service.post("/depart", sign_in=service.begin(), provider="small")
    back = service.browser.get(to_provider.headers["location"]).headers["location"]
    thief.begin()
    assert thief.get(back).status_code == 400
    assert service.get(back).status_code == 303
    assert service.get(back).status_code == 400


def test_nothing_is_sent_before_the_decision_nor_twice(origin: str) -> None:
    service = Service(origin)
    number = service.begin()
    assert service.post("/decide", sign_in=number, decision="continue").status_code == 400
    service.through_provider(number)
    assert service.post("/decide", sign_in=number, decision="continue").status_code == 303
    assert service.post("/decide", sign_in=number, decision="continue").status_code == 400


def test_a_form_of_another_site_is_refused(origin: str) -> None:
    service = Service(origin)
    number = service.begin()
    answer = httpx.post(
        f"{origin}/depart",
        data={"sign_in": number, "provider": "small"},
        headers={"origin": "http://evil.example", "cookie": f"__Host-broker={service.cookie['__Host-broker']}"},
    )
    assert answer.status_code == 403


def test_only_providers_that_reach_the_level_and_the_service_admits_are_offered(origin: str) -> None:
    offered = Service(origin).get
    for service, changes, seen in (
        (Service(origin), {}, True),
        (Service(origin), {"acr_values": "eidas3"}, False),
        (Service(origin, "closed", "openid"), {}, False),
    ):
        answer = service.get("/authorize?" + str(httpx.QueryParams(service.parameters(**changes))))
        page = service.get(answer.headers["location"])
        assert ("Petit fournisseur" in page.text) is seen
    assert offered("/live").status_code == 200


def test_the_cookie_is_bound_to_the_host(origin: str) -> None:
    answer = httpx.get(f"{origin}/authorize", params=Service(origin).parameters())
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("__host-broker=")
    assert {"secure", "httponly", "samesite=lax", "path=/"} <= {part.strip() for part in cookie.split(";")}


def test_the_database_names_nobody(origin: str, tmp_path: Any) -> None:
    service = Service(origin)
    page = service.through_provider(service.begin())
    files = b"".join(file.read_bytes() for file in tmp_path.glob("broker.db*"))
    assert b"org" not in files and b"town-id" in files
    assert not [value for value in ANGELA.values() if value.encode() in files]
    code = query(service.post("/decide", sign_in=hidden(page), decision="continue"))["code"]
    token = service.redeem(code).json()
    files = b"".join(file.read_bytes() for file in tmp_path.glob("broker.db*"))
    secrets = [code, token["access_token"], payload(token["id_token"])["sub"], *ANGELA.values()]
    assert not [value for value in secrets if value.encode() in files]

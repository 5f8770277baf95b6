"""A person's whole way: service, choice, provider, information, service."""

from __future__ import annotations

import html
import re

import httpx
import pytest
from broker_peers import ANGELA, Clock, Provider, Service, hidden, payload, query
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey

from alicem import broker
from alicem.broker.app import app as application


def listed(page: httpx.Response) -> dict[str, str]:
    found = re.findall(r'data-claim="(\w+)">([^<]*)<', page.text)
    return {name: html.unescape(value) for name, value in found}


def test_a_service_learns_who_signed_in(origin: str) -> None:
    service = Service(origin)
    answer = service.redeem(service.code()).json()
    keys = KeySet.import_key_set(httpx.get(f"{origin}/jwks").json())
    token = jwt.decode(answer["id_token"], keys, algorithms=["ES256"])
    assert (token.claims["iss"], token.claims["aud"]) == (origin, "town-id")
    assert (token.claims["nonce"], token.claims["acr"]) == (service.nonce, "eidas2")
    claims = service.userinfo(answer["access_token"]).json()
    assert claims == {"sub": token.claims["sub"], **ANGELA}
    assert re.fullmatch(r"[0-9a-f]{64}v1", claims["sub"])


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        ("openid profile birth email", set(ANGELA)),
        ("openid birth", {"birthplace", "birthcountry"}),
        ("openid email", {"email"}),
        ("openid", set()),
    ],
)
def test_the_information_page_lists_exactly_what_is_sent(origin: str, scope: str, names: set[str]) -> None:
    service = Service(origin, scope=scope)
    page = service.through_provider(service.begin())
    shown = listed(page)
    code = query(service.post("/decide", sign_in=hidden(page), decision="continue"))["code"]
    answer = service.redeem(code).json()
    sent = service.userinfo(answer["access_token"]).json()
    assert shown.pop("acr") == payload(answer["id_token"])["acr"]
    assert sent.pop("sub") == payload(answer["id_token"])["sub"]
    assert shown == sent
    assert shown.keys() == names


def test_the_provider_learns_nothing_of_the_service(origin: str, provider: Provider) -> None:
    asked = []
    for name, scope in (("town", "openid email"), ("private", "openid given_name")):
        Service(origin, name, scope).code()
        asked.append({k: v for k, v in provider.asked.items() if k not in ("state", "nonce")})
        assert re.fullmatch("[0-9a-f]{64}", provider.asked["state"]), provider.asked
        assert re.fullmatch("[0-9a-f]{64}", provider.asked["nonce"])
    assert asked[0] == asked[1]
    assert asked[0] == {
        "client_id": provider.client_id,
        "redirect_uri": f"{origin}/callback/small",
        "response_type": "code",
        "scope": "openid profile email birth preferred_username",
        "acr_values": "eidas2",
        "prompt": "login",
    }


def test_discovery_and_keys_are_fetched_at_every_step(origin: str, provider: Provider) -> None:
    Service(origin).code()
    assert [what for what, _ in provider.seen] == ["discovery", "login", "discovery", "exchange", "keys", "me"]


def test_two_organisations_know_one_person_by_two_names(origin: str) -> None:
    subs = []
    for name, scope in (("town", "openid"), ("private", "openid"), ("town", "openid email")):
        service = Service(origin, name, scope)
        subs.append(payload(service.redeem(service.code()).json()["id_token"])["sub"])
    assert subs[0] == subs[2] != subs[1]


def test_a_pseudonym_is_the_same_through_every_provider(
    timed: str, settings: broker.BrokerSettings, clock: Clock
) -> None:
    (settings.providers / "another.toml").write_text((settings.providers / "small.toml").read_text())
    clock.pass_by(seconds=2)
    running, subs = Service(timed), []
    for name in ("small", "another"):
        page = running.through_provider(running.begin(prompt="login"), name)
        token = running.redeem(query(running.send(page))["code"]).json()["id_token"]
        subs.append(payload(token)["sub"])
    assert subs[0] == subs[1]


def test_a_private_service_needs_a_ticked_box(origin: str) -> None:
    service = Service(origin, "private", "openid given_name")
    page = service.through_provider(service.begin())
    again = service.post("/decide", sign_in=hidden(page), decision="continue")
    assert again.headers["location"].startswith("/information")
    assert 'role="alert"' in service.get(again.headers["location"]).text
    assert "code" in query(service.post("/decide", sign_in=hidden(page), decision="continue", consent="yes"))


def test_hs256_and_a_signed_userinfo(origin: str) -> None:
    service = Service(origin, "private", "openid given_name")
    answer = service.redeem(service.code()).json()
    key = OctKey.import_key(Service.secret("private"))
    assert jwt.decode(answer["id_token"], key, algorithms=["HS256"]).claims["aud"] == "private-id"
    claims = jwt.decode(service.userinfo(answer["access_token"]).text, key, algorithms=["HS256"]).claims
    assert claims["given_name"] == ANGELA["given_name"]


@pytest.mark.parametrize("step", ["choice", "information"])
def test_the_person_goes_back_with_nothing(origin: str, step: str) -> None:
    service = Service(origin)
    number = service.begin()
    if step == "choice":
        answer = service.post("/depart", sign_in=number, provider="")
    else:
        page = service.through_provider(number)
        answer = service.post("/decide", sign_in=hidden(page), decision="cancel")
    assert answer.headers["location"].startswith(Service.BACK + "?")
    assert query(answer) == {"error": "access_denied", "state": service.state, "iss": origin}
    assert service.get(f"/choice?sign_in={number}").status_code == 400


@pytest.mark.parametrize(("signature", "signed"), [("ES256", True), ("HS256", False), ("HS256", True)])
def test_a_provider_signs_as_configured(
    serve: object, provider: Provider, settings: broker.BrokerSettings, signature: str, signed: bool
) -> None:
    provider.algorithm, provider.signed_userinfo = signature, signed
    file = settings.providers / "small.toml"
    how = "jwt" if signed else "json"
    file.write_text(file.read_text().replace("ES256", signature) + f'userinfo = "{how}"\n')
    origin = serve(application(settings), int(settings.origin.rsplit(":", 1)[1]))  # type: ignore[operator]
    service = Service(origin)
    assert service.userinfo(service.redeem(service.code()).json()["access_token"]).json()["family_name"] == "DUBOIS"


def test_people_read_it_in_their_language(origin: str) -> None:
    service = Service(origin)
    number = service.begin()
    assert '<html lang="fr">' in service.get(f"/choice?sign_in={number}").text
    assert "Who can identify you?" in service.get(f"/choice?sign_in={number}&lang=en").text


def test_logout_returns_only_where_the_service_said(origin: str) -> None:
    service = Service(origin)
    hint = service.redeem(service.code()).json()["id_token"]
    out = httpx.get(
        f"{origin}/end_session",
        params={"id_token_hint": hint, "post_logout_redirect_uri": Service.BACK + "/out", "state": "42"},
    )
    assert out.headers["location"] == f"{Service.BACK}/out?state=42"
    elsewhere = {"id_token_hint": hint, "post_logout_redirect_uri": "http://evil.example/"}
    assert httpx.get(f"{origin}/end_session", params=elsewhere).headers["location"] == "/signed-out"
    for wrong in ({"id_token_hint": hint[:-4] + "AAAA"}, {}, {"id_token_hint": hint, "client_id": "private-id"}):
        asked = httpx.get(f"{origin}/end_session", params=wrong | {"post_logout_redirect_uri": Service.BACK + "/out"})
        assert asked.status_code == 200, "nobody is signed out by a mere link"
        assert 'action="/sign-out"' in asked.text

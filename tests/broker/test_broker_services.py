"""How services prove who they are, what they may ask, and tokens encrypted to them."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from broker_peers import ANGELA, Clock, Provider, Serve, Service, free_port, payload, query
from joserfc import jwe, jws, jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from alicem.broker import BrokerSettings
from alicem.broker.app import app as application

BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEYS: dict[str, ECKey | RSAKey] = {
    "ES256": ECKey.generate_key("P-256", {"kid": "s1", "use": "sig"}),
    "PS256": RSAKey.generate_key(2048, {"kid": "s1", "use": "sig"}),
}
MINE = ECKey.generate_key("P-256", {"kid": "e1", "use": "enc", "alg": "ECDH-ES"})


def public(*keys: ECKey | RSAKey) -> dict[str, Any]:
    return {"keys": [one.as_dict(private=False) for one in keys]}


def write(settings: BrokerSettings, name: str, more: str, *keys: ECKey | RSAKey) -> None:
    (settings.services / f"{name}.toml").write_text(Service.file(name) + 'scopes = ["openid", "email"]\n' + more)
    (settings.services / f"{name}.secret").write_text(Service.secret(name))
    (settings.services / f"{name}.jwks").write_text(json.dumps(public(*keys)))


@pytest.fixture
def start(serve: Serve, settings: BrokerSettings) -> Callable[[], str]:
    return lambda: serve(application(settings), int(settings.origin.rsplit(":", 1)[1]))


def assertion(
    origin: str, alg: str = "ES256", key: Any = None, header: dict[str, Any] | None = None, **changes: Any
) -> str:
    now = int(time.time())
    claims = {"iss": "signed-id", "sub": "signed-id", "aud": origin, "exp": now + 60, "iat": now}
    claims |= {"jti": secrets.token_hex(8)} | changes
    told = {name: value for name, value in claims.items() if value is not None}
    return jws.serialize_compact(
        {"alg": alg, "kid": "s1"} | (header or {}), json.dumps(told).encode(), key or KEYS[alg], [alg]
    )


def redeem_signed(service: Service, code: str, made: str, **changes: str) -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": Service.BACK, "client_assertion": made}
    return httpx.post(f"{service.origin}/token", data=form | {"client_assertion_type": BEARER} | changes)


@pytest.mark.parametrize("alg", KEYS)
def test_private_key_jwt(settings: BrokerSettings, start: Callable[[], str], alg: str) -> None:
    more = f'auth = "private_key_jwt"\nassertion_alg = "{alg}"\njwks_file = "signed.jwks"\n'
    write(settings, "signed", more, KEYS[alg])
    service = Service(start(), "signed", "openid email")
    for audience in (service.origin, f"{service.origin}/token", [service.origin]):
        made = assertion(service.origin, alg, aud=audience)
        answer = redeem_signed(service, service.code(), made, client_id="signed-id")
        assert payload(answer.json()["id_token"])["aud"] == "signed-id"
        assert redeem_signed(service, service.code(), made).json()["error"] == "invalid_client", "once"


WRONG: list[dict[str, Any]] = [
    {"iss": "town-id"},
    {"sub": "town-id"},
    {"sub": None},
    {"aud": "http://elsewhere.example"},
    {"aud": ["http://elsewhere.example", "http://127.0.0.1"]},
    {"exp": 1},
    {"exp": None},
    {"exp": int(time.time()) + 10**7},
    {"iat": int(time.time()) + 10**7},
    {"nbf": int(time.time()) + 10**7},
    {"jti": None},
    {"jti": ""},
    {"jti": 7},
    {"key": ECKey.generate_key("P-256")},
    {"alg": "HS256", "key": OctKey.import_key(Service.secret("signed"))},
    {"alg": "PS256"},
    {"header": {"kid": "nobody"}},
]


def test_wrong_assertions_are_refused(settings: BrokerSettings, start: Callable[[], str]) -> None:
    write(settings, "signed", 'auth = "private_key_jwt"\njwks_file = "signed.jwks"\n', KEYS["ES256"])
    service = Service(start(), "signed", "openid email")
    code = service.code()
    for changes in WRONG:
        refused = redeem_signed(service, code, assertion(service.origin, **changes))
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client"), changes
    good = assertion(service.origin)
    assert redeem_signed(service, code, good, client_assertion_type="other").status_code == 401
    assert redeem_signed(service, code, good, client_id="town-id").status_code == 401
    assert redeem_signed(service, code, good, client_secret="x").json()["error"] == "invalid_request"
    assert service.redeem(code).json()["error"] == "invalid_client", "no other way than the file's"
    assert redeem_signed(service, code, assertion(service.origin)).status_code == 200


def test_client_secret_basic(settings: BrokerSettings, start: Callable[[], str]) -> None:
    write(settings, "basic", 'auth = "client_secret_basic"\n')
    service = Service(start(), "basic", "openid email")
    form = {"grant_type": "authorization_code", "redirect_uri": Service.BACK}
    code = service.code()
    wrong = httpx.post(f"{service.origin}/token", data=form | {"code": code}, auth=("basic-id", "wrong"))
    assert wrong.status_code == 401 and wrong.headers["www-authenticate"] == "Basic"
    assert service.redeem(code).json()["error"] == "invalid_client", "the form is not how its file says"
    right = httpx.post(
        f"{service.origin}/token", data=form | {"code": code}, auth=("basic-id", Service.secret("basic"))
    )
    assert payload(right.json()["id_token"])["aud"] == "basic-id"
    post = Service(service.origin)
    other = httpx.post(
        f"{service.origin}/token", data=form | {"code": post.code()}, auth=("town-id", Service.secret("town"))
    )
    assert other.json()["error"] == "invalid_client"


def test_tokens_are_encrypted_to_who_asks(settings: BrokerSettings, start: Callable[[], str]) -> None:
    write(settings, "sealed", 'encryption_alg = "ECDH-ES"\njwks_file = "sealed.jwks"\n', MINE)
    service = Service(start(), "sealed", "openid email")
    answer = service.redeem(service.code()).json()
    keys = KeySet.import_key_set(httpx.get(f"{service.origin}/jwks").json())
    told = service.userinfo(answer["access_token"])
    assert told.headers["content-type"] == "application/jwt"
    for token in (answer["id_token"], told.text):
        opened = jwe.decrypt_compact(token, MINE, algorithms=["ECDH-ES", "A256GCM"])
        assert opened.headers()["cty"] == "JWT" and opened.headers()["kid"] == "e1"
        claims = jwt.decode(opened.plaintext or b"", keys, algorithms=["ES256"]).claims
        assert (claims["iss"], claims["aud"]) == (service.origin, "sealed-id")
    assert claims["email"] == ANGELA["email"]


def test_keys_of_a_service_are_fetched_kept_and_fetched_again(
    serve: Serve, settings: BrokerSettings, clock: Clock
) -> None:
    served, fetched = [public(MINE)], list[int]()

    async def keys(_request: Request) -> Response:
        fetched.append(1)
        return JSONResponse(served[0])

    port = free_port()
    address = serve(Starlette(routes=[Route("/keys", keys)]), port) + "/keys"
    write(settings, "sealed", f'encryption_alg = "ECDH-ES"\njwks_uri = "{address}"\n')
    service = Service(
        serve(application(settings, clock), int(settings.origin.rsplit(":", 1)[1])), "sealed", "openid email"
    )
    for _ in range(2):
        assert service.userinfo(service.redeem(service.code()).json()["access_token"]).status_code == 200
    assert len(fetched) == 1
    turned = ECKey.generate_key("P-256", {"kid": "e2", "use": "enc"})
    served[0] = public(turned)
    clock.pass_by(minutes=11)
    token = service.redeem(service.code()).json()["id_token"]
    assert jwe.decrypt_compact(token, turned, algorithms=["ECDH-ES", "A256GCM"]).plaintext
    served[0] = {"keys": [{"kty": "EC", "crv": "P-256", "x": "A", "y": "B"}, 7]}
    clock.pass_by(minutes=11)
    refused = service.redeem(service.code())
    assert (refused.status_code, refused.json()["error"]) == (503, "temporarily_unavailable")


def test_over_18_and_nothing_else(origin: str, provider: Provider) -> None:
    service = Service(origin, "games", "openid over_18")
    page = service.through_provider(service.begin())
    assert 'data-claim="over_18">true' in page.text and "Oui" in page.text
    assert "pas votre date de naissance" in page.text and ANGELA["birthdate"] not in page.text
    token = service.redeem(query(service.send(page))["code"]).json()
    claims = service.userinfo(token["access_token"]).json()
    assert claims == {"sub": payload(token["id_token"])["sub"], "over_18": True}
    provider.claims |= {"birthdate": f"{time.gmtime().tm_year - 16}-00-00"}
    minor = Service(origin, "games", "openid over_18")
    claims = minor.userinfo(minor.redeem(minor.code()).json()["access_token"]).json()
    assert claims["over_18"] is False


def test_a_service_asks_no_level_that_its_file_lacks(origin: str) -> None:
    asked = Service(origin, "games", "openid").parameters(acr_values="eidas3")
    assert query(httpx.get(f"{origin}/authorize", params=asked))["error"] == "unauthorized_client"


def test_only_allowed_providers_are_offered(timed: str, settings: BrokerSettings, clock: Clock) -> None:
    text = (settings.providers / "small.toml").read_text()
    (settings.providers / "other.toml").write_text(text.replace("Petit fournisseur", "Grand fournisseur"))
    clock.pass_by(seconds=2)
    town = Service(timed)
    assert "Grand fournisseur" in town.get(f"/choice?sign_in={town.begin()}").text
    games = Service(timed, "games", "openid")
    number = games.begin()
    assert "Grand fournisseur" not in games.get(f"/choice?sign_in={number}").text
    assert games.post("/depart", sign_in=number, provider="other").status_code == 400


def test_one_address_begins_no_more_than_its_share(serve: Serve, settings: BrokerSettings, clock: Clock) -> None:
    held, strict = clock(), replace(settings, sign_ins_per_minute_and_address=5)
    origin = serve(application(strict, lambda: held), int(settings.origin.rsplit(":", 1)[1]))
    asked = Service(origin).parameters()
    codes = [httpx.get(f"{origin}/authorize", params=asked).status_code for _ in range(7)]
    assert codes == [303] * 5 + [429] * 2
    wrong = {"grant_type": "authorization_code", "client_id": "town-id", "client_secret": "wrong"}
    codes = [httpx.post(f"{origin}/token", data=wrong).status_code for _ in range(7)]
    assert codes == [401] * 5 + [429] * 2

"""Each profile, end to end: what its client is told, by another library; keys that turn on either side; the way out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from client_profiles import ALGS, DIRECT, SECRETS, Direct, Keys, Published, client_keys, published, tables
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey
from provider_world import (
    FAREWELL,
    PLAIN_SECRET,
    Browser,
    Person,
    World,
    enrol,
    make_world,
    redeem,
    sign_in,
    userinfo,
)

from alicem import jose
from alicem import keys as ring_keys
from alicem.keys import RingFile
from alicem.keys.file import write
from alicem.provider import ClientFile
from alicem.settings import SettingsError

MASTER = b"m" * 32


@pytest.fixture(scope="module")
def own() -> Keys:
    return client_keys()


@pytest.fixture(scope="module")
def at() -> Iterator[Published]:
    with published() as place:
        yield place


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, own: Keys, at: Published) -> Iterator[World]:
    world = make_world(tmp_path_factory.mktemp("profiles"))
    at.show(*(own.public(alg, f"k-{alg}") for alg in ALGS))
    write(world.folder / "ring", MASTER, world.ring, os.urandom)  # type: ignore[arg-type]
    file = world.settings.service.clients
    file.write_text(file.read_text() + tables(at.address))
    Direct(world, ec.generate_private_key(ec.SECP256R1())).write_keys(world.folder)
    world.restart(ring=RingFile(world.folder / "ring", lambda: MASTER, lambda error: pytest.fail(str(error))))
    yield world
    world.close()


@pytest.fixture(scope="module")
def angela(world: World) -> Person:
    return enrol(world)


@pytest.fixture
def direct(world: World) -> Direct:
    made = Direct(world, ec.generate_private_key(ec.SECP256R1()))
    made.write_keys(world.folder)
    world.restart()
    return made


def proven(world: World, token: str, client: str) -> dict[str, Any]:
    """The payload, by keys and algorithm that the client is registered with."""
    if client.endswith("-fc"):
        return jwt.decode(token, OctKey.import_key(PLAIN_SECRET), algorithms=["HS256"]).claims
    published_keys = KeySet.import_key_set(httpx.get(f"{world.origin}/jwks").json())
    return jwt.decode(token, published_keys, algorithms=["ES256"]).claims


def told(world: World, person: Person, client: str, own: Keys) -> tuple[dict[str, Any], Any, str]:
    """Payload of the id token, userinfo, and the signed id token."""
    code = sign_in(person, Browser(world), client_id=client, scope="openid email")["code"]
    given = redeem(world, code, client_id=client, client_secret=SECRETS[client])
    assert given.status_code == 200, given.text
    told = userinfo(world, given.json()["access_token"])
    kind, text, id_token = told.headers["content-type"], told.text, given.json()["id_token"]
    alg = client.removeprefix("plus-")
    if alg != client:
        id_token, text = own.open(id_token, alg), own.open(text, alg)
    if client == "plain-fc":
        assert kind == "application/json"
        return proven(world, id_token, client), json.loads(text), id_token
    assert kind == "application/jwt"
    return proven(world, id_token, client), proven(world, text, client), id_token


@pytest.mark.parametrize("client", list(SECRETS))
def test_a_federation_is_told_in_its_profiles_form(world: World, angela: Person, own: Keys, client: str) -> None:
    payload, info, hint = told(world, angela, client, own)
    named = {} if client == "plain-fc" else {"iss": world.origin, "aud": client}
    assert info == {**named, "sub": payload["sub"], "email": angela.email}
    assert payload["aud"] == client and "nbf" not in payload and "email" not in payload
    there = end(world, hint)
    assert there.status_code == 303 and there.headers["location"] == FAREWELL + "?state=s"


def end(world: World, hint: str) -> httpx.Response:
    asked = {"id_token_hint": hint, "post_logout_redirect_uri": FAREWELL, "state": "s"}
    return httpx.get(f"{world.origin}/end_session", params=asked)


def test_a_direct_service_is_told_what_it_asked(world: World, angela: Person, direct: Direct) -> None:
    back = direct.sign_in(angela)
    assert back.keys() == {"code", "state", "iss"} and back["iss"] == world.origin and back["state"] == "s-1"
    given = direct.redeem(back["code"]).json()
    payload = proven(world, given["id_token"], DIRECT)
    assert given["token_type"] == "DPoP" and payload["nonce"] == "n-1"
    info = direct.userinfo(given["access_token"])
    assert info.json() == {"sub": payload["sub"], "email": angela.email}
    assert info.headers["content-type"] == "application/json"
    assert end(world, given["id_token"]).headers["location"] == FAREWELL + "?state=s"


def test_a_signed_userinfo_is_no_id_token(world: World, angela: Person) -> None:
    """RFC 8725 §3.12: neither the way out nor a client takes one for the other."""
    code = sign_in(angela, Browser(world), client_id="signed-fc", scope="openid email")["code"]
    given = redeem(world, code, client_id="signed-fc", client_secret=PLAIN_SECRET).json()
    info = userinfo(world, given["access_token"]).text
    assert not {"exp", "iat", "nonce", "auth_time"} & proven(world, info, "signed-fc").keys()
    assert end(world, info).status_code == 400
    assert end(world, given["id_token"]).status_code == 303


def test_encrypted_id_tokens_are_no_hints(world: World, own: Keys) -> None:
    """RP-Initiated Logout §2 wants the signed one; a JWE is refused by name."""
    assert end(world, "a.b.c.d.e").status_code == 400


def test_our_keys_turn_for_every_profile(world: World, angela: Person, own: Keys, direct: Direct) -> None:
    """Before, within the overlap and after, what is signed is verified with the keys published then; old hints stay hints."""
    before = told(world, angela, "plus-ECDH-ES", own)[2]
    now = world.clock()
    file = world.folder / "ring"
    ring_keys.change(
        file, MASTER, lambda r: ring_keys.rotated(r, ["signing"], now, os.urandom, "localhost"), os.urandom
    )
    overlapping = told(world, angela, "plus-ECDH-ES", own)[2]
    assert kid(overlapping) == kid(before)  # the next key is published an hour before it signs
    ring_keys.change(
        file,
        MASTER,
        lambda r: ring_keys.rotated(r, ["signing"], now, os.urandom, "localhost", at_once=True),
        os.urandom,
    )
    after = told(world, angela, "plus-ECDH-ES", own)[2]
    given = direct.redeem(direct.sign_in(angela)["code"]).json()
    assert proven(world, given["id_token"], DIRECT)["aud"] == DIRECT
    assert kid(after) == kid(given["id_token"]) != kid(before)
    assert {end(world, hint).status_code for hint in (before, after, given["id_token"])} == {303}


def kid(token: str) -> str:
    return str(json.loads(jose.unb64(token.partition(".")[0]))["kid"])


def test_a_federations_keys_turn(world: World, angela: Person, own: Keys, at: Published) -> None:
    """The new key is used after the cache's time; the old one opens what was sealed before."""
    client, alg = "plus-RSA-OAEP-256", "RSA-OAEP-256"
    told(world, angela, client, own)
    fresh = client_keys()
    at.show(fresh.public(alg, "next"), *(own.public(one, f"k-{one}") for one in ALGS))
    try:
        told(world, angela, client, own)
        world.restart()  # as another worker, which holds nothing yet
        told(world, angela, client, fresh)
    finally:
        at.show(*(own.public(one, f"k-{one}") for one in ALGS))
        world.restart()


def test_without_its_keys_nothing_is_spent(world: World, angela: Person, own: Keys, at: Published) -> None:
    """The key address is down: the code waits, and gives its tokens when the address is back."""
    world.restart()
    code = sign_in(angela, Browser(world), client_id="plus-RSA-OAEP", scope="openid email")["code"]
    form = {"client_id": "plus-RSA-OAEP", "client_secret": PLAIN_SECRET}
    at.status = 503
    try:
        refused = redeem(world, code, **form)
        assert (refused.status_code, refused.json()["error"]) == (503, "temporarily_unavailable")
        assert refused.headers["retry-after"] == "10"
    finally:
        at.status = 200
    world.clock.advance(11)
    given = redeem(world, code, **form)
    assert given.status_code == 200
    assert own.open(given.json()["id_token"], "RSA-OAEP").count(".") == 2
    world.clock.advance(-11)


def test_discovery_says_what_is_so(world: World) -> None:
    found = httpx.get(f"{world.origin}/.well-known/openid-configuration").json()
    for answer in ("id_token", "userinfo"):
        assert found[f"{answer}_signing_alg_values_supported"] == ["ES256", "HS256"]
        assert found[f"{answer}_encryption_alg_values_supported"] == list(ALGS)
        assert found[f"{answer}_encryption_enc_values_supported"] == ["A256GCM"]
    assert found["token_endpoint_auth_methods_supported"] == [
        "client_secret_post",
        "client_secret_basic",
        "private_key_jwt",
    ]
    assert found["token_endpoint_auth_signing_alg_values_supported"] == ["ES256"]
    assert found["dpop_signing_alg_values_supported"] == ["ES256"]
    assert found["pushed_authorization_request_endpoint"] == f"{world.origin}/par"
    assert found["require_pushed_authorization_requests"] is False


def test_a_changed_client_file_is_read_while_the_server_runs(tmp_path: Path) -> None:
    world_file = tmp_path / "clients.toml"
    (tmp_path / "plain").write_text(PLAIN_SECRET)
    one = tables("https://keys.example/").partition("[signed-fc]")[0]
    world_file.write_text(one)
    faults: list[SettingsError] = []
    at = [0.0]
    clients = ClientFile(world_file, faults.append, loopback=False, monotonic=lambda: at[0])
    assert list(clients) == ["plain-fc"] and len(clients) == 1
    world_file.write_text(one + one.replace("plain-fc", "second"))
    assert "second" not in clients  # within the second nobody looks
    at[0] += 1
    assert "second" in clients
    world_file.write_text("[plain-fc")
    for _ in range(3):
        at[0] += 1
        assert "second" in clients
    assert len(faults) == 1
    (tmp_path / "plain").write_text("s" * 40)
    world_file.write_text(one)
    at[0] += 1
    assert clients["plain-fc"].secret == "s" * 40 and "second" not in clients
    (tmp_path / "plain").write_text("t" * 41)
    at[0] += 1
    assert clients["plain-fc"].secret == "t" * 41

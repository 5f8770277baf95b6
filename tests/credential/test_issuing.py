"""Issuing over HTTP: npm @openid4vc/openid4vci as the wallet, then everything a wallet may do wrong, by the specification's names."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from issuing_world import HOLDER, World, issuing_world, private_jwk

import node_peers
from alicem import jose
from alicem.credential import sdjwt, status
from alicem.credential.metadata import CLAIMS, GRANT
from alicem.credential.status import Status
from alicem.phone.trust import anchor_of, verified


@pytest.fixture(scope="module")
def world(sqlite_template: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("issuer")
    with issuing_world(folder, f"sqlite:///{folder}/alicem.db") as made:
        yield made


@pytest.fixture(scope="module")
def http(world: World) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=world.origin) as client:
        yield client


def roots(world: World) -> list[str]:
    return [base64.b64encode(world.ring.signing_all("issuer")[0].x5c[-1]).decode()]


def wallet(world: World, code: str, **request: Any) -> dict[str, Any]:
    link = "openid-credential-offer://?credential_offer=" + quote(json.dumps(world.offer(code)))
    given = {"jwk": private_jwk(HOLDER), "roots": roots(world)} | request
    return node_peers.ask("wallet.mjs", "issue", offer=link, **given)


def test_a_foreign_wallet_is_issued_a_credential_a_foreign_verifier_believes(world: World) -> None:
    """Offer, signed metadata, token, nonce, proof, credential; then its signature, chain and published status."""
    made = wallet(world, world.code())
    assert made["signed"] and made["draft"] == "V1"
    assert made["configuration"]["credential_metadata"]["display"][0] == {"name": "Identité", "locale": "fr-FR"}
    found = node_peers.ask("sdjwt.mjs", "verify", token=made["credential"], roots=roots(world))
    assert found["payload"]["birth_family_name"] == "Nguyễn" and found["payload"]["preferred_username"] == "Trần"
    assert found["payload"]["cnf"]["jwk"] == jose.public_jwk(HOLDER.public_key())


def test_what_is_revoked_is_refused_by_the_foreign_verifier_within_the_second(world: World) -> None:
    credential = wallet(world, world.code())["credential"]
    index = world.issued[-1]
    assert "refused" not in node_peers.ask("sdjwt.mjs", "verify", token=credential, roots=roots(world))
    with world.store.engine.begin() as connection:
        status.set_status(connection, index, Status.REVOKED)
    time.sleep(0.6)
    found = node_peers.ask("sdjwt.mjs", "verify", token=credential, roots=roots(world))
    assert "Status is not valid" in found["refused"]


def test_a_foreign_wallet_that_asks_for_two_copies_is_told_so(world: World) -> None:
    told = wallet(world, world.code(), proofs=2)
    assert "the max batch size is '1'" in told["refused"]  # as the metadata say


def test_a_wallet_with_another_key_than_the_phones_gets_nothing(world: World) -> None:
    before = len(world.issued)
    told = wallet(world, world.code(), jwk=private_jwk(ec.generate_private_key(ec.SECP256R1())))
    assert told["error"]["error"] == "invalid_proof"
    assert len(world.issued) == before


def test_every_claim_that_is_issued_is_described(world: World) -> None:
    whole = sdjwt.parse(wallet(world, world.code())["credential"])
    clear = jose.unpack(whole.issuer_jwt, "dc+sd-jwt").json().keys()
    registered = {"iss", "iat", "exp", "vct", "cnf", "status", "_sd", "_sd_alg"}
    assert {one.name for one in whole.disclosures} | (clear - registered) == CLAIMS.keys()
    least = sdjwt.parse(
        wallet(world, world.code(given_names="", preferred_username=None, birthplace_cog=""))["credential"]
    )
    absent = {one.name for one in whole.disclosures} - {one.name for one in least.disclosures}
    assert absent == {name for name, (_, _, always) in CLAIMS.items() if not always}


def test_metadata_are_plain_or_signed_as_asked(world: World, http: httpx.Client) -> None:
    path = "/.well-known/openid-credential-issuer"
    plain = http.get(path)
    assert plain.headers["content-type"] == "application/json" and plain.headers["vary"] == "Accept"
    signed = http.get(path, headers={"Accept": "application/jwt, application/json;q=0.5"})
    assert signed.headers["content-type"] == "application/jwt"
    anchor = anchor_of(signed.text, "openidvci-issuer-metadata+jwt")
    payload, _ = verified(signed.text, "openidvci-issuer-metadata+jwt", anchor, world.room.clock())
    assert payload["sub"] == world.origin and payload["exp"] > payload["iat"]
    assert {name: payload[name] for name in plain.json()} == plain.json()
    for accept in ("*/*", "application/json, application/jwt", ""):
        assert http.get(path, headers={"Accept": accept}).headers["content-type"] == "application/json"


def bearer(http: httpx.Client, code: str) -> dict[str, str]:
    answer = http.post("/credential/token", data={"grant_type": GRANT, "pre-authorized_code": code})
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def nonce(http: httpx.Client) -> str:
    answer = http.post("/credential/nonce")
    assert answer.headers["cache-control"] == "no-store"
    return str(answer.json()["c_nonce"])


def proof(world: World, value: str, typ: str = "openid4vci-proof+jwt", **changes: Any) -> str:
    payload = {"aud": world.origin, "iat": int(time.time()), "nonce": value} | changes
    return jose.sign(HOLDER, typ, payload, jwk=jose.public_jwk(HOLDER.public_key()))


def asked(*proofs: Any, **changes: Any) -> dict[str, Any]:
    return {"credential_configuration_id": "identity", "proofs": {"jwt": list(proofs)}} | changes


REQUESTS: dict[str, tuple[Any, str]] = {
    "no configuration": ({"proofs": {"jwt": ["x"]}}, "invalid_credential_request"),
    "another configuration": (asked("x", credential_configuration_id="mdl"), "unknown_credential_configuration"),
    "an identifier nobody gave": ({"credential_identifier": "x"}, "unknown_credential_identifier"),
    "no proof": ({"credential_configuration_id": "identity"}, "invalid_proof"),
    "an empty list of proofs": (asked(), "invalid_proof"),
    "a proof of another type": (asked(proofs={"attestation": ["x"]}), "invalid_proof"),
    "two types of proof": (asked(proofs={"jwt": ["x"], "attestation": ["y"]}), "invalid_proof"),
    "a proof that is no text": (asked(7), "invalid_proof"),
    "a proof that is no JWS": (asked("x"), "invalid_proof"),
    "two proofs": (asked("x", "y"), "invalid_credential_request"),
    "encryption": (asked("x", credential_response_encryption={}), "invalid_encryption_parameters"),
    "no object": ([1], "invalid_credential_request"),
}


@pytest.mark.parametrize(("request_body", "error"), REQUESTS.values(), ids=REQUESTS)
def test_a_flawed_request_is_refused_by_name_and_may_be_put_right(
    world: World, http: httpx.Client, request_body: Any, error: str
) -> None:
    headers = bearer(http, world.code())
    answer = http.post("/credential/credential", json=request_body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["cache-control"] == "no-store"
    again = http.post("/credential/credential", json=asked(proof(world, nonce(http))), headers=headers)
    assert again.status_code == 200


PROOFS: dict[str, tuple[dict[str, Any], str]] = {
    "for another issuer": ({"aud": "https://other.example"}, "invalid_proof"),
    "too old": ({"iat": int(time.time()) - 3600}, "invalid_proof"),
    "of tomorrow": ({"iat": int(time.time()) + 86_400}, "invalid_proof"),
    "without a time": ({"iat": None}, "invalid_proof"),
    "of another type": ({"typ": "kb+jwt"}, "invalid_proof"),
    "with a nonce nobody gave": ({"nonce": jose.b64(bytes(32))}, "invalid_nonce"),
    "with a nonce that is none": ({"nonce": "~"}, "invalid_nonce"),
    "without a nonce": ({"nonce": None}, "invalid_nonce"),
}


@pytest.mark.parametrize(("changes", "error"), PROOFS.values(), ids=PROOFS)
def test_a_flawed_proof_is_refused_by_name(
    world: World, http: httpx.Client, changes: dict[str, Any], error: str
) -> None:
    body = asked(proof(world, nonce(http), **changes))
    answer = http.post("/credential/credential", json=body, headers=bearer(http, world.code()))
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_codes_tokens_and_nonces_serve_once(world: World, http: httpx.Client) -> None:
    code = world.code()
    headers = bearer(http, code)
    again = http.post("/credential/token", data={"grant_type": GRANT, "pre-authorized_code": code})
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    value = nonce(http)
    body = asked(proof(world, value))
    assert http.post("/credential/credential", json=body, headers=headers).status_code == 200
    spent = http.post("/credential/credential", json=body, headers=headers)
    assert (spent.status_code, spent.json()["error"]) == (401, "invalid_token")
    assert spent.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    replayed = http.post("/credential/credential", json=body, headers=bearer(http, world.code()))
    assert (replayed.status_code, replayed.json()["error"]) == (400, "invalid_nonce")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": GRANT, "pre-authorized_code": "guess"}, "invalid_grant"),
        ({"grant_type": GRANT, "pre-authorized_code": "guess", "tx_code": "1234"}, "invalid_request"),
        ({}, "unsupported_grant_type"),
    ],
)
def test_a_flawed_token_request_is_refused_by_name(http: httpx.Client, form: dict[str, str], error: str) -> None:
    answer = http.post("/credential/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["cache-control"] == "no-store"


def test_nothing_is_deferred(http: httpx.Client) -> None:
    answer = http.post("/credential/deferred", json={"transaction_id": "x"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_transaction_id")
    assert "deferred_credential_endpoint" not in http.get("/.well-known/openid-credential-issuer").json()


def test_ten_thousand_nonces_stop_nobody(world: World, http: httpx.Client) -> None:
    for _ in range(12_000):
        world.room.offers.nonce()
    body = asked(proof(world, nonce(http)))
    assert http.post("/credential/credential", json=body, headers=bearer(http, world.code())).status_code == 200


def test_a_status_list_is_fetched_asked_again_and_found(world: World, http: httpx.Client) -> None:
    wallet(world, world.code())
    listed = http.get("/status").json()["status_lists"]
    assert listed == [f"{world.origin}/status/0"]
    answer = http.get("/status/0", headers={"Accept": "application/statuslist+jwt"})
    assert answer.headers["content-type"] == "application/statuslist+jwt"
    assert answer.headers["access-control-allow-origin"] == "*"
    said = jose.unpack(answer.text, "statuslist+jwt").json()
    assert said["sub"] == listed[0] and said["status_list"]["aggregation_uri"] == f"{world.origin}/status"
    server = http.get("/.well-known/oauth-authorization-server").json()
    assert server["status_list_aggregation_endpoint"] == f"{world.origin}/status"
    again = http.get("/status/0", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "no-cache" in again.headers["cache-control"]
    for nowhere in ("2048", "9" * 40):
        assert http.get(f"/status/{nowhere}").status_code == 404
    unknown, past = http.get("/status/1"), http.get("/status/0?time=1700000000")
    assert (unknown.status_code, unknown.json()["error"]) == (404, "unknown_status_list")
    assert (past.status_code, past.json()["error"]) == (501, "historical_resolution_not_supported")

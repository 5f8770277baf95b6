"""npm @openid4vc/openid4vp as the phone: it reads, believes and answers the request object of a real sign-in."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from provider_world import ANGELA, Browser, Person, World, answer, enrol, fresh_device, redeem, userinfo

import node_peers
from alicem import jose
from alicem.credential import Status, sdjwt, set_status, status
from alicem.phone.state import open_vault


def private_jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    scalar = key.private_numbers().private_value.to_bytes(32, "big")
    return {**jose.public_jwk(key.public_key()), "d": jose.b64(scalar)}


def approve_by_code(world: World, person: Person, browser: Browser) -> str:
    """The code instruction, which no foreign wallet has; the credential of the vault it opens."""

    async def run() -> str:
        device = fresh_device(person)
        try:
            token = (await device.http.get(f"/signin/request/{reference(browser)}")).text
            share = (await device.instruct(person.code, "approve", f"{token}.{browser.number}".encode())).share
            return str(open_vault(device.phone, share, device.storage.load_vault())["credential"])
        finally:
            await device.http.aclose()

    return asyncio.run(run())


def reference(browser: Browser) -> str:
    return browser.link.partition("#")[2]


def client_id(world: World) -> str:
    leaf = world.ring.signing("verifier", world.clock()).x5c[0]
    return "x509_hash:" + jose.b64(hashlib.sha256(leaf).digest())


def present(world: World, person: Person, browser: Browser, credential: str, **request: Any) -> dict[str, Any]:
    root = base64.b64encode(world.ring.signing("verifier", world.clock()).x5c[-1]).decode()
    given = {
        "requestUri": f"{world.origin}/signin/request/{reference(browser)}",
        "clientId": client_id(world),
        "credential": credential,
        "jwk": private_jwk(person.device.phone.device_key),
        "roots": [root],
    } | request
    return node_peers.ask("wallet.mjs", "present", **given)


def test_a_foreign_library_answers_the_request_object(world: World, angela: Person, browser: Browser) -> None:
    """Signed request, x509_hash, DCQL, transaction data, direct_post.jwt: the client gets its claims; an answer replayed gets nothing."""
    browser.open()
    found = present(world, angela, browser, approve_by_code(world, angela, browser), twice=True)
    assert found["told"] == {"status": 200, "body": {"outcome": "done"}}
    assert found["again"] == {"status": 400, "body": {"outcome": "signin_expired"}}
    assert found["clientPrefix"] == "x509_hash"
    assert found["transactionData"][0]["transactionData"]["type"] == "alicem_signin"
    assert "nationalities" not in found["shown"] and "birthcountry_cog" in found["shown"]
    token = redeem(world, browser.finish()["code"]).json()["access_token"]
    assert userinfo(world, token).json()["family_name"] == "DUBOIS"


def test_without_a_usage_name_the_foreign_library_finds_the_claim_set(own_world: World) -> None:
    person, browser = enrol(own_world, replace(ANGELA, preferred_username=None)), Browser(own_world)
    browser.open()
    found = present(own_world, person, browser, approve_by_code(own_world, person, browser), enc="A128GCM")
    assert found["told"]["body"] == {"outcome": "done"}
    assert "preferred_username" not in found["shown"]


def test_without_the_code_a_foreign_wallet_signs_in_nowhere(world: World, angela: Person, browser: Browser) -> None:
    """It holds the credential and its key, and lacks the instruction."""
    browser.open()
    credential = approve_by_code(world, angela, browser)
    other = Browser(world)
    other.open()
    assert present(world, angela, other, credential)["told"]["body"] == {"outcome": "number_wrong"}


def test_a_presentation_for_another_verifier_is_refused(world: World, angela: Person, browser: Browser) -> None:
    browser.open()
    found = present(world, angela, browser, approve_by_code(world, angela, browser), aud="x509_hash:other")
    assert found["told"]["body"] == {"outcome": "key_binding_wrong"}


def test_a_foreign_library_believes_no_other_authority(
    world: World, angela: Person, browser: Browser, own_world: World
) -> None:
    browser.open()
    foreign = base64.b64encode(own_world.ring.signing("verifier", own_world.clock()).x5c[-1]).decode()
    found = present(world, angela, browser, "unused", roots=[foreign])
    assert "refused" in found


@pytest.mark.parametrize("value", [Status.REVOKED, Status.SUSPENDED])
def test_a_credential_that_is_not_in_force_is_refused_though_its_account_is(own_world: World, value: Status) -> None:
    """The provider reads its own database, for this very credential."""
    person, browser = enrol(own_world), Browser(own_world)
    browser.open()
    credential = approve_by_code(own_world, person, browser)
    browser = Browser(own_world)
    browser.open()
    payload = jose.unpack(sdjwt.parse(credential).issuer_jwt, "dc+sd-jwt").json()
    own_world.do(lambda connection: set_status(connection, status.index_of(payload["status"]), value))
    assert answer(person, browser) == (400, "credential_revoked")
    own_world.do(lambda connection: set_status(connection, status.index_of(payload["status"]), Status.VALID))
    browser = Browser(own_world)
    browser.open()
    assert answer(person, browser) == (200, "done")

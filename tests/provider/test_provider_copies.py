"""A copy of the credential for a wallet of another maker: none by default; where it is allowed, at a lower level, and of no use for signing in here."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from provider_world import Browser, Flaws, Person, World, answer, enrol, fresh_device, issuing, make_world, set_state
from sqlalchemy import text

import node_peers
from alicem import accounts, jose
from alicem.accounts.states import Event
from alicem.evidence import Level
from alicem.phone import manage
from alicem.phone.approve import show
from alicem.phone.instruct import Device
from alicem.phone.state import open_vault
from alicem.reasons import Refused
from alicem.settings import Settings

WALLET = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def low_world(tmp_path: Path) -> Iterator[World]:
    world = issuing(make_world(tmp_path / "world"), "low")
    yield world
    world.close()


def on_phone(person: Person, work: Callable[[Device], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        device = fresh_device(person)
        try:
            return await work(device)
        finally:
            await device.http.aclose()

    return asyncio.run(run())


def order(person: Person) -> dict[str, Any]:
    offer: dict[str, Any] = on_phone(person, lambda device: manage.order_copy(device, person.code))
    return offer


def roots(world: World) -> list[str]:
    return [base64.b64encode(world.ring.signing("issuer", world.clock()).x5c[-1]).decode()]


def fetch(world: World, offer: dict[str, Any]) -> dict[str, Any]:
    link = "openid-credential-offer://?credential_offer=" + quote(json.dumps(offer))
    scalar = WALLET.private_numbers().private_value.to_bytes(32, "big")
    jwk = {**jose.public_jwk(WALLET.public_key()), "d": jose.b64(scalar)}
    return node_peers.ask("wallet.mjs", "issue", offer=link, jwk=jwk, roots=roots(world))


def test_by_default_no_copy_is_given(tmp_path: Path) -> None:
    world = issuing(make_world(tmp_path / "world"), Settings.wallets.foreign)
    with pytest.raises(Refused) as caught:
        order(enrol(world))
    world.close()
    assert caught.value.reason.name == "wallets_not_admitted"


def test_a_foreign_wallet_fetches_a_copy_at_the_lower_level_and_a_foreign_verifier_believes_it(
    low_world: World,
) -> None:
    person = enrol(low_world, level=Level.SUBSTANTIAL)
    made = fetch(low_world, order(person))
    found = node_peers.ask("sdjwt.mjs", "verify", token=made["credential"], roots=roots(low_world))["payload"]
    assert found["level"] == "low" and found["birth_family_name"] == "DUBOIS" and "chip_key" not in found
    assert found["cnf"]["jwk"] == jose.public_jwk(WALLET.public_key())


def test_a_copy_signs_in_nowhere_here(low_world: World) -> None:
    """Not even for the phone that ordered it and approves with its code."""
    person, browser = enrol(low_world), Browser(low_world)
    copy = fetch(low_world, order(person))["credential"]
    browser.open()
    assert answer(person, browser, Flaws(credential=copy, binding_key=WALLET)) == (400, "key_binding_wrong")


def test_what_ends_the_phone_ends_its_copy(low_world: World) -> None:
    person = enrol(low_world)
    copy, waiting = fetch(low_world, order(person))["credential"], order(person)
    now = low_world.clock()
    low_world.do(lambda c: accounts.life.apply(c, person.account, Event.SUSPEND, by="office", now=now, rng=os.urandom))
    found = node_peers.ask("sdjwt.mjs", "verify", token=copy, roots=roots(low_world))
    assert "Status is not valid" in found["refused"]
    assert fetch(low_world, waiting)["error"]["error"] == "credential_request_denied"
    with pytest.raises(Refused) as caught:
        order(person)
    assert caught.value.reason.name == "account_suspended"


def posted(world: World, body: Any) -> tuple[int, str]:
    told = httpx.post(f"{world.origin}/phone/copy", json=body)
    return told.status_code, told.json()["outcome"]


def test_a_copy_is_ordered_by_the_phone_itself_with_its_code_once(low_world: World) -> None:
    person, other = enrol(low_world), enrol(low_world)

    async def shown(device: Device, nonce: str, about: str, claims: set[str]) -> dict[str, str]:
        share = (await device.instruct(person.code, "copy", about.encode())).share
        credential = open_vault(device.phone, share, device.storage.load_vault())["credential"]
        return {"nonce": nonce, "presentation": show(device, credential, claims, nonce=nonce, aud=low_world.origin)}

    def body(whose: Person, *, nonce: str = "n" * 22, about: str | None = None, claims: Any = ("sex",)) -> Any:
        return on_phone(whose, lambda device: shown(device, nonce, about or f"copy.{nonce}", set(claims)))

    right = body(person)
    assert posted(low_world, right) == (200, "done")
    assert posted(low_world, right) == (403, "key_binding_wrong")  # the approval was taken
    assert posted(low_world, body(person, about="copy.another")) == (403, "key_binding_wrong")
    assert posted(low_world, body(person, claims=("chip_key",))) == (403, "credential_claims")
    theirs = body(other, nonce="m" * 22)
    ours = body(person, nonce="k" * 22)
    assert posted(low_world, {**theirs, "nonce": ours["nonce"]}) == (403, "key_binding_wrong")
    assert posted(low_world, body(person, nonce="short")) == (400, "wire_malformed")
    wide = {"nonce": "\N{GREEK SMALL LETTER ALPHA}" * 22, "presentation": "x"}
    for malformed in ({}, [], {"nonce": 7, "presentation": "x"}, {"nonce": "n" * 22}, wide):
        assert posted(low_world, malformed) == (400, "wire_malformed")


def test_no_copy_of_an_account_that_stops_in_between(low_world: World) -> None:
    person = enrol(low_world)

    async def late(device: Device) -> tuple[int, str]:
        nonce = "n" * 22
        share = (await device.instruct(person.code, "copy", f"copy.{nonce}".encode())).share
        credential = open_vault(device.phone, share, device.storage.load_vault())["credential"]
        token = show(device, credential, {"sex"}, nonce=nonce, aud=low_world.origin)
        await asyncio.to_thread(low_world.do, lambda c: set_state(c, person.account, "suspended"))
        told = await device.http.post("/phone/copy", json={"nonce": nonce, "presentation": token})
        return told.status_code, told.json()["outcome"]

    assert on_phone(person, late) == (403, "credential_revoked")


def test_the_journal_says_that_a_copy_was_ordered_not_whose(low_world: World) -> None:
    order(enrol(low_world))
    row = low_world.do(
        lambda c: c.execute(text("select account, content from journal where event = 'copy_offered'")).one()
    )
    assert row.account is None and json.loads(row.content) == {"level": "low"}

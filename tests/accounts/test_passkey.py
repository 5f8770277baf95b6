"""A phone of kind `passkey`: each instruction carries an assertion of its passkey over the inner statement (WebAuthn Level 3 §7.2)."""

import hashlib
import json
from typing import Any

import pytest
from account_world import ORIGIN, WRONG, TestPhone, World
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from alicem import jose
from alicem.accounts import passkey
from alicem.accounts.effects import Outcome
from alicem.accounts.instruction import UNIFORM
from alicem.jose import BadToken

PRESENT, VERIFIED, BACKUP_ELIGIBLE = 1, 4, 8


def assertion(key: ec.EllipticCurvePrivateKey, about: bytes, **changes: Any) -> dict[str, str]:
    """What an authenticator says of `about`. `changes`: members of the client data, `flags`, `host`, or `signed` bytes."""
    flags, host = changes.pop("flags", PRESENT | VERIFIED), changes.pop("host", "localhost")
    said = {
        "type": "webauthn.get",
        "challenge": jose.b64(hashlib.sha256(about).digest()),
        "origin": ORIGIN,
        "crossOrigin": False,
    } | changes
    client_data = json.dumps(said).encode()
    data = hashlib.sha256(host.encode()).digest() + bytes([flags]) + (7).to_bytes(4, "big")
    signature = key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
    parts = {"authenticator_data": data, "client_data": client_data, "signature": signature}
    return {name: jose.b64(value) for name, value in parts.items()}


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def instruct(world: World, phone: TestPhone, signer: ec.EllipticCurvePrivateKey, code: str, **changes: Any) -> Outcome:
    token = phone.sign(code)
    inner = jose.unpack(token, "alicem-instruction+jwt").payload
    return world.perform(token, assertion(signer, changes.pop("about", inner), **changes))


def passkey_phone(world: World, key: ec.EllipticCurvePrivateKey) -> TestPhone:
    phone = world.enrol(activate=False, key_kind="passkey", passkey=key.public_key())
    token = phone.sign(purpose="activate", about=b"receipt")
    inner = jose.unpack(token, "alicem-instruction+jwt").payload
    assert world.perform(token, assertion(key, inner)).status == 200
    return phone


def test_with_its_assertion_an_instruction_is_done(world: World, key: ec.EllipticCurvePrivateKey) -> None:
    phone = passkey_phone(world, key)
    assert instruct(world, phone, key, "482915").status == 200
    assert instruct(world, phone, key, WRONG).body["tries_left"] == 3


@pytest.mark.parametrize(
    "flaw",
    [
        {"about": b"another instruction"},
        {"type": "webauthn.create"},
        {"origin": "https://elsewhere.example"},
        {"crossOrigin": True},
        {"host": "elsewhere.example"},
        {"flags": PRESENT},
        {"flags": VERIFIED},
        {"flags": PRESENT | VERIFIED | BACKUP_ELIGIBLE},
    ],
    ids=str,
)
def test_a_flawed_assertion_counts_nothing(world: World, key: ec.EllipticCurvePrivateKey, flaw: dict[str, Any]) -> None:
    phone = passkey_phone(world, key)
    assert instruct(world, phone, key, WRONG, **flaw) == UNIFORM
    assert world.row(phone).used == 0


def test_without_its_passkey_a_copied_device_key_is_worth_nothing(
    world: World, key: ec.EllipticCurvePrivateKey
) -> None:
    phone = passkey_phone(world, key)
    for given in (None, {}, [], "x", {"authenticator_data": "AA"}, assertion(key, b"")):
        assert world.perform(phone.sign(WRONG), given) == UNIFORM
    stranger = ec.generate_private_key(ec.SECP256R1())
    assert instruct(world, phone, stranger, WRONG) == UNIFORM
    assert world.row(phone).used == 0


def test_other_kinds_need_none(world: World) -> None:
    phone = world.enrol()
    assert world.perform(phone.sign(), {"anything": 1}).status == 200


def test_a_passkey_that_may_be_copied_is_of_a_lower_kind(key: ec.EllipticCurvePrivateKey) -> None:
    assert passkey.parse(assertion(key, b"")).kind == "passkey"
    flags = PRESENT | VERIFIED | BACKUP_ELIGIBLE
    assert passkey.parse(assertion(key, b"", flags=flags)).kind == "passkey_synced"


@pytest.mark.parametrize("client_data", [b"", b"[]", b"{", b"[" * 3000, b"\xff", b"1"])
def test_client_data_of_strangers_is_refused_by_name(key: ec.EllipticCurvePrivateKey, client_data: bytes) -> None:
    given = passkey.parse(assertion(key, b"") | {"client_data": jose.b64(client_data)})
    with pytest.raises(BadToken):
        passkey.check(given, key.public_key(), b"", ORIGIN)

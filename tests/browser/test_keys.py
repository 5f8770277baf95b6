"""Device key and device secret by kind, in a real browser: a passkey with PRF, a key store behind a bridge, this browser's own keys."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from browser_citizen import Authenticator, authenticator
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from playwright.sync_api import BrowserContext, Error, Page

from alicem import jose

KINDS = ("webcrypto", "passkey", "keystore")
BRIDGE = """window.AlicemNfc = (() => {
    const kept = {};
    const b64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    const unb64 = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
    const ask = () => { if (window.ownerSaysNo) throw new Error("cancelled"); };
    return {
        async createKey(alias) {
            ask();
            const pair = await crypto.subtle.generateKey({name: "ECDSA", namedCurve: "P-256"}, true, ["sign"]);
            const {crv, kty, x, y} = await crypto.subtle.exportKey("jwk", pair.publicKey);
            const mask = crypto.getRandomValues(new Uint8Array(32));
            kept[alias] = {pair, mask};
            return {public: {crv, kty, x, y}, wrapped: b64(crypto.getRandomValues(new Uint8Array(32)))};
        },
        async sign(alias, input) {
            ask();
            return b64(await crypto.subtle.sign({name: "ECDSA", hash: "SHA-256"}, kept[alias].pair.privateKey, unb64(input)));
        },
        async unwrap(alias, wrapped) { ask(); return b64(unb64(wrapped).map((byte, at) => byte ^ kept[alias].mask[at])); },
    };
})()"""


@pytest.fixture
def prompts(context: BrowserContext, page: Page) -> Iterator[Authenticator]:
    """A device with a fingerprint reader whose passkeys have PRF."""
    with authenticator(context, page) as device:
        yield device


MAKE = """const {keys: made, confirm} = await keys.make(given.kind);
    const shown = await confirm("proof"); window.made = made;
    const bound = encoding.b64(await keys.atWork(made).bind(encoding.utf8("share")));
    const kept = {...keys.deviceKey(made), ...keys.heldHere(made)};
    const unlocked = await keys.unlock(kept, "inner");
    const token = await jose.sign(unlocked.sign, "a+jwt", {n: 1});
    return {record: keys.deviceKey(made), shown, bound, again: encoding.b64(await unlocked.bind(encoding.utf8("share"))), token,
        assertion: unlocked.assertion, here: Object.keys(keys.heldHere(made) ?? {})}"""


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_signs_and_keeps_one_secret(
    js: Callable[..., Any], page: Page, prompts: Authenticator, kind: str
) -> None:
    if kind == "keystore":
        page.evaluate(BRIDGE)
    assert js("keys", "return keys.strongest()") == ("keystore" if kind == "keystore" else "passkey")
    found = js("keys jose encoding", MAKE, {"kind": kind})
    assert jose.verify(found["token"], jose.public_key(found["record"]["public"]), "a+jwt") == {"n": 1}
    assert found["bound"] == found["again"] and len(jose.unb64(found["bound"])) == 32
    assert found["record"]["kind"] == kind
    assert (found["here"] == ["device", "secret"]) == (kind == "webcrypto")
    assert (found["shown"] is not None) == (found["assertion"] is not None) == (kind == "passkey")


def test_one_prompt_gives_the_key_and_an_assertion_of_the_statement(
    js: Callable[..., Any], blank: str, prompts: Authenticator
) -> None:
    found = js("keys jose encoding", MAKE, {"kind": "passkey"})
    assert prompts.used() == 2  # once to show the key, once to use it
    passkey = jose.public_key(found["shown"]["public_key"])
    for assertion, statement in ((found["shown"]["assertion"], b"proof"), (found["assertion"], b"inner")):
        client = jose.unb64(assertion["client_data"])
        said = json.loads(client)
        assert (said["type"], said["origin"]) == ("webauthn.get", blank)
        assert jose.unb64(said["challenge"]) == hashlib.sha256(statement).digest()
        data = jose.unb64(assertion["authenticator_data"])
        assert data[:32] == hashlib.sha256(b"localhost").digest() and data[32] & 0b101 == 0b101  # UP and UV
        signed = data + hashlib.sha256(client).digest()
        passkey.verify(jose.unb64(assertion["signature"]), signed, ec.ECDSA(SHA256()))


def test_the_wrapped_key_opens_as_the_page_of_the_phone_s_state_says(
    js: Callable[..., Any], prompts: Authenticator
) -> None:
    found, prf = js(
        "keys jose encoding passkey",
        "const found = await (async () => { "
        + MAKE
        + " })(); const {prf} = await passkey.assert(found.record.credential, 's'); return [found, encoding.b64(prf)]",
        {"kind": "passkey"},
    )
    record, output = found["record"], jose.unb64(prf)
    wrapped, named = jose.unb64(record["wrapped"]), jose.thumbprint(jose.public_key(record["public"]))
    wrapping = HKDF(SHA256(), 32, None, b"alicem device key v1").derive(output)
    scalar = AESGCM(wrapping).decrypt(wrapped[:12], wrapped[12:], named.encode())
    private = ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())
    assert len(scalar) == 32 and jose.public_jwk(private.public_key()) == record["public"]
    secret = HKDF(SHA256(), 32, None, b"alicem device secret v1").derive(output)
    assert hmac.digest(secret, b"share", "sha256") == jose.unb64(found["bound"])


def test_nothing_of_the_keys_can_be_read_out(js: Callable[..., Any], prompts: Authenticator) -> None:
    js("keys jose encoding", MAKE, {"kind": "passkey"})
    assert (
        js("keys", "return [window.made.device.privateKey.extractable, window.made.secret.extractable]") == [False] * 2
    )


@pytest.mark.parametrize("kind", ["passkey", "keystore"])
def test_an_owner_who_says_no_is_refused_by_name(
    js: Callable[..., Any], page: Page, prompts: Authenticator, kind: str
) -> None:
    page.evaluate(BRIDGE + "; window.ownerSaysNo = true")
    prompts.refuse()
    refused = "return keys.make(given).then(() => 'made', (error) => error instanceof passkey.KeyRefused && error.constructor.name)"
    assert js("keys passkey", refused, kind) == "KeyRefused"


def test_without_prf_the_browser_s_own_keys_are_the_strongest(
    context: BrowserContext, js: Callable[..., Any], page: Page
) -> None:
    refused = "return keys.make('passkey').then(() => 'made', (error) => error.constructor.name)"
    with authenticator(context, page, hasPrf=False):
        assert js("keys", refused) == "NoPrf"
    page.evaluate(
        "PublicKeyCredential.getClientCapabilities = async () => ({userVerifyingPlatformAuthenticator: true})"
    )
    assert js("keys", "return keys.strongest()") == "webcrypto"
    page.evaluate("delete window.PublicKeyCredential")
    assert js("keys", "return keys.strongest()") == "webcrypto"


def test_a_synced_passkey_says_so_in_its_flags(context: BrowserContext, js: Callable[..., Any], page: Page) -> None:
    with authenticator(context, page, defaultBackupEligibility=True, defaultBackupState=True):
        found = js("keys jose encoding", MAKE, {"kind": "passkey"})
    assert jose.unb64(found["assertion"]["authenticator_data"])[32] & 0b1000  # BE


def test_another_passkey_opens_nothing(js: Callable[..., Any], prompts: Authenticator) -> None:
    with pytest.raises(Error):
        js(
            "keys jose encoding passkey",
            """const [a, b] = [await keys.make("passkey"), await keys.make("passkey")]; await a.confirm("x"); await b.confirm("x");
            await keys.unlock({...keys.deviceKey(a.keys), credential: b.keys.handle.credential}, "inner")""",
        )

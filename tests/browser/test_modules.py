"""The ES modules against other implementations: joserfc and cryptography on the Python side, the same objects on both."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jws
from joserfc.jwk import ECKey
from playwright.sync_api import Error, Page

from alicem import jose
from alicem.keys.authority import make_authority, make_issuing

NOW = datetime.now(UTC)
VECTORS = json.loads(Path("docs/protocols/pin-key-vector.json").read_text("utf-8"))


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def test_base64url_is_strict_and_exact(js: Callable[..., Any]) -> None:
    for length in (0, 1, 2, 3, 31, 70_000):
        data = bytes(index * 7 % 256 for index in range(length))
        text = jose.b64(data)
        assert js("encoding", "return encoding.b64(encoding.unb64(given))", text) == text
    for wrong in ("a", "ab=", "a+b/", "AB", "é"):
        with pytest.raises(Error):
            js("encoding", "return encoding.unb64(given).length", wrong)


def test_what_the_page_signs_joserfc_verifies(js: Callable[..., Any]) -> None:
    token, jwk, print_ = js(
        "jose",
        """const key = await jose.newSigningKey(); const jwk = await jose.publicJwk(key.publicKey);
        return [await jose.sign(jose.signer(key.privateKey), "a+jwt", {who: "Zoé"}, {kid: "k"}), jwk, await jose.thumbprint(jwk)]""",
    )
    found = jws.deserialize_compact(token, ECKey.import_key(jwk), algorithms=["ES256"])
    assert json.loads(found.payload) == {"who": "Zoé"}
    assert found.protected == {"alg": "ES256", "typ": "a+jwt", "kid": "k"}
    assert print_ == ECKey.import_key(jwk).thumbprint() == jose.thumbprint(jose.public_key(jwk))


def test_what_we_sign_the_page_verifies_and_nothing_else(js: Callable[..., Any]) -> None:
    signer = key()
    jwk, token = jose.public_jwk(signer.public_key()), jose.sign(signer, "a+jwt", {"n": 1})
    body = "return jose.check(jose.unpack(given[0], given[2]), await jose.verifyingKey(given[1]))"
    assert js("jose", body, [token, jwk, "a+jwt"]) == {"n": 1}
    head, payload, signature = token.split(".")
    none = jose.b64(b'{"alg":"none","typ":"a+jwt"}')
    crit = jose.sign(signer, "a+jwt", {"n": 1}, crit=["x"])
    other = jose.b64(b'{"n":2}')
    for wrong in (f"{head}.{other}.{signature}", f"{none}.{payload}.", token[:-4] + "AAAA", crit, token + ".x"):
        with pytest.raises(Error):
            js("jose", body, [wrong, jwk, "a+jwt"])
    with pytest.raises(Error):
        js("jose", body, [token, jwk, "b+jwt"])


def test_encryption_both_ways(js: Callable[..., Any]) -> None:
    ours = key()
    token = js(
        "jose encoding",
        "return jose.encryptTo(given, encoding.utf8('né à Nîmes'), {kid: 'k'})",
        jose.public_jwk(ours.public_key()),
    )
    assert jose.decrypt(token, ours) == "né à Nîmes".encode()
    theirs, sealed_to_us = (
        jose,
        """const pair = await jose.newReceivingKey(); window.pair = pair; return jose.publicJwk(pair.publicKey)""",
    )
    jwk = js("jose", sealed_to_us)
    sealed = theirs.encrypt_to(jose.public_key(jwk), b"share")
    open_it = "return encoding.fromUtf8(await jose.decrypt(given, window.pair.privateKey))"
    assert js("jose encoding", open_it, sealed) == "share"
    with pytest.raises(Error):
        js("jose encoding", open_it, sealed[:-2] + "AA")


def chain(at: datetime = NOW) -> tuple[ec.EllipticCurvePrivateKey, list[str], str]:
    top, leaf = key(), key()
    ends = at + timedelta(days=730)
    authority = make_authority(top, at, ends, "localhost")
    ders = [make_issuing(leaf.public_key(), authority, top, at, ends, "verifier", "localhost"), authority]
    return leaf, [base64.b64encode(der).decode() for der in ders], jose.b64(hashlib.sha256(ders[1]).digest())


CHECK_CHAIN = """const {key, leafHash, anchor} = await x509.checkChain(given[0], given[1]);
    return [await crypto.subtle.exportKey("jwk", key), leafHash, anchor]"""


def test_a_chain_to_the_pinned_certificate_gives_the_leaf_s_key(js: Callable[..., Any]) -> None:
    leaf, x5c, anchor = chain()
    for pinned in (anchor, None):
        found, leaf_hash, learned = js("x509", CHECK_CHAIN, [x5c, pinned])
        assert found["x"] == jose.public_jwk(leaf.public_key())["x"]
        assert leaf_hash == jose.b64(hashlib.sha256(base64.b64decode(x5c[0])).digest())
        assert learned == anchor


def test_other_chains_are_refused(js: Callable[..., Any]) -> None:
    _, x5c, anchor = chain()
    _, others, _ = chain()
    _, expired, expired_anchor = chain(NOW - timedelta(days=365 * 3))
    damaged = [x5c[0][:-8] + "AAAAAAA=", x5c[1]]
    leaf_as_authority = [others[0], x5c[0], x5c[1]]
    for given, pinned in (
        (others, anchor),
        ([x5c[0], others[1]], anchor),
        ([others[0], x5c[1]], anchor),
        (expired, expired_anchor),
        (damaged, anchor),
        (leaf_as_authority, anchor),
        ([], anchor),
        ([x5c[0]], anchor),
        (["AAAA"], anchor),
    ):
        with pytest.raises(Error):
            js("x509", CHECK_CHAIN, [given, pinned])


def test_sealed_members_open_in_the_session_process(js: Callable[..., Any]) -> None:
    process = key()
    jwk, sealed = js(
        "jose seal encoding",
        """const pair = await jose.newReceivingKey();
        const seal = await seal_(pair); return [await jose.publicJwk(pair.publicKey), await seal("mrz", 7, encoding.utf8("lines"))];
        function seal_(pair) { return seal.createSeal(pair.privateKey, given, "session-1"); }""".replace(
            "const seal = await seal_(pair)", "const make = await seal_(pair)"
        ).replace('await seal("mrz"', 'await make("mrz"'),
        jose.public_jwk(process.public_key()),
    )
    secret = process.exchange(ec.ECDH(), jose.public_key(jwk))
    cipher = AESGCM(HKDF(SHA256(), 32, b"session-1", b"alicem seal v1").derive(secret))
    nonce = (7).to_bytes(12, "big")
    assert cipher.decrypt(nonce, jose.unb64(sealed), b"mrz\n7") == b"lines"
    with pytest.raises(InvalidTag):
        cipher.decrypt(nonce, jose.unb64(sealed), b"frame\n7")


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["code"])
def test_the_code_becomes_the_key_of_the_vectors(js: Callable[..., Any], vector: dict[str, str]) -> None:
    jwk, token = js(
        "code encoding jose",
        """const pin = await code.pinKey(given.code, encoding.unhex(given.salt), given.kdf);
        return [pin.jwk, await jose.sign(pin.sign, "alicem-pin+jwt", {n: 1})]""",
        {**vector, "kdf": VECTORS["kdf"]},
    )
    assert [jose.unb64(jwk[name]).hex() for name in ("x", "y")] == [vector["x"], vector["y"]]
    assert jose.verify(token, jose.public_key(jwk), "alicem-pin+jwt") == {"n": 1}
    assert js("code", "return code.KDF") == VECTORS["kdf"]


TRIVIAL = "000000 111111 123456 234567 987654 654321 789012 210987 121212 909090 123123 420420 140789 890714 071489"
FINE = "073514 902847 112233 135791 100001 140788"


def test_trivial_codes_are_known(js: Callable[..., Any]) -> None:
    ask = "return given.map((one) => code.isTrivial(one, ['890714']))"
    assert all(js("code", ask, TRIVIAL.split()))
    assert not any(js("code", ask, FINE.split()))


def test_the_page_does_not_stop_while_the_code_is_stretched(js: Callable[..., Any]) -> None:
    longest = js(
        "code encoding",
        """let last = performance.now(), longest = 0, running = true;
        const tick = () => { const at = performance.now(); longest = Math.max(longest, at - last); last = at; running && setTimeout(tick, 1); };
        tick(); await code.pinKey("073514", encoding.random(32)); running = false; return longest""",
    )
    assert longest < 100  # milliseconds; Argon2id alone takes several times that


def issued(holder: dict[str, str], origin: str) -> tuple[str, str]:
    leaf, x5c, anchor = chain()
    pairs = [("given_name", "Léa"), ("birthdate", "1989-07-14"), ("sex", 2)]
    texts = [jose.b64(json.dumps(["salt", *pair], ensure_ascii=False).encode()) for pair in pairs]
    payload = {
        "iss": origin,
        "exp": int(NOW.timestamp()) + 3600,
        "cnf": {"jwk": holder},
        "_sd_alg": "sha-256",
        "_sd": [jose.b64(hashlib.sha256(text.encode()).digest()) for text in texts],
    }
    return "~".join([jose.sign(leaf, "dc+sd-jwt", payload, x5c=x5c), *texts, ""]), anchor


def test_a_credential_is_verified_then_shown_in_part(js: Callable[..., Any], blank: str) -> None:
    holder = js("keys", "window.keys = (await keys.make('webcrypto')).keys; return window.keys.public")
    token, anchor = issued(holder, blank)
    verify = "return sdjwt.verifyIssued(given.token, given.expected)"
    expected = {"anchor": anchor, "holder": holder, "issuer": blank}
    found = js("sdjwt", verify, {"token": token, "expected": expected})
    assert found["claims"] == {"given_name": "Léa", "birthdate": "1989-07-14", "sex": 2}
    for wrong in ({"anchor": "x"}, {"holder": jose.public_jwk(key().public_key())}, {"issuer": "http://other"}):
        with pytest.raises(Error):
            js("sdjwt", verify, {"token": token, "expected": {**expected, **wrong}})
    shown = js(
        "sdjwt keys",
        """return sdjwt.present(given, ["given_name", "birthdate", "email"], {nonce: "n", audience: "a", transactionData: ["t"],
        sign: keys.atWork(window.keys).sign})""",
        token,
    )
    presented, _, binding = shown.rpartition("~")
    assert presented.count("~") == 2
    proof = jose.verify(binding, jose.public_key(holder), "kb+jwt")
    assert proof.pop("iat") >= int(NOW.timestamp())
    assert proof == {
        "nonce": "n",
        "aud": "a",
        "sd_hash": jose.b64(hashlib.sha256(f"{presented}~".encode()).digest()),
        "transaction_data_hashes": [jose.b64(hashlib.sha256(b"t").digest())],
        "transaction_data_hashes_alg": "sha-256",
    }


def test_the_state_survives_a_reload_and_opens_with_the_share_alone(js: Callable[..., Any], page: Page) -> None:
    js(
        "state keys encoding",
        """const made = (await keys.make("webcrypto")).keys; const share = encoding.unb64(given);
        const content = {version: 1, credential: "c", access_key: null, receipt: "r", history: []};
        const vault = await state.sealVault(await state.vaultKey(keys.atWork(made), share), content);
        await state.saveAll({origin: location.origin}, encoding.random(32), made, vault, "r")""",
        jose.b64(bytes(32)),
    )
    page.reload()
    opened = """const found = await state.load(); const waits = await state.loadEnrolment();
        const unlocked = await keys.unlock(found.held, "statement");
        const content = await state.openVault(await state.vaultKey(unlocked, encoding.unb64(given)), found.vault);
        const extractable = [found.held.device.privateKey.extractable, found.held.secret.extractable];
        return [found.phone.version, found.phone.sequence, content.credential, extractable, found.forgotten, waits.activate]"""
    assert js("state keys encoding", opened, jose.b64(bytes(32))) == [1, 0, "c", [False, False], False, "r"]
    with pytest.raises(Error, match="does not open"):
        js("state keys encoding", opened, jose.b64(b"\x01" * 32))


def test_lost_and_unknown_storage_is_noticed(js: Callable[..., Any]) -> None:
    assert js("state", "return (await state.load()).forgotten") is False
    js("state encoding", "await state.savePhone(state.newPhone({}, encoding.random(32)))")
    assert js("state", "return (await state.load()).forgotten") is True
    js("state encoding", "await state.savePhone({...state.newPhone({}, encoding.random(32)), version: 2})")
    with pytest.raises(Error, match="version 2"):
        js("state", "await state.load()")
    assert js("state", "await state.erase(); return (await state.load()).phone") is None

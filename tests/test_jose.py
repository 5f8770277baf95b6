"""What our JOSE makes and opens, beside joserfc and the vectors of the standards."""

import contextlib
import json
import zlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwe, jws
from joserfc.jwe import JWERegistry
from joserfc.jwk import ECKey, RSAKey

from alicem import jose
from alicem.jose import BadToken

RSA = rsa.generate_private_key(65537, 2048)
HOLDER = ec.generate_private_key(ec.SECP256R1())
THEIRS = JWERegistry(algorithms=["ECDH-ES", "A256GCM", "A128GCM"])
ALICE = {
    "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
    "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
    "d": "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo",
}
BOB = {"x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ", "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"}


def joserfc_key(key: ec.EllipticCurvePrivateKey) -> ECKey:
    value = key.private_numbers().private_value.to_bytes(32, "big")
    return ECKey.import_key({**jose.public_jwk(key.public_key()), "d": jose.b64(value)})


def parts_of(token: str) -> tuple[dict[str, Any], list[str]]:
    head, *rest = token.split(".")
    return json.loads(jose.unb64(head)), rest


def packed(header: dict[str, Any], rest: list[str]) -> str:
    return ".".join([jose.b64(json.dumps(header).encode()), *rest])


def test_the_agreed_key_is_that_of_rfc_7518_appendix_c() -> None:
    alice = ec.derive_private_key(int.from_bytes(jose.unb64(ALICE["d"]), "big"), ec.SECP256R1())
    shared = alice.exchange(ec.ECDH(), jose.public_key({"kty": "EC", "crv": "P-256", **BOB}))
    assert jose.public_jwk(alice.public_key()) == {"kty": "EC", "crv": "P-256", "x": ALICE["x"], "y": ALICE["y"]}
    found = jose.agreed_key(shared, b"Alice", b"Bob", enc="A128GCM", bits=128)
    assert jose.b64(found) == "VqqN6vgjbSBcIijNcacQGg"


@pytest.mark.parametrize("plain", [b"", b"x", bytes(range(256)) * 40], ids=["nothing", "a byte", "ten thousand"])
def test_joserfc_opens_what_we_encrypt(plain: bytes) -> None:
    token = jose.encrypt_to(HOLDER.public_key(), plain, kid="one")
    opened = jwe.decrypt_compact(token, joserfc_key(HOLDER), registry=THEIRS)
    assert (opened.plaintext, opened.headers()["kid"]) == (plain, "one")


@pytest.mark.parametrize("parties", [{}, {"apu": jose.b64(b"Alice"), "apv": jose.b64(b"Bob")}], ids=["none", "named"])
@pytest.mark.parametrize("enc", ["A256GCM", "A128GCM"])
def test_we_open_what_joserfc_encrypts(parties: dict[str, str], enc: str) -> None:
    theirs = ECKey.import_key(dict(jose.public_jwk(HOLDER.public_key())))
    token = jwe.encrypt_compact({"alg": "ECDH-ES", "enc": enc, **parties}, b"share", theirs, registry=THEIRS)
    assert jose.decrypt(token, HOLDER) == b"share"


def test_two_encryptions_have_nothing_in_common() -> None:
    (first, one), (second, other) = (parts_of(jose.encrypt_to(HOLDER.public_key(), b"share")) for _ in range(2))
    assert first["epk"] != second["epk"]
    assert not {*filter(None, one)} & {*filter(None, other)}


@pytest.mark.parametrize("part", range(5))
def test_what_was_altered_does_not_open(part: int) -> None:
    parts = jose.encrypt_to(HOLDER.public_key(), b"share").split(".")
    parts[part] = parts[part][:-4] + "AAAA" if parts[part] else "AAAA"
    with pytest.raises(BadToken):
        jose.decrypt(".".join(parts), HOLDER)


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "ECDH-ES+A256KW"},
        {"alg": "dir"},
        {"alg": "RSA1_5"},
        {"alg": "RSA-OAEP-256"},
        {"alg": "PBES2-HS256+A128KW", "p2c": 10**9, "p2s": "AAAA"},
        {"enc": "A128GCM"},  # of a longer key
        {"enc": "A192GCM"},
        {"enc": ["A256GCM"]},
        {"enc": None},
        {"zip": "DEF"},
        {"crit": ["exp"]},
        {"epk": None},
        {"epk": {"kty": "EC", "crv": "P-256", "x": jose.b64(bytes(32)), "y": jose.b64(bytes(32))}},
        {"apu": 5},
        {"apv": "not base64url!"},
        {"apu": jose.b64(b"Alice")},
    ],
)
def test_another_header_is_refused(changes: dict[str, Any]) -> None:
    header, rest = parts_of(jose.encrypt_to(HOLDER.public_key(), b"share"))
    with pytest.raises(BadToken):
        jose.decrypt(packed(header | changes, rest), HOLDER)


def test_a_bomb_is_not_inflated() -> None:
    """RFC 8725 §3.6: `zip` is refused before anything is decrypted, and so is what is too long."""
    squeezed = zlib.compress(bytes(16 << 20), 9, wbits=-15)
    with pytest.raises(BadToken, match="not ECDH-ES"):
        jose.decrypt(jose.encrypt_to(HOLDER.public_key(), squeezed, zip="DEF"), HOLDER)
    with pytest.raises(BadToken, match="not a compact JWE"):
        jose.decrypt(jose.encrypt_to(HOLDER.public_key(), bytes(jose.MOST)), HOLDER)
    with pytest.raises(BadToken, match="not a compact JWS"):
        jose.unpack("a." + "b" * jose.MOST + ".c", "JWT")


@pytest.mark.parametrize("alg", ["RSA-OAEP-256", "RSA-OAEP"])
@pytest.mark.parametrize("plain", [b"", b"x", bytes(range(256)) * 40], ids=["nothing", "a byte", "ten thousand"])
def test_joserfc_opens_what_we_encrypt_to_rsa(alg: str, plain: bytes) -> None:
    token = jose.encrypt_to_rsa(RSA.public_key(), plain, alg, kid="one", cty="JWT")
    opened = jwe.decrypt_compact(token, RSAKey.import_key(RSA), algorithms=[alg, "A256GCM"])
    assert (opened.plaintext, opened.protected) == (plain, {"alg": alg, "enc": "A256GCM", "kid": "one", "cty": "JWT"})


def test_an_rsa_key_is_read_back() -> None:
    jwk = RSAKey.import_key(RSA).as_dict(private=False)
    assert jose.public_rsa_key(jwk).public_numbers() == RSA.public_key().public_numbers()
    for wrong in ({"kty": "EC"}, {"n": 7}, {"e": ""}, {"e": jose.b64(bytes(4) + b"\x01")}, {"n": "AAAA"}, {"d": "AQ"}):
        with pytest.raises(BadToken):
            jose.public_rsa_key({**jwk, **wrong})


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=4))
@settings(max_examples=50, deadline=None)
def test_any_object_is_signed_and_read_back(payload: dict[str, Any]) -> None:
    assert jose.verify(jose.sign(HOLDER, "test+jwt", payload), HOLDER.public_key(), "test+jwt") == payload


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_is_refused_by_name(text: str) -> None:
    for read in (lambda: jose.unpack(text, "JWT", None), lambda: jose.decrypt(text, HOLDER), lambda: jose.unb64(text)):
        with contextlib.suppress(BadToken):
            read()


@pytest.mark.parametrize("part", [1, 2], ids=["nonce", "tag"])
def test_a_short_nonce_or_tag_is_refused(part: int) -> None:
    header, rest = parts_of(jose.encrypt_to(HOLDER.public_key(), b"share"))
    place = {1: 1, 2: 3}[part]
    rest[place] = jose.b64(jose.unb64(rest[place])[:-4])
    with pytest.raises(BadToken):
        jose.decrypt(packed(header, rest), HOLDER)


def test_joserfc_verifies_what_we_sign_and_we_what_it_signs() -> None:
    ours = jose.sign(HOLDER, "test+jwt", {"name": "né à Nîmes"})
    assert json.loads(jws.deserialize_compact(ours, joserfc_key(HOLDER)).payload) == {"name": "né à Nîmes"}
    theirs = jws.serialize_compact({"alg": "ES256", "typ": "test+jwt"}, b'{"name": 1}', joserfc_key(HOLDER))
    assert jose.verify(theirs, HOLDER.public_key(), "test+jwt") == {"name": 1}


@pytest.mark.parametrize("text", ["QQ==", "QQ=", "Q", "QR", "Q+", "Q/", "Q Q", "QUJD\n", "QUJD!", "é", "+/+/", "QUJDQ"])
def test_base64url_is_canonical_or_refused(text: str) -> None:
    with pytest.raises(BadToken):
        jose.unb64(text)


@pytest.mark.parametrize("length", range(8))
def test_base64url_there_and_back(length: int) -> None:
    data = bytes(range(250, 250 + min(length, 6))) + bytes(max(0, length - 6))
    assert jose.unb64(jose.b64(data)) == data

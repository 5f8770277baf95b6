"""Active authentication: every curve in both forms of a signature, every trailer, every shape of padding."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa, utils

from emrtd.active_authentication import TWO_BYTE_TRAILERS, recovers, verify_response
from emrtd.errors import ChipIsCopy
from emrtd.groups import CurveGroup, random_scalar
from emrtd.key_agreement import compose_public
from emrtd.lds.dg15 import ActiveAuthenticationKey, compose_dg15, parse_dg15
from emrtd.pki.curves import Curve, curves, multiply
from emrtd.pki.keys import RsaKey
from emrtd.rng import seeded

CHALLENGE = bytes.fromhex("F173589974BF40C6")
DIGESTS = ("sha1", "sha224", "sha256", "sha384", "sha512")


def key_on(curve: Curve) -> tuple[int, ActiveAuthenticationKey]:
    """A private number and the DG15 of its public key, with explicit parameters."""
    group = CurveGroup(curve)
    private = random_scalar(group, seeded(curve.name.encode()))
    return private, parse_dg15(compose_dg15(compose_public(group, group.multiple(private, group.generator))))


def sign(curve: Curve, private: int, digest: str) -> tuple[int, int]:
    """ECDSA of FIPS 186-4 6.4 in plain numbers."""
    hashed = hashlib.new(digest, CHALLENGE).digest()
    number = int.from_bytes(hashed, "big") >> max(0, 8 * len(hashed) - curve.n.bit_length())
    nonce = random_scalar(CurveGroup(curve), seeded(b"nonce" + digest.encode()))
    point = multiply(curve, nonce, (curve.x, curve.y))
    assert point is not None
    r = point[0] % curve.n
    return r, pow(nonce, -1, curve.n) * (number + r * private) % curve.n


@pytest.mark.parametrize("digest", DIGESTS)
@pytest.mark.parametrize("curve", curves(), ids=lambda curve: curve.name)
def test_every_curve(curve: Curve, digest: str) -> None:
    private, key = key_on(curve)
    r, s = sign(curve, private, digest)
    size = (curve.n.bit_length() + 7) // 8
    plain = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    for response in (plain, utils.encode_dss_signature(r, s)):
        verify_response(key, CHALLENGE, response, digest=digest)
        verify_response(key, CHALLENGE, response)  # a DG14 that names no hash: each is tried
        with pytest.raises(ChipIsCopy):
            verify_response(key, bytes(8), response)
    with pytest.raises(ChipIsCopy):
        verify_response(key, CHALLENGE, plain, digest=DIGESTS[DIGESTS.index(digest) - 1])


PRIVATE = rsa.generate_private_key(65537, 2048)
NUMBERS = PRIVATE.private_numbers()
RSA_KEY = ActiveAuthenticationKey(b"", RsaKey(NUMBERS.public_numbers.n, 65537))


def answer(head: bytes, digest: str, trailer: bytes, *, fill: bytes = b"\x5a", complement: bool = False) -> bytes:
    """A signature over head | M1 | hash | trailer, 256 bytes; `complement` gives n - s (ISO/IEC 9796-2 B.6, B.4)."""
    length = 256 - len(head) - hashlib.new(digest).digest_size - len(trailer)
    recoverable = fill * length
    hashed = hashlib.new(digest, recoverable + CHALLENGE).digest()
    message = int.from_bytes(head + recoverable + hashed + trailer, "big")
    signature = pow(message, NUMBERS.d, NUMBERS.public_numbers.n)
    signature = NUMBERS.public_numbers.n - signature if complement else signature
    return signature.to_bytes(256, "big")


@pytest.mark.parametrize("complement", [False, True], ids=["s", "n-s"])
@pytest.mark.parametrize("head", [b"\x6a", b"\x6b\xbb\xba", b"\x6b" + b"\xbb" * 20 + b"\xba"], ids=bytes.hex)
@pytest.mark.parametrize("code", [None, *TWO_BYTE_TRAILERS])
def test_every_trailer_and_padding(code: int | None, head: bytes, complement: bool) -> None:
    digest, trailer = ("sha1", b"\xbc") if code is None else (TWO_BYTE_TRAILERS[code], bytes((code, 0xCC)))
    verify_response(RSA_KEY, CHALLENGE, answer(head, digest, trailer, complement=complement))
    with pytest.raises(ChipIsCopy):
        verify_response(RSA_KEY, bytes(8), answer(head, digest, trailer, complement=complement))


@pytest.mark.parametrize(
    ("head", "digest", "trailer"),
    [
        (b"\x4a", "sha1", b"\xbc"),  # total recovery: the challenge would be the chip's to choose
        (b"\x2a", "sha1", b"\xbc"),  # no scheme 1
        (b"\x6b\xbb", "sha1", b"\xbc"),  # padding without its end
        (b"\x6b\xaa\xba", "sha1", b"\xbc"),
        (b"\x6a", "sha256", b"\xbc"),  # one byte means SHA-1
        (b"\x6a", "sha256", b"\x35\xcc"),  # the trailer names another hash
        (b"\x6a", "sha256", b"\x31\xcc"),  # RIPEMD-160, which the standard excludes
        (b"\x6a", "sha1", b"\xbd"),
    ],
    ids=str,
)
def test_signatures_of_another_form(head: bytes, digest: str, trailer: bytes) -> None:
    with pytest.raises(ChipIsCopy):
        verify_response(RSA_KEY, CHALLENGE, answer(head, digest, trailer))


@pytest.mark.parametrize("size", [1, 20, 22, 34, 64])
def test_representatives_shorter_than_their_hash(size: int) -> None:
    for trailer in (b"\xbc", b"\x34\xcc", b"\x35\xcc"):
        assert not recovers((b"\x6a" + bytes(size))[: size - len(trailer)] + trailer, CHALLENGE)

"""Active authentication: the chip holds the private key of the signed DG15, so it is no copy.

ICAO 9303-11 6.1. RSA signatures are ISO/IEC 9796-2 digital signature scheme 1 with partial recovery: part
of the signed message is chosen by the chip and comes back out of the signature, the rest is the terminal's
challenge. ECDSA signatures are plain r | s, or DER where a State chose so.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric import utils

from emrtd.apdu import EXTENDED_LE_MAX, SHORT_LE_MAX, CommandApdu
from emrtd.ciphers import same
from emrtd.errors import (
    ChipIsCopy,
    Malformed,
    Misuse,
    NoChipKey,
    SignatureWrong,
    UnsupportedAlgorithm,
)
from emrtd.files import DG15
from emrtd.lds.dg15 import ActiveAuthenticationKey
from emrtd.passive import AuthenticDocument, RawDocument
from emrtd.pki.keys import EcKey, RsaKey
from emrtd.pki.signatures import verify_ecdsa

CHALLENGE = 8
# Trailers of ISO/IEC 9796-2: BC is SHA-1 by agreement, xxCC names its hash by ISO/IEC 10118-3.
ONE_BYTE_TRAILER, ONE_BYTE_HASH = 0xBC, "sha1"
TWO_BYTE_TRAILERS = {0x33: "sha1", 0x34: "sha256", 0x35: "sha512", 0x36: "sha384", 0x38: "sha224"}
HEADER_BITS, PARTIAL_RECOVERY, PADDED = 0b1100_0000, 0b0010_0000, 0b0001_0000


def internal_authenticate(challenge: bytes, *, extended: bool = False) -> CommandApdu:
    """INTERNAL AUTHENTICATE with an eight-byte challenge."""
    if len(challenge) != CHALLENGE:
        raise Misuse("an active authentication challenge has eight bytes")
    le = EXTENDED_LE_MAX if extended else SHORT_LE_MAX
    return CommandApdu(0x00, 0x88, 0, 0, challenge, le, extended)


def verify(document: AuthenticDocument, raw: RawDocument) -> str:
    """The protocol by which the chip that gave `raw` showed the key of DG15: "AA-RSA" or "AA-ECDSA".

    Raises NoChipKey where the document has no key, ChipIsCopy where the chip did not answer
    or answered wrongly. `raw` must be what `document` came from.
    """
    key = document.active_authentication_key
    if key is None and DG15 in document.signed_groups:
        raise ChipIsCopy("the chip hides the key that its State signed")
    if key is None:
        raise NoChipKey("the document has no active authentication key")
    if not raw.response:
        raise ChipIsCopy("the chip did not answer the challenge that its document promises to answer")
    digest = document.dg14.active_authentication_hash if document.dg14 else None
    verify_response(key, raw.challenge, raw.response, digest=digest)
    return "AA-RSA" if isinstance(key.key, RsaKey) else "AA-ECDSA"


def verify_response(
    key: ActiveAuthenticationKey, challenge: bytes, response: bytes, *, digest: str | None = None
) -> None:
    """Check one answer. `digest` is the hash DG14 names for ECDSA. Raises ChipIsCopy."""
    if len(challenge) != CHALLENGE:
        raise Misuse("an active authentication challenge has eight bytes")
    if isinstance(key.key, RsaKey):
        _verify_rsa(key.key, challenge, response)
    else:
        _verify_ecdsa(key.key, challenge, response, digest)


def _verify_rsa(key: RsaKey, challenge: bytes, response: bytes) -> None:
    number = int.from_bytes(response, "big")
    if len(response) != key.size or number >= key.modulus:
        raise ChipIsCopy(f"{len(response)} bytes are no signature of a {key.size}-byte key")
    opened = pow(number, key.exponent, key.modulus)
    # ISO/IEC 9796-2 allows the signature min(s, n - s); the right one ends in xC
    candidates = (opened, key.modulus - opened)
    if not any(recovers(candidate.to_bytes(key.size, "big"), challenge) for candidate in candidates):
        raise ChipIsCopy("the chip's signature does not verify")


def recovers(message: bytes, challenge: bytes) -> bool:
    """True if `message` is header | M1 | hash(M1 | challenge) | trailer (9303-11 F, steps 12 to 18)."""
    digest, trailer_size = _trailer(message)
    if digest is None or message[0] & HEADER_BITS != 0b0100_0000 or not message[0] & PARTIAL_RECOVERY:
        return False
    size = hashlib.new(digest).digest_size
    start = _recoverable_start(message)
    end = len(message) - size - trailer_size
    if not 0 < start <= end:
        return False
    hashed = hashlib.new(digest, message[start:end] + challenge).digest()
    return same(hashed, message[end : end + size])


def _trailer(message: bytes) -> tuple[str | None, int]:
    """The hash that the trailer names and the trailer's length."""
    if message[-1] == ONE_BYTE_TRAILER:
        return ONE_BYTE_HASH, 1
    if message[-1] == 0xCC:
        return TWO_BYTE_TRAILERS.get(message[-2]), 2
    return None, 0


def _recoverable_start(message: bytes) -> int:
    """Where M1 begins; 0 if the padding is wrong. 6A: at once; 4B BB ... BA: after the padding."""
    if message[0] & 0x0F == 0x0A:
        return 1
    end = message.find(b"\xba")
    padded = message[0] & 0x0F == 0x0B and end > 0 and set(message[1:end]) <= {0xBB}
    return end + 1 if padded else 0


def _verify_ecdsa(key: EcKey, challenge: bytes, response: bytes, digest: str | None) -> None:
    """Plain or DER; the hash DG14 names, else those no longer than the key allows (9303-11 6.1.2.3)."""
    candidates = (digest,) if digest else ("sha256", "sha1", "sha224", "sha384", "sha512")
    for signature in _der_forms(key, response):
        for name in candidates:
            try:
                verify_ecdsa(key, name, signature, challenge)
            except (SignatureWrong, Malformed, UnsupportedAlgorithm):
                continue
            return
    raise ChipIsCopy("the chip's signature does not verify")


def _der_forms(key: EcKey, response: bytes) -> tuple[bytes, ...]:
    size = (key.curve.n.bit_length() + 7) // 8
    if len(response) != 2 * size:
        return (response,)
    r, s = int.from_bytes(response[:size], "big"), int.from_bytes(response[size:], "big")
    plain = utils.encode_dss_signature(r, s)
    return (plain, response) if response[:1] == b"\x30" else (plain,)

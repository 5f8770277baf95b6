"""3DES as travel documents use it: CBC encryption, retail MAC, ISO 9797-1 padding (ICAO 9303-11 9.8.6)."""

from __future__ import annotations

import hmac

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from emrtd.errors import ChannelBroken

BLOCK = 8
ZERO_IV = bytes(BLOCK)


def pad(data: bytes, block: int = BLOCK) -> bytes:
    """Padding method 2 of ISO/IEC 9797-1: 80, then zeros to a full block."""
    return data + b"\x80" + bytes(-(len(data) + 1) % block)


def unpad(data: bytes) -> bytes:
    """Remove padding method 2. Raises ChannelBroken."""
    stripped = data.rstrip(b"\0")
    if not stripped.endswith(b"\x80"):
        raise ChannelBroken("no padding in a decrypted message")
    return stripped[:-1]


def _three_keys(key: bytes) -> TripleDES:
    """K1, K2, K1: `cryptography` is about to refuse the two-key form."""
    return TripleDES(key + key[:8])


def encrypt(key: bytes, data: bytes) -> bytes:
    """3DES-CBC with zero IV; `key` has 16 bytes, `data` full blocks."""
    encryptor = Cipher(_three_keys(key), modes.CBC(ZERO_IV)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def decrypt(key: bytes, data: bytes) -> bytes:
    """3DES-CBC with zero IV. Raises ChannelBroken if `data` is not in full blocks."""
    if not data or len(data) % BLOCK:
        raise ChannelBroken("a cryptogram that is not in full blocks")
    decryptor = Cipher(_three_keys(key), modes.CBC(ZERO_IV)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def retail_mac(key: bytes, padded: bytes) -> bytes:
    """MAC algorithm 3 of ISO/IEC 9797-1 with DES, 8 bytes; `padded` is in full blocks.

    Single DES with the first key chains all blocks but the last (3DES with three equal keys is DES), and
    the last goes through E(K1) D(K2) E(K1), which is two-key 3DES.
    """
    chained = ZERO_IV
    if len(padded) > BLOCK:
        first = Cipher(TripleDES(key[:8] * 3), modes.CBC(ZERO_IV)).encryptor()
        chained = (first.update(padded[:-BLOCK]) + first.finalize())[-BLOCK:]
    last = Cipher(_three_keys(key), modes.CBC(chained)).encryptor()
    return last.update(padded[-BLOCK:]) + last.finalize()


def same(left: bytes, right: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(left, right)

"""The symmetric algorithms of a channel: 3DES or AES (ICAO 9303-11 9.7.1, 9.8.6, 9.8.7)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from emrtd import ciphers
from emrtd.ciphers import pad
from emrtd.errors import ChannelBroken
from emrtd.keys import derive_3des

MAC = 8


@dataclass(frozen=True)
class TripleDes:
    """Two-key 3DES: zero IV, retail MAC."""

    name: str = "3DES"
    key_size: int = 16
    block: int = 8

    def derive(self, secret: bytes, counter: int) -> bytes:
        return derive_3des(secret, counter)

    def encrypt(self, key: bytes, counter: int, padded: bytes) -> bytes:
        """Encrypt full blocks of the message with `counter`, which 3DES does not use."""
        return ciphers.encrypt(key, padded)

    def decrypt(self, key: bytes, counter: int, data: bytes) -> bytes:
        """Raises ChannelBroken if `data` is not in full blocks."""
        return ciphers.decrypt(key, data)

    def mac(self, key: bytes, message: bytes) -> bytes:
        """Checksum of an authentication token, 8 bytes."""
        return ciphers.retail_mac(key, pad(message))

    def secure_mac(self, key: bytes, counter: int, message: bytes) -> bytes:
        """Checksum of a protected message, 8 bytes."""
        return self.mac(key, _counter(counter, self.block) + message)

    def decrypt_nonce(self, key: bytes, data: bytes) -> bytes:
        return ciphers.decrypt(key, data)

    def encrypt_nonce(self, key: bytes, nonce: bytes) -> bytes:
        return ciphers.encrypt(key, nonce)


@dataclass(frozen=True)
class Aes:
    """AES with keys of `key_size` bytes: IV from the counter, CMAC cut to eight bytes."""

    name: str
    key_size: int
    block: int = 16

    def derive(self, secret: bytes, counter: int) -> bytes:
        """9303-11 9.7.1.2: SHA-1 for 128 bits, SHA-256 for 192 and 256."""
        data = secret + counter.to_bytes(4, "big")
        if self.key_size == 16:
            return hashlib.sha1(data, usedforsecurity=False).digest()[:16]
        return hashlib.sha256(data).digest()[: self.key_size]

    def encrypt(self, key: bytes, counter: int, padded: bytes) -> bytes:
        encryptor = Cipher(algorithms.AES(key), modes.CBC(self._iv(key, counter))).encryptor()
        return encryptor.update(padded) + encryptor.finalize()

    def decrypt(self, key: bytes, counter: int, data: bytes) -> bytes:
        """Raises ChannelBroken if `data` is not in full blocks."""
        return self._decrypt(key, self._iv(key, counter), data)

    def _decrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        if not data or len(data) % self.block:
            raise ChannelBroken("a cryptogram that is not in full blocks")
        decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
        return decryptor.update(data) + decryptor.finalize()

    def _iv(self, key: bytes, counter: int) -> bytes:
        """9303-11 9.8.6.1: the counter, encrypted."""
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - one block
        return encryptor.update(_counter(counter, self.block)) + encryptor.finalize()

    def mac(self, key: bytes, message: bytes) -> bytes:
        code = CMAC(algorithms.AES(key))
        code.update(message)
        return code.finalize()[:MAC]

    def secure_mac(self, key: bytes, counter: int, message: bytes) -> bytes:
        return self.mac(key, pad(_counter(counter, self.block) + message, self.block))

    def decrypt_nonce(self, key: bytes, data: bytes) -> bytes:
        return self._decrypt(key, bytes(self.block), data)

    def encrypt_nonce(self, key: bytes, nonce: bytes) -> bytes:
        encryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(self.block))).encryptor()
        return encryptor.update(nonce) + encryptor.finalize()


Suite = TripleDes | Aes
TRIPLE_DES = TripleDes()
AES_128, AES_192, AES_256 = Aes("AES-128", 16), Aes("AES-192", 24), Aes("AES-256", 32)
SUITES: dict[str, Suite] = {"1": TRIPLE_DES, "2": AES_128, "3": AES_192, "4": AES_256}
"""By the last arc of the object identifiers of PACE and chip authentication (9303-11 9.2.3, 9.2.7)."""
STRENGTH: dict[Suite, int] = {suite: strength for strength, suite in enumerate(SUITES.values())}
"""The higher, the stronger; the length of the keys alone would not tell 3DES from AES-128."""


def _counter(counter: int, size: int) -> bytes:
    return (counter % (1 << 8 * size)).to_bytes(size, "big")

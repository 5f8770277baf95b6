"""From what is printed on a document to the keys that open its chip (ICAO 9303-11 4.3.3, 9.7.1)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from emrtd.errors import Misuse
from emrtd.mrz import MRZ_ALPHABET, check_digit

ENCRYPTION, AUTHENTICATION, PASSWORD = 1, 2, 3  # the counter c of 9303-11 9.7.1


@dataclass(frozen=True)
class MrzKey:
    """The access key printed in the machine-readable zone.

    ``document_number`` is the whole number, also where it has over nine characters; the dates are
    YYMMDD, "<" for unknown digits of the birth date. Raises Misuse. Never shown by ``repr``.
    """

    document_number: str = field(repr=False)
    birth_date: str = field(repr=False)
    expiry_date: str = field(repr=False)

    def __post_init__(self) -> None:
        number = self.document_number.upper().rstrip("<")
        object.__setattr__(self, "document_number", number)
        if not 1 <= len(number) <= 22 or not set(number) <= MRZ_ALPHABET:
            raise Misuse("a document number has 1 to 22 characters A-Z, 0-9, <")
        for date in (self.birth_date, self.expiry_date):
            if len(date) != 6 or not set(date) <= set("0123456789<"):
                raise Misuse("a date of the machine-readable zone is written YYMMDD")

    @property
    def information(self) -> str:
        """The MRZ_information of 9303-11 D.2: number, birth date, expiry, each with its check digit."""
        number = self.document_number.ljust(9, "<")
        return "".join(part + check_digit(part) for part in (number, self.birth_date, self.expiry_date))

    @property
    def digest(self) -> bytes:
        """SHA-1 of the MRZ_information, 20 bytes: the password of PACE."""
        return hashlib.sha1(self.information.encode("ascii"), usedforsecurity=False).digest()

    @property
    def seed(self) -> bytes:
        """Kseed of BAC, 16 bytes (9303-11 4.3.2)."""
        return self.digest[:16]


@dataclass(frozen=True)
class Can:
    """The card access number, six digits printed on the document; it opens PACE, never BAC."""

    value: str = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.value) != 6 or not self.value.isdecimal() or not self.value.isascii():
            raise Misuse("a card access number has six digits")


Access = MrzKey | Can


def password(access: Access) -> bytes:
    """The password K from which PACE derives its key (9303-11 9.7.3)."""
    return access.value.encode("ascii") if isinstance(access, Can) else access.digest


def derive_3des(seed: bytes, counter: int) -> bytes:
    """A two-key 3DES key, 16 bytes with parity (9303-11 9.7.1.1)."""
    digest = hashlib.sha1(seed + counter.to_bytes(4, "big"), usedforsecurity=False).digest()
    return bytes(_odd_parity(byte) for byte in digest[:16])


def _odd_parity(byte: int) -> int:
    return (byte & 0xFE) | (byte >> 1).bit_count() & 1 ^ 1

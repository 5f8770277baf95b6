"""Documents and chips that must be refused, each named by its flaw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from emrtd.errors import Misuse, TagLost
from emrtd.exchange import Transmit
from emrtd.files import group_file
from emrtd.lds.dg1 import compose_dg1, parse_dg1
from emrtd.pki.specimen import make_key
from emrtd.rng import Rng
from emrtd.softchip.document import ChipDocument


def cloned(document: ChipDocument, rng: Rng) -> ChipDocument:
    """A perfect copy of the files on another chip: the private key stayed behind, another answers."""
    if not document.private_key:
        raise Misuse("a document without active authentication can be copied unnoticed")
    original = load_der_private_key(document.private_key, None)
    kind = f"rsa-{original.key_size}" if isinstance(original, rsa.RSAPrivateKey) else "secp256r1"
    der, plain = serialization.Encoding.DER, serialization.NoEncryption()
    other = make_key(kind, rng).private_bytes(der, serialization.PrivateFormat.PKCS8, plain)
    return replace(document, private_key=other)


def mute(document: ChipDocument) -> ChipDocument:
    """A copy on a chip that cannot answer a challenge at all."""
    return replace(document, private_key=b"")


def altered(document: ChipDocument, group: int) -> ChipDocument:
    """One byte of a data group changed after the State signed."""
    file_id = group_file(group).file_id
    content = bytearray(document.files[file_id])
    content[-1] ^= 0x01
    return replace(document, files={**document.files, file_id: bytes(content)})


def forged(document: ChipDocument, *, surname: str) -> ChipDocument:
    """The machine-readable zone rewritten to another (already transliterated) surname; all else is genuine."""
    file_id = group_file(1).file_id
    mrz = replace(parse_dg1(document.files[file_id]), primary=surname)
    return replace(document, files={**document.files, file_id: compose_dg1(mrz)})


def with_portrait_of(document: ChipDocument, other: ChipDocument) -> ChipDocument:
    """The portrait of another document put in: an impostor's attempt."""
    file_id = group_file(2).file_id
    return replace(document, files={**document.files, file_id: other.files[file_id]})


def lost_after(transmit: Transmit, count: int) -> Transmit:
    """A chip that leaves the field once `count` bytes of answers have passed, and does not come back."""
    passed = 0

    def send(apdu: bytes) -> bytes:
        nonlocal passed
        answer = b"" if passed >= count else transmit(apdu)
        passed += len(answer)
        if passed >= count:
            raise TagLost()
        return answer

    return send


def slow(transmit: Transmit, wait: Callable[[float], object], *, seconds: float) -> Transmit:
    """A chip that takes its time; `wait` is `time.sleep` in real use."""

    def send(apdu: bytes) -> bytes:
        wait(seconds)
        return transmit(apdu)

    return send

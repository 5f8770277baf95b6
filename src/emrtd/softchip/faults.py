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
from emrtd.groups import random_scalar
from emrtd.key_agreement import load_public
from emrtd.lds.dg1 import compose_dg1, parse_dg1
from emrtd.pki.specimen import make_key
from emrtd.rng import Rng
from emrtd.softchip.document import ChipDocument


def cloned(document: ChipDocument, rng: Rng) -> ChipDocument:
    """A perfect copy of the files on another chip: the private keys stayed behind, others answer."""
    if not document.private_key and not document.chip_keys:
        raise Misuse("a document whose State signed no key of its chip can be copied unnoticed")
    secrets = tuple(replace(key, private=random_scalar(load_public(key.public)[0], rng)) for key in document.chip_keys)
    return replace(document, private_key=_other_key(document.private_key, rng), chip_keys=secrets)


def _other_key(private_key: bytes, rng: Rng) -> bytes:
    """Another key of the same kind, PKCS #8 DER; b"" for none."""
    if not private_key:
        return b""
    original = load_der_private_key(private_key, None)
    kind = f"rsa-{original.key_size}" if isinstance(original, rsa.RSAPrivateKey) else "secp256r1"
    der, plain = serialization.Encoding.DER, serialization.NoEncryption()
    return make_key(kind, rng).private_bytes(der, serialization.PrivateFormat.PKCS8, plain)


def mute(document: ChipDocument) -> ChipDocument:
    """A copy on a chip that cannot prove anything at all."""
    return replace(document, private_key=b"", chip_keys=())


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

"""EF.SOD: the hashes of the data groups, signed by a State (ICAO 9303-10 4.6.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from asn1crypto import cms, core

from emrtd import tlv
from emrtd.errors import MalformedFile, MalformedSignedData, MalformedTlv
from emrtd.files import SOD
from emrtd.pki.ber import to_definite
from emrtd.pki.cms import SignedData, SignerInfo, read_signed_data
from emrtd.pki.keys import PublicKey
from emrtd.pki.signatures import hash_name

SOD_MAX = 1 << 17
LDS_SECURITY_OBJECT = "2.23.136.1.1.1"
CONTENT_TYPES = (
    LDS_SECURITY_OBJECT,
    "1.3.27.1.1.1",  # France and Belgium, before the identifier was settled
    "1.2.528.1.1006.1.20.1",  # Netherlands
    "1.2.840.113549.1.7.1",  # id-data, China
)


class _GroupHash(core.Sequence):  # type: ignore[misc]
    _fields: ClassVar[list[tuple[object, ...]]] = [("number", core.Integer), ("value", core.OctetString)]


class _GroupHashes(core.SequenceOf):  # type: ignore[misc]
    _child_spec = _GroupHash


class LdsSecurityObject(core.Sequence):  # type: ignore[misc]
    """LDSSecurityObject of 9303-10 4.6.2.2."""

    _fields: ClassVar[list[tuple[object, ...]]] = [
        ("version", core.Integer),
        ("hash_algorithm", cms.DigestAlgorithm),
        ("hashes", _GroupHashes),
        ("lds_version", core.Any, {"optional": True}),
    ]


@dataclass(frozen=True)
class Sod:
    """The security object, read but not verified: ``hashes`` by data group, made with ``hash``."""

    hash: str
    hashes: Mapping[int, bytes]
    signed: SignedData = field(repr=False)

    @property
    def signer(self) -> SignerInfo:
        """The one signature."""
        return self.signed.signers[0]

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """DER, as embedded."""
        return self.signed.certificates

    @property
    def signing_time(self) -> datetime | None:
        return self.signer.signing_time

    def verify(self, key: PublicKey) -> None:
        """Check the signature with the document signer's key. Raises SignatureWrong, UnsupportedAlgorithm."""
        self.signed.verify(self.signer, key)


def parse_sod(content: bytes) -> Sod:
    """Read EF.SOD. Raises MalformedFile, UnsupportedAlgorithm."""
    if len(content) > SOD_MAX:
        raise MalformedFile("SOD", f"{len(content)} bytes")
    try:
        return _parse(read_signed_data(tlv.expect(to_definite(content), SOD.tag).value))
    except (MalformedTlv, MalformedSignedData) as error:
        raise MalformedFile("SOD", str(error)) from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise MalformedFile("SOD", f"cannot be read: {error}") from error


def _parse(signed: SignedData) -> Sod:
    if signed.content_type not in CONTENT_TYPES:
        raise MalformedFile("SOD", f"content type {signed.content_type}")
    if len(signed.signers) != 1:
        raise MalformedFile("SOD", f"{len(signed.signers)} signers where one belongs")
    security_object = LdsSecurityObject.load(to_definite(signed.content))
    return Sod(hash_name(security_object["hash_algorithm"]), _hashes(security_object["hashes"]), signed)


def _hashes(hashes: _GroupHashes) -> dict[int, bytes]:
    found = {item["number"].native: bytes(item["value"].native) for item in hashes}
    if not found or not set(found) <= set(range(1, 17)):
        raise MalformedFile("SOD", "hashes of data groups that do not exist")
    return found

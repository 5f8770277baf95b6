"""EF.SOD: the hashes of the data groups, signed by a State (ICAO 9303-10 4.6.2, RFC 5652)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from asn1crypto import cms, core

from emrtd import tlv
from emrtd.errors import MalformedFile, MalformedTlv, SignatureWrong
from emrtd.files import SOD
from emrtd.pki.certificate import name_key
from emrtd.pki.keys import PublicKey
from emrtd.pki.signatures import Scheme, hash_name, scheme_of, verify

SOD_MAX = 1 << 17
CERTIFICATES_MAX = 16
LDS_SECURITY_OBJECT = "2.23.136.1.1.1"
CONTENT_TYPES = (LDS_SECURITY_OBJECT, "1.3.27.1.1.1", "1.2.528.1.1006.1.20.1", "1.2.840.113549.1.7.1")
CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME = (f"1.2.840.113549.1.9.{part}" for part in (3, 4, 5))


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
class SignerId:
    """How the SignerInfo names its certificate: key identifier, or issuer (name key) and serial."""

    key_id: bytes | None
    issuer: str
    serial: int | None


@dataclass(frozen=True)
class Sod:
    """The security object, read but not verified. ``certificates`` are DER, as embedded."""

    hash: str
    hashes: Mapping[int, bytes]
    certificates: tuple[bytes, ...] = field(repr=False)
    signer: SignerId
    signing_time: datetime | None
    scheme: Scheme
    digest: str
    content_type: str
    content: bytes = field(repr=False)
    attributes: bytes = field(repr=False)
    signed_digest: bytes = field(repr=False)
    signed_content_type: str
    signature: bytes = field(repr=False)

    def verify(self, key: PublicKey) -> None:
        """Check the signature with the document signer's key. Raises SignatureWrong, UnsupportedAlgorithm."""
        if not self.attributes:  # RFC 5652 5.4: without attributes the content itself is signed
            verify(key, self.scheme, self.signature, self.content)
            return
        if self.signed_content_type != self.content_type:
            raise SignatureWrong("the signed attributes name another content type")
        if self.signed_digest != hashlib.new(self.digest, self.content).digest():
            raise SignatureWrong("the signed attributes hold another digest than the hashes have")
        verify(key, self.scheme, self.signature, self.attributes)


def parse_sod(content: bytes) -> Sod:
    """Read EF.SOD. Raises MalformedFile, UnsupportedAlgorithm."""
    if len(content) > SOD_MAX:
        raise MalformedFile("SOD", f"{len(content)} bytes")
    try:
        inner = tlv.expect(content, SOD.tag).value
        return _parse(inner)
    except MalformedTlv as error:
        raise MalformedFile("SOD", str(error)) from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise MalformedFile("SOD", f"cannot be read: {error}") from error


def _parse(inner: bytes) -> Sod:
    info = cms.ContentInfo.load(inner)
    if info["content_type"].native != "signed_data":
        raise MalformedFile("SOD", "no signed data")
    signed = info["content"]
    content_type = signed["encap_content_info"]["content_type"].dotted
    if content_type not in CONTENT_TYPES:
        raise MalformedFile("SOD", f"content type {content_type}")
    content = bytes(signed["encap_content_info"]["content"])
    hashes = LdsSecurityObject.load(content)
    signers = signed["signer_infos"]
    if len(signers) != 1:
        raise MalformedFile("SOD", f"{len(signers)} signers where one belongs")
    signer = signers[0]
    attributes = _attributes(signer)
    digest = hash_name(signer["digest_algorithm"])
    return Sod(
        hash=hash_name(hashes["hash_algorithm"]),
        hashes=_hashes(hashes["hashes"]),
        certificates=_certificates(signed["certificates"]),
        signer=_signer_id(signer["sid"]),
        signing_time=attributes.signing_time,
        scheme=scheme_of(signer["signature_algorithm"], digest),
        digest=digest,
        content_type=content_type,
        content=content,
        attributes=_signed_bytes(signer),
        signed_digest=attributes.message_digest,
        signed_content_type=attributes.content_type,
        signature=bytes(signer["signature"].native),
    )


def _hashes(hashes: _GroupHashes) -> dict[int, bytes]:
    found = {item["number"].native: bytes(item["value"].native) for item in hashes}
    if not found or not set(found) <= set(range(1, 17)):
        raise MalformedFile("SOD", "hashes of data groups that do not exist")
    return found


def _certificates(embedded: cms.CertificateSet) -> tuple[bytes, ...]:
    ders = [item.chosen.dump() for item in embedded or () if item.name == "certificate"]
    if len(ders) > CERTIFICATES_MAX:
        raise MalformedFile("SOD", f"{len(ders)} certificates")
    return tuple(ders)


def _signer_id(sid: cms.SignerIdentifier) -> SignerId:
    if sid.name == "subject_key_identifier":
        return SignerId(bytes(sid.chosen.native), "", None)
    return SignerId(None, name_key(sid.chosen["issuer"]), sid.chosen["serial_number"].native)


@dataclass(frozen=True)
class _Attributes:
    """The three signed attributes that count; empty where absent."""

    content_type: str = ""
    message_digest: bytes = b""
    signing_time: datetime | None = None


def _attributes(signer: cms.SignerInfo) -> _Attributes:
    attributes = signer["signed_attrs"]
    if isinstance(attributes, core.Void):
        return _Attributes()
    found = {item["type"].dotted: item["values"][0] for item in attributes}
    time = found.get(SIGNING_TIME)
    return _Attributes(
        content_type=found[CONTENT_TYPE].dotted,
        message_digest=bytes(found[MESSAGE_DIGEST].native),
        signing_time=None if time is None else time.native,
    )


def _signed_bytes(signer: cms.SignerInfo) -> bytes:
    """The attributes as signed: their own bytes, under the tag of a SET (RFC 5652 5.4)."""
    attributes = signer["signed_attrs"]
    return b"" if isinstance(attributes, core.Void) else b"\x31" + attributes.dump()[1:]

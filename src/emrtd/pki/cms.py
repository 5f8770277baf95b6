"""CMS SignedData, read once for all that States sign so (RFC 5652 5): EF.SOD, EF.CardSecurity, master lists.

The reader says what is written; `SignedData.signed_by` says whose key it verifies with. Whether that signer
is trusted is `emrtd.pki.trust`'s question. How a signature was made comes from its SignerInfo, never from a
certificate: some States sign with PKCS #1 under a certificate signed with PSS.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from asn1crypto import cms, core

from emrtd import tlv
from emrtd.errors import Malformed, MalformedSignedData, MalformedTlv, SignatureWrong
from emrtd.pki.ber import to_definite
from emrtd.pki.certificate import Certificate, load_certificate, name_key
from emrtd.pki.extensions import in_utc
from emrtd.pki.keys import PublicKey
from emrtd.pki.signatures import Scheme, hash_name, scheme_of, verify

SIZE_MAX = 1 << 24
CERTIFICATES_MAX = 64
SIGNERS_MAX = 16
SIGNED_DATA = "1.2.840.113549.1.7.2"
CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME = (f"1.2.840.113549.1.9.{part}" for part in (3, 4, 5))


@dataclass(frozen=True)
class SignerInfo:
    """One signature and how it names its certificate: key identifier, or issuer (see `name_key`) and serial.

    ``attributes`` are the signed attributes as they came, under the tag of a SET, empty where there are none;
    ``sorted_attributes`` the same in the order DER asks for. ``digest`` is the hash of the content.
    """

    key_id: bytes | None
    issuer: str
    serial: int | None
    digest: str
    scheme: Scheme
    signature: bytes = field(repr=False)
    attributes: bytes = field(repr=False)
    sorted_attributes: bytes = field(repr=False)
    content_type: str
    message_digest: bytes = field(repr=False)
    signing_time: datetime | None

    def names(self, certificate: Certificate) -> bool:
        """True if `certificate` is the one this signature says it was made with."""
        if self.key_id is not None:
            return certificate.key_id == self.key_id
        return (certificate.issuer, certificate.serial) == (self.issuer, self.serial)


@dataclass(frozen=True)
class SignedData:
    """Signed content, read but not verified. ``certificates`` are those embedded, in DER.

    ``signers`` holds the signatures that could be read, at least one.
    """

    content_type: str
    content: bytes = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    signers: tuple[SignerInfo, ...]

    def verify(self, signer: SignerInfo, key: PublicKey) -> None:
        """Check one signature with `key`. Raises SignatureWrong, UnsupportedAlgorithm, MalformedCertificate."""
        if not signer.attributes:  # RFC 5652 5.4: without attributes the content itself is signed
            verify(key, signer.scheme, signer.signature, self.content)
            return
        if signer.content_type != self.content_type:
            raise SignatureWrong("the signed attributes name another content type")
        if signer.message_digest != hashlib.new(signer.digest, self.content).digest():
            raise SignatureWrong("the signed attributes hold another digest than the content has")
        try:
            verify(key, signer.scheme, signer.signature, signer.attributes)
        except SignatureWrong:
            if signer.attributes == signer.sorted_attributes:
                raise
            verify(key, signer.scheme, signer.signature, signer.sorted_attributes)  # RFC 5652 5.4: in DER

    def signed_by(self, known: Iterable[Certificate] = ()) -> tuple[SignerInfo, Certificate]:
        """The first signature that verifies, and with whose key: the certificate it names, else any embedded.

        `known` are certificates that may have been left out of the structure. Raises SignatureWrong;
        MalformedSignedData where there is no certificate to try.
        """
        embedded = readable(self.certificates)
        candidates = [*embedded, *(one for one in known if any(signer.names(one) for signer in self.signers))]
        if not candidates:
            raise MalformedSignedData("no usable certificate of a signer")
        for signer in self.signers:
            for certificate in sorted(candidates, key=lambda one: not signer.names(one)):
                try:
                    self.verify(signer, certificate.key)
                except (SignatureWrong, Malformed):
                    continue
                return signer, certificate
        raise SignatureWrong("the signature does not verify with any certificate it may mean")


def readable(ders: Iterable[bytes]) -> list[Certificate]:
    """Those of `ders` that can be read: one certificate that cannot must not hide the others."""
    found = []
    for der in ders:
        try:
            found.append(load_certificate(der))
        except Malformed:
            continue
    return found


def read_signed_data(data: bytes) -> SignedData:
    """Read a ContentInfo that holds SignedData, DER or BER. Raises MalformedSignedData, UnsupportedAlgorithm."""
    if len(data) > SIZE_MAX:
        raise MalformedSignedData(f"{len(data)} bytes")
    try:
        return _read(to_definite(data))
    except MalformedTlv as error:
        raise MalformedSignedData(str(error)) from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise MalformedSignedData(f"cannot be read: {error}") from error


def _read(data: bytes) -> SignedData:
    info = cms.ContentInfo.load(data)
    if info["content_type"].dotted != SIGNED_DATA:
        raise MalformedSignedData("no signed data")
    signed = info["content"]
    encapsulated = signed["encap_content_info"]
    return SignedData(
        content_type=encapsulated["content_type"].dotted,
        content=bytes(encapsulated["content"]),
        certificates=_certificates(signed["certificates"]),
        signers=_signers(signed["signer_infos"]),
    )


def _certificates(embedded: cms.CertificateSet) -> tuple[bytes, ...]:
    ders = [item.chosen.dump() for item in embedded or () if item.name == "certificate"]
    if len(ders) > CERTIFICATES_MAX:
        raise MalformedSignedData(f"{len(ders)} certificates")
    return tuple(ders)


def _signers(infos: cms.SignerInfos) -> tuple[SignerInfo, ...]:
    """Those that can be read. Where none can, the reason of the first is raised."""
    if not 1 <= len(infos) <= SIGNERS_MAX:
        raise MalformedSignedData(f"{len(infos)} signers")
    found: list[SignerInfo] = []
    reasons: list[Malformed] = []
    for info in infos:
        try:
            found.append(_signer(info))
        except Malformed as error:
            reasons.append(error)
    if not found:
        raise reasons[0]
    return tuple(found)


def _signer(info: cms.SignerInfo) -> SignerInfo:
    sid, digest = info["sid"], hash_name(info["digest_algorithm"])
    by_key = sid.name == "subject_key_identifier"
    attributes = info["signed_attrs"]
    values = {} if isinstance(attributes, core.Void) else _values(attributes)
    time = values.get(SIGNING_TIME)
    raw = b"\x31" + attributes.dump()[1:] if values else b""  # RFC 5652 5.4: under the tag of a SET
    return SignerInfo(
        key_id=bytes(sid.chosen.native) if by_key else None,
        issuer="" if by_key else name_key(sid.chosen["issuer"]),
        serial=None if by_key else sid.chosen["serial_number"].native,
        digest=digest,
        scheme=scheme_of(info["signature_algorithm"], digest),
        signature=bytes(info["signature"].native),
        attributes=raw,
        sorted_attributes=_sorted(attributes) if values else b"",
        content_type=values[CONTENT_TYPE].dotted if values else "",
        message_digest=bytes(values[MESSAGE_DIGEST].native) if values else b"",
        signing_time=None if time is None else in_utc(time.native),
    )


def _values(attributes: cms.CMSAttributes) -> dict[str, core.Asn1Value]:
    found = {item["type"].dotted: item["values"][0] for item in attributes}
    if CONTENT_TYPE not in found or MESSAGE_DIGEST not in found:
        raise MalformedSignedData("signed attributes without content type or digest")
    return found


def _sorted(attributes: cms.CMSAttributes) -> bytes:
    """The attributes as DER orders a SET OF (X.690 11.6)."""
    return tlv.encode(0x31, *sorted(item.dump() for item in attributes))

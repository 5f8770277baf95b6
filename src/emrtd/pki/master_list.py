"""CSCA master lists: the authorities a State or the United Nations answers for (ICAO 9303-12 9).

A list is believed under a root that the operator was given by another way: its signer's certificate must
chain to that root, possibly through authorities embedded in the list. What stands in the list helps nobody
to sign it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from emrtd import tlv
from emrtd.errors import MalformedSignedData, MalformedTlv, NotSignedByTrustedAuthority, SignerExpired, SignerNotAllowed
from emrtd.pki.ber import to_definite
from emrtd.pki.certificate import DIGITAL_SIGNATURE, Certificate
from emrtd.pki.cms import SignedData, read_signed_data, readable
from emrtd.pki.trust import TrustStore

MASTER_LIST = "2.23.136.1.1.2"
LIST_SIGNER = "2.23.136.1.1.3"
CERTIFICATES_MAX = 8192


@dataclass(frozen=True)
class MasterList:
    """A list as it came, not verified. ``certificates`` are single objects, not all of them readable."""

    signed: SignedData
    certificates: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True)
class ListSigner:
    """Who signed a list, when it says it was, and the root that answers for the signer.

    ``warnings``: "no_extended_key_usage" for a signer not marked as one of lists, "no_signing_time".
    """

    certificate: Certificate
    root: Certificate
    signed_at: datetime | None
    warnings: tuple[str, ...]


def parse_master_list(data: bytes) -> MasterList:
    """Read a list, DER or BER. Raises MalformedSignedData, UnsupportedAlgorithm."""
    signed = read_signed_data(data)
    if signed.content_type != MASTER_LIST:
        raise MalformedSignedData(f"content type {signed.content_type} where a master list belongs")
    try:
        return MasterList(signed, tuple(_certificates(signed.content)))
    except MalformedTlv as error:
        raise MalformedSignedData(f"a master list cannot be read: {error}") from error


def _certificates(content: bytes) -> Iterator[bytes]:
    """CscaMasterList ::= SEQUENCE { version, certList SET OF Certificate }."""
    body = tlv.expect(to_definite(content), 0x30).value
    _, at = tlv.read(body)
    certificates = tlv.expect(body, 0x31, at).value
    at = count = 0
    while at < len(certificates):
        item, at = tlv.read(certificates, at)
        count += 1
        if count > CERTIFICATES_MAX:
            raise MalformedSignedData("too many certificates in a master list")
        yield item.raw


def verify_master_list(found: MasterList, roots: Iterable[bytes], *, at: datetime) -> ListSigner:
    """Check a list's signature and its signer's path to one of `roots` (DER), at the moment `at`.

    Raises SignatureWrong, NotSignedByTrustedAuthority, AuthorityExpired, SignerExpired, SignerNotAllowed,
    MalformedSignedData.
    """
    given = readable(roots)
    signer, certificate = found.signed.signed_by(given)
    trust = TrustStore.of([root.der for root in given], unvouched=found.signed.certificates)
    _check_signer(certificate, signer.signing_time, at)
    root = certificate if certificate.der in (root.der for root in given) else _root(trust, certificate, at)
    warnings = () if certificate.extended_key_usage else ("no_extended_key_usage",)
    return ListSigner(
        certificate=certificate,
        root=root,
        signed_at=signer.signing_time,
        warnings=warnings + (("no_signing_time",) if signer.signing_time is None else ()),
    )


def _root(trust: TrustStore, signer: Certificate, at: datetime) -> Certificate:
    try:
        return trust.path_of(signer, at)[-1].certificate
    except NotSignedByTrustedAuthority:
        raise NotSignedByTrustedAuthority("no given root answers for the signer of the master list") from None


def _check_signer(certificate: Certificate, signed_at: datetime | None, at: datetime) -> None:
    """Key usage, extended key usage and validity of a list signer (9303-12 7.1.1, Table 6)."""
    if certificate.key_usage is not None and DIGITAL_SIGNATURE not in certificate.key_usage:
        raise SignerNotAllowed("the key of the list's signer may not sign")
    if certificate.extended_key_usage and LIST_SIGNER not in certificate.extended_key_usage:
        raise SignerNotAllowed("the certificate of the list's signer is for another use")
    if signed_at is not None and not certificate.may_sign_at(signed_at):
        raise SignerExpired("the list's signer was not valid when it signed")
    if not certificate.valid_at(at):
        raise SignerExpired("the certificate of the list's signer is not valid at the time of the check")

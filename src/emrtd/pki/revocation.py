"""Certificate revocation lists (ICAO 9303-12 7.1.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from asn1crypto import crl, x509

from emrtd.errors import MalformedCertificate
from emrtd.pki.certificate import Certificate, name_key
from emrtd.pki.signatures import Scheme, scheme_of, verify

LIST_MAX = 1 << 24


@dataclass(frozen=True)
class RevocationList:
    """Serial numbers an authority revoked. ``next_update`` is when a newer list is due."""

    issuer: str
    issuer_key_id: bytes | None
    this_update: datetime
    next_update: datetime | None
    serials: frozenset[int] = field(repr=False)
    signed: bytes = field(repr=False)
    scheme: Scheme = field(repr=False)
    signature: bytes = field(repr=False)

    def verify_issued_by(self, authority: Certificate) -> None:
        """Raises SignatureWrong, UnsupportedAlgorithm."""
        verify(authority.key, self.scheme, self.signature, self.signed)


def load_revocation_list(der: bytes) -> RevocationList:
    """Read a DER list. Raises MalformedCertificate, UnsupportedAlgorithm."""
    if len(der) > LIST_MAX:
        raise MalformedCertificate(f"a revocation list of {len(der)} bytes")
    try:
        return _load(der)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise MalformedCertificate(f"a revocation list cannot be read: {error}") from error


def _load(der: bytes) -> RevocationList:
    whole = crl.CertificateList.load(der)
    body = whole["tbs_cert_list"]
    return RevocationList(
        issuer=name_key(body["issuer"]),
        issuer_key_id=_authority_key(body),
        this_update=body["this_update"].native,
        next_update=body["next_update"].native,
        serials=frozenset(item["user_certificate"].native for item in body["revoked_certificates"] or ()),
        signed=body.dump(),
        scheme=scheme_of(whole["signature_algorithm"]),
        signature=whole["signature"].native,
    )


def _authority_key(body: crl.TbsCertList) -> bytes | None:
    for item in body["crl_extensions"] or ():
        if item["extn_id"].dotted == "2.5.29.35":
            value = x509.AuthorityKeyIdentifier.load(bytes(item["extn_value"].contents))
            key_id: bytes | None = value["key_identifier"].native
            return key_id
    return None

"""Certificate revocation lists (ICAO 9303-12 4.1.5, 7.1.4).

A State has one list for all its certificates, signed with its newest key, whatever key or name issued them:
a list is matched to a certificate by country, not by name (9303-12 D.1.2.3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from asn1crypto import core, crl

from emrtd import tlv
from emrtd.errors import MalformedCertificate, MalformedTlv
from emrtd.pki import extensions
from emrtd.pki.ber import to_definite
from emrtd.pki.certificate import Certificate, country_of, name_key
from emrtd.pki.extensions import in_utc
from emrtd.pki.signatures import Scheme, scheme_of, verify

LIST_MAX = 1 << 24
ENTRIES_MAX = 1 << 18
LONGEST_PERIOD = timedelta(days=90)  # 9303-12 4.1.5: at least one list every 90 days
PARTIAL = ("2.5.29.27", "2.5.29.28")  # delta list, issuing distribution point: 9303-12 7.1.4 has neither


@dataclass(frozen=True)
class RevocationList:
    """Serial numbers a State revoked. ``country`` is its issuer's, in capitals; ``next_update`` is when a newer
    list is due; ``partial`` is True for one that does not hold everything revoked."""

    der: bytes = field(repr=False)
    issuer: str
    country: str
    issuer_key_id: bytes | None
    this_update: datetime
    next_update: datetime | None
    serials: frozenset[int] = field(repr=False)
    partial: bool
    signed: bytes = field(repr=False)
    scheme: Scheme = field(repr=False)
    signature: bytes = field(repr=False)

    def verify_issued_by(self, authority: Certificate) -> None:
        """Raises SignatureWrong, UnsupportedAlgorithm."""
        verify(authority.key, self.scheme, self.signature, self.signed)

    def stale_at(self, moment: datetime) -> bool:
        """Should a newer list have replaced this one?"""
        return moment > (self.next_update or self.this_update + LONGEST_PERIOD)


def load_revocation_list(der: bytes) -> RevocationList:
    """Read a list, DER or BER. Raises MalformedCertificate, UnsupportedAlgorithm."""
    if len(der) > LIST_MAX:
        raise MalformedCertificate(f"a revocation list of {len(der)} bytes")
    try:
        return _load(tlv.expect(to_definite(der), 0x30).raw)
    except MalformedTlv as error:
        raise MalformedCertificate(f"a revocation list cannot be read: {error}") from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise MalformedCertificate(f"a revocation list cannot be read: {error}") from error


def _load(der: bytes) -> RevocationList:
    whole = crl.CertificateList.load(der)
    body = whole["tbs_cert_list"]
    found, _ = extensions.read(bytes(body["crl_extensions"].contents or b""))
    next_update = body["next_update"].native
    return RevocationList(
        der=der,
        issuer=name_key(body["issuer"]),
        country=country_of(body["issuer"]).upper(),
        issuer_key_id=extensions.authority_key(found),
        this_update=in_utc(body["this_update"].native),
        next_update=None if next_update is None else in_utc(next_update),
        serials=_serials(body["revoked_certificates"]),
        partial=any(oid in found for oid in PARTIAL),
        signed=body.dump(),
        scheme=scheme_of(whole["signature_algorithm"]),
        signature=whole["signature"].native,
    )


def _serials(revoked: crl.RevokedCertificates) -> frozenset[int]:
    """The first number of each entry; a State's list may have ten thousands of them."""
    content = b"" if isinstance(revoked, core.Void) else bytes(revoked.contents)
    found: list[int] = []
    at = 0
    while at < len(content):
        entry, at = tlv.read(content, at)
        found.append(int.from_bytes(tlv.expect(entry.value, 0x02).value, "big", signed=True))
        if len(found) > ENTRIES_MAX:
            raise MalformedCertificate("too many revoked certificates")
    return frozenset(found)

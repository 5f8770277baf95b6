"""What a trust store holds: certificates and revocation lists, each read when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from emrtd.pki.certificate import Certificate, load_certificate
from emrtd.pki.revocation import RevocationList, load_revocation_list

Voucher = Literal["hand", "list", "unverified", "nobody"]
"""Who answers for a certificate: whoever gave it by hand, a verified master list, a list whose signature
nobody verified, or nobody, so that it counts only under one that is vouched for."""
RANK: dict[Voucher, int] = {"hand": 0, "list": 0, "unverified": 1, "nobody": 2}


@dataclass(frozen=True)
class Entry:
    """One certificate of a store, with what it is looked up by; ``issues`` is True for an authority."""

    der: bytes = field(repr=False)
    voucher: Voucher
    issues: bool
    subject: str
    issuer: str
    serial: int
    key_id: bytes | None

    @classmethod
    def of(cls, certificate: Certificate, voucher: Voucher) -> Entry:
        found = cls(
            der=certificate.der,
            voucher=voucher,
            issues=certificate.may_issue,
            subject=certificate.subject,
            issuer=certificate.issuer,
            serial=certificate.serial,
            key_id=certificate.key_id,
        )
        found.__dict__["certificate"] = certificate  # read already
        return found

    @cached_property
    def certificate(self) -> Certificate:
        """Raises MalformedCertificate, UnsupportedAlgorithm."""
        return load_certificate(self.der)


@dataclass(frozen=True)
class Revocations:
    """A revocation list whose signature was verified when the store was made; ``country`` in capitals."""

    der: bytes = field(repr=False)
    country: str

    @cached_property
    def list(self) -> RevocationList:
        return load_revocation_list(self.der)

    @classmethod
    def of(cls, found: RevocationList) -> Revocations:
        held = cls(found.der, found.country)
        held.__dict__["list"] = found  # read already
        return held

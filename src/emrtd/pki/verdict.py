"""What became of each certificate of a store: who verifies it, or why it is of no use.

A verdict is about signatures alone and is made once, at import; whether a certificate is valid today is
asked of its dates.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Literal

from emrtd.errors import Malformed, SignatureWrong
from emrtd.pki.certificate import Certificate
from emrtd.pki.entry import Entry
from emrtd.pki.trust import ATTEMPTS_MAX, TrustStore

Standing = Literal["self_signed", "link", "issued", "issuer_absent", "unusable"]
"""``link`` is an authority another authority certified, ``issued`` a document signer; ``issuer_absent`` one
that no key of the store verifies, which in a master list is a link from a key no longer listed."""
Validity = Literal["valid", "expired", "not_yet_valid"]


@dataclass(frozen=True)
class Verdict:
    """``by`` is the key identifier of the verifying authority, as far as it has one; ``reason`` says what is
    wrong with one of no use; ``warnings`` what was forgiven."""

    standing: Standing
    by: bytes | None = None
    reason: str = ""
    warnings: tuple[str, ...] = ()


def judge(entry: Entry, store: TrustStore) -> Verdict:
    """The verdict on a certificate among those of `store`."""
    certificate = entry.certificate
    reason = _flaw(entry, certificate)
    if reason:
        return Verdict("unusable", None, reason, certificate.warnings)
    if certificate.names_itself and _verifies(certificate, certificate):
        return Verdict("self_signed", certificate.key_id, "", certificate.warnings)
    if certificate.names_itself and certificate.issuer_key_id is not None:
        return Verdict("unusable", None, "its own signature does not verify", certificate.warnings)
    for above in islice(store.issuers_of(certificate.issuer_key_id, certificate.issuer), ATTEMPTS_MAX):
        if above != entry and _verifies(certificate, above.certificate):
            standing: Standing = "link" if entry.issues else "issued"
            return Verdict(standing, above.key_id, "", certificate.warnings)
    return Verdict("issuer_absent", None, "", certificate.warnings)


def _flaw(entry: Entry, certificate: Certificate) -> str:
    if certificate.unknown_critical:
        return f"a critical extension that is not known: {', '.join(certificate.unknown_critical)}"
    if entry.voucher in ("list", "unverified") and not entry.issues:
        return "its key may not sign certificates"
    return ""


def _verifies(certificate: Certificate, authority: Certificate) -> bool:
    try:
        certificate.verify_issued_by(authority)
    except (SignatureWrong, Malformed):
        return False
    return True


def validity(certificate: Certificate, at: datetime) -> Validity:
    if at < certificate.not_before:
        return "not_yet_valid"
    return "valid" if at <= certificate.not_after else "expired"

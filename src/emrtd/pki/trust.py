"""Whom the verifier trusts: country signing certificates and their revocation lists, indexed once.

What cannot be read is left out and told; one bad certificate never loses a list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from asn1crypto import pem

from emrtd.errors import (
    AuthorityExpired,
    Malformed,
    NotSignedByTrustedAuthority,
    SignatureWrong,
    SignerNotAllowed,
    SignerRevoked,
    UnsupportedAlgorithm,
)
from emrtd.pki.certificate import KEY_CERT_SIGN, Certificate, load_certificate
from emrtd.pki.revocation import RevocationList, load_revocation_list


@dataclass(frozen=True)
class TrustStore:
    """Trusted authorities. Build with `TrustStore.of`; ``unusable`` says what was left out and why."""

    authorities: tuple[Certificate, ...]
    revocations: tuple[tuple[Certificate, RevocationList], ...]
    unusable: tuple[str, ...]
    by_key_id: Mapping[bytes, tuple[Certificate, ...]] = field(repr=False)
    by_subject: Mapping[str, tuple[Certificate, ...]] = field(repr=False)

    @classmethod
    def of(cls, certificates: Iterable[bytes], revocation_lists: Iterable[bytes] = ()) -> TrustStore:
        """From certificates and lists, DER or PEM (one or many a file); each list is verified with a trusted authority's key."""
        unusable: list[str] = []
        authorities: list[Certificate] = []
        for der in _ders(certificates):
            try:
                authorities.append(load_certificate(der))
            except Malformed as error:
                unusable.append(f"certificate: {error}")
        by_key_id, by_subject = _index(authorities)
        store = cls(tuple(authorities), (), (), by_key_id, by_subject)
        revocations: list[tuple[Certificate, RevocationList]] = []
        for der in _ders(revocation_lists):
            try:
                revocations.append(store._own(load_revocation_list(der)))
            except (Malformed, SignatureWrong, NotSignedByTrustedAuthority) as error:
                unusable.append(f"revocation list: {error}")
        return cls(tuple(authorities), tuple(revocations), tuple(unusable), by_key_id, by_subject)

    def _own(self, revocations: RevocationList) -> tuple[Certificate, RevocationList]:
        """Pair a list with the trusted authority that signed it."""
        for authority in self._candidates(revocations.issuer_key_id, revocations.issuer):
            try:
                revocations.verify_issued_by(authority)
            except (SignatureWrong, UnsupportedAlgorithm):
                continue
            return authority, revocations
        raise NotSignedByTrustedAuthority(f"no trusted authority signed the list of {revocations.issuer}")

    def _candidates(self, key_id: bytes | None, name: str) -> tuple[Certificate, ...]:
        """Who may have signed: by key identifier, and only without one by name."""
        if key_id is not None and key_id in self.by_key_id:
            return self.by_key_id[key_id]
        return self.by_subject.get(name, ())

    def authority_of(self, signer: Certificate) -> Certificate:
        """The trusted authority that issued `signer`. Raises NotSignedByTrustedAuthority, SignerNotAllowed."""
        for authority in self._candidates(signer.issuer_key_id, signer.issuer):
            try:
                signer.verify_issued_by(authority)
            except (SignatureWrong, UnsupportedAlgorithm):
                continue
            if authority.key_usage is not None and KEY_CERT_SIGN not in authority.key_usage:
                raise SignerNotAllowed("the authority's key may not sign certificates")
            return authority
        raise NotSignedByTrustedAuthority(f"no trusted authority issued {signer.subject}")

    def check_path(self, signer: Certificate, at: datetime) -> tuple[Certificate, tuple[str, ...]]:
        """The authority of `signer` and warnings, for a check at the moment `at`.

        Raises NotSignedByTrustedAuthority, AuthorityExpired, SignerRevoked, SignerNotAllowed.
        """
        authority = self.authority_of(signer)
        if not authority.valid_at(signer.not_before):
            raise AuthorityExpired("the authority was not valid when it issued the signer")
        if not authority.valid_at(at):
            raise AuthorityExpired("the authority's certificate is not valid at the time of the check")
        return authority, self._check_revocation(authority, signer, at)

    def _check_revocation(self, authority: Certificate, signer: Certificate, at: datetime) -> tuple[str, ...]:
        lists = [found for owner, found in self.revocations if owner.subject == authority.subject]
        if any(signer.serial in found.serials for found in lists):
            raise SignerRevoked(f"document signer {signer.serial} was revoked by its State")
        if not lists:
            return ("no_revocation_list",)
        newest = max(lists, key=lambda found: found.this_update)
        stale = newest.next_update is not None and newest.next_update < at
        return ("revocation_list_stale",) if stale else ()


def _ders(files: Iterable[bytes]) -> Iterator[bytes]:
    """The DER objects of files that hold one in DER or several in PEM."""
    for content in files:
        if not pem.detect(content):
            yield content
            continue
        try:
            yield from [der for _, _, der in pem.unarmor(content, multiple=True)]
        except ValueError:
            yield content  # not readable, and counted as such


def _index(
    authorities: Iterable[Certificate],
) -> tuple[dict[bytes, tuple[Certificate, ...]], dict[str, tuple[Certificate, ...]]]:
    key_ids: defaultdict[bytes, list[Certificate]] = defaultdict(list)
    subjects: defaultdict[str, list[Certificate]] = defaultdict(list)
    for authority in authorities:
        if authority.key_id is not None:
            key_ids[authority.key_id].append(authority)
        subjects[authority.subject].append(authority)
    return (
        {key_id: tuple(found) for key_id, found in key_ids.items()},
        {subject: tuple(found) for subject, found in subjects.items()},
    )

"""Whom the verifier trusts, and the path from a document signer up to there (ICAO 9303-12 6.1, D.1).

The rules are our own, because real certificates break those of others: an issuer is looked for by key
identifier, then by name compared tolerantly, and the signature decides. A certificate of the store is read
when it is first needed. What cannot be read is left out and told; one bad certificate never loses a list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from emrtd.errors import (
    AuthorityExpired,
    AuthorityRevoked,
    Malformed,
    MalformedTrustFile,
    NotGenuine,
    NotSignedByTrustedAuthority,
    SignatureWrong,
    SignerNotAllowed,
    SignerRevoked,
)
from emrtd.pki.certificate import CRL_SIGN, Certificate, load_certificate
from emrtd.pki.cms import SignerInfo
from emrtd.pki.entry import RANK, Entry, Revocations, Voucher
from emrtd.pki.revocation import RevocationList, load_revocation_list
from emrtd.pki.sources import is_pem, unarmored

PATH_MAX = 5
"""Authorities above a signer: a link certificate for each of four changes of key, and the trusted one."""
ATTEMPTS_MAX = 64
"""Signatures tried for one path, whatever a directory claims."""
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class _Index:
    """Ways to find a certificate: authorities by key identifier and name, signers by what a SignerInfo names."""

    key_ids: Mapping[bytes, list[Entry]]
    subjects: Mapping[str, list[Entry]]
    signers: Mapping[bytes | tuple[str, int], list[Entry]]


@dataclass
class _Search:
    """One search for a path, and how many signatures it tried."""

    at: datetime | None
    attempts: int = 0


@dataclass(frozen=True)
class TrustStore:
    """Trusted authorities, known signers and revocation lists; ``unusable`` says what was left out and why.

    Build with `TrustStore.of`, or with `emrtd.pki.bundle.load` from what an import wrote.
    """

    entries: tuple[Entry, ...] = field(repr=False)
    revocations: tuple[Revocations, ...] = ()
    unusable: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        certificates: Iterable[bytes],
        revocation_lists: Iterable[bytes] = (),
        *,
        unvouched: Iterable[bytes] = (),
    ) -> TrustStore:
        """From certificates and lists, DER or PEM (one or many a file).

        `certificates` are trusted: those that may issue as authorities, others as known signers. `unvouched`
        are links and signers that count only under a trusted authority. Each revocation list is verified with
        an authority's key.
        """
        unusable: list[str] = []
        given = list(_entries(certificates, "hand", unusable)) + list(_entries(unvouched, "nobody", unusable))
        store = cls(tuple(given))
        lists = []
        for der in _ders(revocation_lists):
            try:
                lists.append(store.verified_list(load_revocation_list(der)))
            except (Malformed, NotGenuine) as error:
                unusable.append(f"revocation list: {error}")
        return cls(tuple(given), tuple(lists), tuple(unusable))

    @cached_property
    def _index(self) -> _Index:
        authorities = [entry for entry in sorted(self.entries, key=lambda entry: RANK[entry.voucher]) if entry.issues]
        signers = [entry for entry in self.entries if not entry.issues]
        by_key = [(entry.key_id, entry) for entry in signers if entry.key_id is not None]
        by_number = [((entry.issuer, entry.serial), entry) for entry in signers]
        return _Index(
            key_ids=_grouped((entry.key_id, entry) for entry in authorities if entry.key_id is not None),
            subjects=_grouped((entry.subject, entry) for entry in authorities),
            signers=_grouped([*by_key, *by_number]),
        )

    @cached_property
    def authorities(self) -> tuple[Certificate, ...]:
        """All that may issue, read."""
        return tuple(entry.certificate for entry in self.entries if entry.issues)

    def signers_named(self, signer: SignerInfo) -> tuple[Certificate, ...]:
        """Known document signers that a signature names, for structures that carry no certificate."""
        name = signer.key_id if signer.key_id is not None else (signer.issuer, signer.serial or 0)
        return tuple(entry.certificate for entry in self._index.signers.get(name, ()))

    def issuers_of(self, key_id: bytes | None, name: str) -> Iterator[Entry]:
        """Who may have signed: those with the key identifier, then those of the name."""
        by_key = [] if key_id is None else self._index.key_ids.get(key_id, [])
        yield from by_key
        yield from (entry for entry in self._index.subjects.get(name, ()) if entry not in by_key)

    def authority_of(self, signer: Certificate) -> Certificate:
        """The authority that issued `signer`, itself trusted. Raises NotSignedByTrustedAuthority, SignerNotAllowed."""
        return self._climb(signer, _Search(None), ())[0].certificate

    def path_of(self, signer: Certificate, at: datetime) -> tuple[Entry, ...]:
        """The authorities above `signer`: its issuer first, the trusted one last.

        Raises NotSignedByTrustedAuthority, AuthorityExpired, SignerNotAllowed.
        """
        return self._climb(signer, _Search(at), ())

    def check_path(self, signer: Certificate, at: datetime) -> tuple[Certificate, tuple[str, ...]]:
        """The authority of `signer` and warnings, for a check at the moment `at`.

        Raises NotSignedByTrustedAuthority, AuthorityExpired, AuthorityRevoked, SignerRevoked, SignerNotAllowed.
        """
        path = self.path_of(signer, at)
        authority = path[0].certificate
        warnings = self._check_revocation(signer, path, at)
        return authority, warnings + (("authority_not_verified",) if path[-1].voucher == "unverified" else ())

    def _climb(self, certificate: Certificate, search: _Search, below: tuple[Entry, ...]) -> tuple[Entry, ...]:
        refused: NotGenuine = NotSignedByTrustedAuthority(f"no trusted authority issued {certificate.subject}")
        if len(below) == PATH_MAX:
            raise refused
        for entry in self.issuers_of(certificate.issuer_key_id, certificate.issuer):
            if entry in below or search.attempts == ATTEMPTS_MAX:
                continue
            search.attempts += 1
            try:
                certificate.verify_issued_by(entry.certificate)
            except (SignatureWrong, Malformed):
                continue
            try:
                _check_authority(entry.certificate, certificate, search.at)
                if entry.voucher != "nobody":
                    return (entry,)
                above = self._climb(entry.certificate, search, (*below, entry))
                _check_same_state(entry.certificate, above[0].certificate)
                return (entry, *above)
            except NotGenuine as error:
                refused = refused if isinstance(error, NotSignedByTrustedAuthority) else error
        raise refused

    def verified_list(self, found: RevocationList) -> Revocations:
        """A list of an authority's own country, by its signature (9303-12 D.1.2.3).

        Raises NotSignedByTrustedAuthority, SignerNotAllowed.
        """
        for entry in self.issuers_of(found.issuer_key_id, found.issuer):
            authority = entry.certificate
            try:
                found.verify_issued_by(authority)
            except (SignatureWrong, Malformed):
                continue
            if authority.key_usage is not None and CRL_SIGN not in authority.key_usage:
                raise SignerNotAllowed("the authority's key may not sign revocation lists")
            if authority.country != found.country:
                raise SignerNotAllowed("an authority signed a revocation list of another country")
            if entry.voucher == "nobody":
                self.authority_of(authority)
            return Revocations.of(found)
        raise NotSignedByTrustedAuthority(f"no trusted authority signed the list of {found.issuer}")

    def _check_revocation(self, signer: Certificate, path: tuple[Entry, ...], at: datetime) -> tuple[str, ...]:
        """Refuse a revoked certificate anywhere in the path.

        A signer is matched by country and number alone, since a State has one list whatever its name was
        (9303-12 D.1.2.3); an authority by its issuer's name as well, since States that begin their numbers anew
        with each generation would else lose one for a signer of another.
        """
        country = path[0].certificate.country
        lists = [held.list for held in self.revocations if held.country == country]
        if any(signer.serial in found.serials for found in lists):
            raise SignerRevoked(f"document signer {signer.serial} was revoked by its State")
        if any(entry.serial in found.serials and entry.issuer == found.issuer for found in lists for entry in path):
            raise AuthorityRevoked("an authority above the document signer was revoked by its State")
        whole = [found for found in lists if not found.partial]
        if not whole:
            return ("no_revocation_list",)
        newest = max(whole, key=lambda found: found.this_update)
        return ("revocation_list_stale",) if newest.stale_at(at) else ()


def _check_authority(authority: Certificate, issued: Certificate, at: datetime | None) -> None:
    if not authority.may_issue:
        raise SignerNotAllowed("the authority's key may not sign certificates")
    if authority.unknown_critical:
        raise SignerNotAllowed("a critical extension of the authority is not known")
    if at is None:
        return
    if not authority.valid_at(issued.not_before):
        raise AuthorityExpired("the authority was not valid when it issued the signer")
    if not authority.valid_at(at):
        raise AuthorityExpired("the authority's certificate is not valid at the time of the check")


def _check_same_state(link: Certificate, above: Certificate) -> None:
    """A link nobody vouches for carries a State from one key to the next (9303-12 7.1.1), never to another State."""
    if link.country != above.country:
        raise SignerNotAllowed(f"an authority of {above.country} made one for {link.country}")


def _entries(files: Iterable[bytes], voucher: Voucher, unusable: list[str]) -> Iterator[Entry]:
    for der in _ders(files):
        try:
            yield Entry.of(load_certificate(der), voucher)
        except Malformed as error:
            unusable.append(f"certificate: {error}")


def _ders(files: Iterable[bytes]) -> Iterator[bytes]:
    """The DER objects of files that hold one in DER or several in PEM."""
    for content in files:
        try:
            yield from unarmored(content) if is_pem(content) else [content]
        except MalformedTrustFile:
            yield content  # not readable, and counted as such


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    groups: defaultdict[K, list[V]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return dict(groups)

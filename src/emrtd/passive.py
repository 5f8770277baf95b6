"""Passive authentication: from bytes a chip gave to a document its State signed (ICAO 9303-11 5.1).

Only `passive_authentication` makes an `AuthenticDocument`; whoever holds one need not check again.
What it does not say: that the chip is no copy (`emrtd.authenticity`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime
from typing import TypeVar

from emrtd import dates
from emrtd.chip_authentication import Evidence, chip_keys
from emrtd.ciphers import same
from emrtd.dates import PartialDate
from emrtd.errors import (
    AccessDowngraded,
    DataGroupAltered,
    DataGroupNotSigned,
    GroupNotRead,
    Malformed,
    MalformedSignedData,
    Misuse,
    NotSignedByTrustedAuthority,
    SignatureWrong,
    SignerExpired,
    SignerNotAllowed,
)
from emrtd.lds.card_security import parse_card_security
from emrtd.lds.com import parse_com
from emrtd.lds.dg1 import parse_dg1
from emrtd.lds.dg2 import Dg2, Portrait, parse_dg2
from emrtd.lds.dg7 import Dg7, parse_dg7
from emrtd.lds.dg11 import Dg11, parse_dg11
from emrtd.lds.dg12 import Dg12, parse_dg12
from emrtd.lds.dg13 import Dg13, parse_dg13
from emrtd.lds.dg15 import ActiveAuthenticationKey, parse_dg15
from emrtd.lds.security_infos import SecurityInfos, parse_dg14, parse_security_infos
from emrtd.lds.sod import Sod, parse_sod
from emrtd.mrz import Mrz
from emrtd.pace import ChipMapping
from emrtd.pki.certificate import DIGITAL_SIGNATURE, Certificate
from emrtd.pki.cms import readable
from emrtd.pki.states import check_issuing_state
from emrtd.pki.trust import TrustStore

T = TypeVar("T")
OTHER_SIGNERS = "2.23.136.1.1."
"""Where extended key usages of 9303-12 7.1.1.3, 7.1.2 and 7.1.3 begin; a document signer has none of them."""


@dataclass(frozen=True)
class RawDocument:
    """What a chip gave, nothing of it checked.

    ``groups`` holds the data groups read, by number; ``challenge`` and ``response`` those of active
    authentication, empty where it was not done; ``chip_authentication`` and ``chip_mapping`` what chip
    authentication and its PACE mapping left; ``protocol`` how the chip was opened ("BAC", "PACE-ECDH-GM-AES-128").
    Whoever makes one without `emrtd.reading` takes ``sod`` from the very channel that ``chip_mapping`` is of: nothing
    in EF.CardSecurity says whose files it belongs to.
    """

    sod: bytes = field(repr=False)
    groups: Mapping[int, bytes] = field(repr=False)
    com: bytes | None = field(default=None, repr=False)
    card_access: bytes | None = field(default=None, repr=False)
    challenge: bytes = field(default=b"", repr=False)
    response: bytes = field(default=b"", repr=False)
    protocol: str = ""
    card_security: bytes | None = field(default=None, repr=False)
    chip_authentication: Evidence | None = None
    chip_mapping: ChipMapping | None = None


@dataclass(frozen=True)
class Signer:
    """Who signed: the document signer and the country signing authority above it."""

    certificate: Certificate
    authority: Certificate

    @property
    def country(self) -> str:
        """Two- or three-letter code of the authority."""
        return self.authority.country


_PROOF = object()


@dataclass(frozen=True)
class AuthenticDocument:
    """A document whose every value below was signed by a trusted State. Fields are None if not read.

    ``signed_groups`` are the data groups the State signed, ``read_groups`` those among them that were read;
    ``card_security`` the security infos of the master file; ``warnings`` names of what was lenient or not checked (no
    revocation list, SHA-1, ...).
    """

    signer: Signer
    at: datetime
    protocol: str
    dg1: Mrz | None = field(repr=False)
    dg2: Dg2 | None = field(repr=False)
    dg7: Dg7 | None = field(repr=False)
    dg11: Dg11 | None = field(repr=False)
    dg12: Dg12 | None = field(repr=False)
    dg13: Dg13 | None = field(repr=False)
    dg14: SecurityInfos | None = field(repr=False)
    active_authentication_key: ActiveAuthenticationKey | None
    card_security: SecurityInfos | None = field(repr=False)
    signed_groups: frozenset[int]
    read_groups: frozenset[int]
    warnings: tuple[str, ...]
    _proof: InitVar[object]  # not kept, so that `dataclasses.replace` cannot make another document of this one

    def __post_init__(self, _proof: object) -> None:
        if _proof is not _PROOF:
            raise Misuse("only passive_authentication makes an AuthenticDocument")

    @property
    def mrz(self) -> Mrz:
        """Raises GroupNotRead."""
        return _read(self.dg1, 1)

    @property
    def portrait(self) -> Portrait:
        """Raises GroupNotRead."""
        return _read(self.dg2, 2).portrait

    @property
    def surname(self) -> str:
        """As DG11 writes it, accents kept; else from the machine-readable zone."""
        return self._written.primary if self._written else self.mrz.primary

    @property
    def given_names(self) -> str:
        """As DG11 writes them; "" where the holder has a single name."""
        return self._written.secondary if self._written else self.mrz.secondary

    @property
    def _written(self) -> Dg11 | None:
        """DG11 where it has the name, and divides it as the zone does."""
        names = self.dg11 if self.dg11 and self.dg11.primary else None
        return names if names and (names.secondary or not (self.dg1 and self.dg1.secondary)) else None

    @property
    def full_name(self) -> str:
        return f"{self.given_names} {self.surname}".strip()

    @property
    def birth_date(self) -> PartialDate:
        """Four-digit year from DG11 where it agrees with the zone, else the year resolved at `at`."""
        zone = self.mrz.birth_date
        resolved = dates.birth_date(zone, self.at.date())
        detailed = self.dg11.birth_date if self.dg11 else None
        if detailed is None or detailed.year is None or resolved.year is None:
            return resolved
        return detailed if detailed.year % 100 == resolved.year % 100 else resolved

    @property
    def expiry_date(self) -> date:
        return dates.expiry_date(self.mrz.expiry_date, self.at.date())

    @property
    def chip_key(self) -> bytes | None:
        """SHA-256 of a public key that names the chip, as SubjectPublicKeyInfo: that of active authentication, else the
        first of chip authentication in DG14, else in EF.CardSecurity; None without any."""
        if self.active_authentication_key is not None:
            return self.active_authentication_key.fingerprint
        infos = [found for found in (self.dg14, self.card_security) if found is not None]
        keys = [key for found in infos for key in chip_keys(found)]
        return hashlib.sha256(keys[0].spki).digest() if keys else None


def _read(value: T | None, number: int) -> T:
    if value is None:
        raise GroupNotRead(number)
    return value


def passive_authentication(raw: RawDocument, trust: TrustStore, *, at: datetime) -> AuthenticDocument:
    """Check that a trusted State signed what the chip gave, at the moment `at` (with time zone).

    Left to the caller: whether the document itself has expired (``expiry_date``), whether the chip is a copy
    (`emrtd.authenticity.prove_chip`), which groups must be there, and what to make of ``warnings``.

    Raises NotSignedByTrustedAuthority, SignatureWrong, SignerExpired, AuthorityExpired, SignerRevoked,
    SignerNotAllowed, SignedByAnotherState, DataGroupAltered, DataGroupNotSigned, AccessDowngraded; Malformed and its kind where
    the bytes cannot be read.
    """
    if at.tzinfo is None:
        raise Misuse("the moment of the check has a time zone")
    moment = at.astimezone(UTC)
    sod = parse_sod(raw.sod)
    certificate = _document_signer(sod, trust)
    authority, path_warnings = trust.check_path(certificate, moment)
    _check_signer(certificate, sod.signing_time, moment)
    _check_hashes(sod, raw.groups)
    signer = Signer(certificate, authority)
    security = _card_security(raw, signer, trust, moment)
    warnings = _algorithm_warnings(sod) + path_warnings
    return _document(raw, signer, security, frozenset(sod.hashes), moment, warnings)


def _card_security(raw: RawDocument, signer: Signer, trust: TrustStore, at: datetime) -> SecurityInfos | None:
    """The infos of EF.CardSecurity, signed by the same State as the data groups."""
    if raw.card_security is None:
        return None
    security = parse_card_security(raw.card_security)
    certificate = security.signed.signed_by(trust.signers_named(security.signed.signers[0]))[1]
    _check_signer(certificate, security.signing_time, at)
    authority, _ = trust.check_path(certificate, at)
    if authority.country != signer.country:
        raise SignerNotAllowed("another State signed EF.CardSecurity than the data groups")
    return security.infos


def _document_signer(sod: Sod, trust: TrustStore) -> Certificate:
    """The certificate whose key verifies the security object: the one named, embedded or known, else any embedded.

    A signer that no trusted authority issued is told before a wrong signature, which it may well have made
    correctly.
    """
    try:
        return sod.signed.signed_by(trust.signers_named(sod.signer))[1]
    except MalformedSignedData:
        raise NotSignedByTrustedAuthority("the security object carries no usable document signer") from None
    except SignatureWrong:
        for certificate in readable(sod.certificates)[:1]:
            trust.authority_of(certificate)
        raise


def _check_signer(certificate: Certificate, signing_time: datetime | None, at: datetime) -> None:
    """Validity at signing and now, and the right to sign documents (9303-12 7.1.2, 7.1.3)."""
    if certificate.is_authority and certificate.key_usage is None:
        raise SignerNotAllowed("an authority's certificate signed the document")
    if certificate.key_usage is not None and DIGITAL_SIGNATURE not in certificate.key_usage:
        raise SignerNotAllowed("the signer's key may not sign documents")
    if certificate.unknown_critical:
        raise SignerNotAllowed("a critical extension of the signer is not known")
    if any(use.startswith(OTHER_SIGNERS) for use in certificate.extended_key_usage):
        raise SignerNotAllowed("the signer is one of lists, visas or bar codes")
    if signing_time is not None and not certificate.may_sign_at(signing_time):
        raise SignerExpired("the signer was not valid when it signed")
    if not certificate.valid_at(at):
        raise SignerExpired("the signer's certificate is not valid at the time of the check")


def _check_hashes(sod: Sod, groups: Mapping[int, bytes]) -> None:
    for number, content in sorted(groups.items()):
        if number not in sod.hashes:
            raise DataGroupNotSigned(number)
        if not same(hashlib.new(sod.hash, content).digest(), sod.hashes[number]):
            raise DataGroupAltered(number)


def _algorithm_warnings(sod: Sod) -> tuple[str, ...]:
    return ("sha1",) if "sha1" in (sod.hash, sod.signer.digest, sod.signer.scheme.hash) else ()


def _document(
    raw: RawDocument,
    signer: Signer,
    security: SecurityInfos | None,
    signed: frozenset[int],
    at: datetime,
    warnings: tuple[str, ...],
) -> AuthenticDocument:
    groups = raw.groups
    unread: list[str] = []
    dg1, dg2, dg14, dg15 = (
        _parsed(parse_dg1, groups, 1), _parsed(parse_dg2, groups, 2),
        _parsed(parse_dg14, groups, 14), _parsed(parse_dg15, groups, 15),
    )  # fmt: skip
    dg7, dg11, dg12, dg13 = (
        _optional(parse_dg7, groups, 7, unread), _optional(parse_dg11, groups, 11, unread),
        _optional(parse_dg12, groups, 12, unread), _optional(parse_dg13, groups, 13, unread),
    )  # fmt: skip
    _check_document_type(signer.certificate, dg1)
    if dg1 is not None:
        check_issuing_state(signer.authority, dg1.issuer)
    if dg14 is not None and dg14.pace and raw.protocol == "BAC":
        raise AccessDowngraded("the chip advertises PACE in DG14 and was opened with BAC")
    found = (dg1, dg2, dg7, dg11, dg12, dg13, dg14, dg15, security)
    warnings += _access_warnings(raw, dg14, signed) + _list_warnings(raw.com, signed) + tuple(unread)
    document = AuthenticDocument(
        signer=signer,
        at=at,
        protocol=raw.protocol,
        dg1=dg1,
        dg2=dg2,
        dg7=dg7,
        dg11=dg11,
        dg12=dg12,
        dg13=dg13,
        dg14=dg14,
        active_authentication_key=dg15,
        card_security=security,
        signed_groups=signed,
        read_groups=frozenset(groups),
        warnings=warnings + tuple(name for one in found if one for name in one.warnings),
        _proof=_PROOF,
    )
    if dg1 is not None:  # parse once: a date that cannot be resolved is refused here, not where it is used
        _ = document.birth_date, document.expiry_date
    return document


def _parsed(parse: Callable[[bytes], T], groups: Mapping[int, bytes], number: int) -> T | None:
    return parse(groups[number]) if number in groups else None


def _optional(parse: Callable[[bytes], T], groups: Mapping[int, bytes], number: int, unread: list[str]) -> T | None:
    """A group that nothing rests on: signed, but unreadable, it is told and left out."""
    try:
        return _parsed(parse, groups, number)
    except Malformed:
        unread.append(f"dg{number}_unreadable")
        return None


def _list_warnings(com: bytes | None, signed: frozenset[int]) -> tuple[str, ...]:
    """EF.COM is not signed: what it says can only be remarked upon."""
    if com is None:
        return ()
    try:
        listed = parse_com(com)
    except Malformed:
        return ("com_unreadable",)
    return listed.warnings + (() if set(listed.groups) == signed else ("com_lists_other_groups",))


def _access_warnings(raw: RawDocument, dg14: SecurityInfos | None, signed: frozenset[int]) -> tuple[str, ...]:
    """EF.CardAccess, which anyone could have written or shortened, says what the signed DG14 says (9303-11 9.2.11)."""
    if dg14 is None:
        return ("access_not_confirmed",) if raw.protocol == "BAC" and 14 in signed else ()
    if raw.card_access is None:
        return ()
    shown = parse_security_infos(raw.card_access).pace
    return () if set(shown) == set(dg14.pace) else ("card_access_differs_from_dg14",)


def _check_document_type(signer: Certificate, mrz: Mrz | None) -> None:
    """A signer limited to some document types signs no other (9303-12 7.1.3)."""
    types = tuple(kind.strip("< ").upper() for kind in signer.document_types)
    if not types or mrz is None:
        return
    if mrz.document_code not in types and mrz.document_code[0] not in types:
        raise SignerNotAllowed(f"a signer for {', '.join(types)} signed a document {mrz.document_code}")

"""One certificate, read once into a frozen value, and the little that a path check asks (ICAO 9303-12 7.1).

The reader is lenient about what States really write (no key identifiers, odd serials, lower-case country
codes, extensions that are not wrapped, indefinite lengths), keeps the signed bytes as they came and names
what it forgave in ``warnings``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from asn1crypto import core, x509

from emrtd import tlv
from emrtd.errors import MalformedCertificate, MalformedTlv
from emrtd.pki import extensions
from emrtd.pki.ber import to_definite
from emrtd.pki.extensions import Extensions, in_utc
from emrtd.pki.keys import PublicKey, RsaKey, load_public_key
from emrtd.pki.signatures import HASHES, Scheme, scheme_of, verify

CERTIFICATE_MAX = 1 << 16
SERIAL_MAX = 64
COUNTRY = "2.5.4.6"
DIGITAL_SIGNATURE, KEY_CERT_SIGN, CRL_SIGN = 0, 5, 6  # bit numbers of KeyUsage
USUAL_EXPONENTS = (3, 65537)


@dataclass(frozen=True)
class Certificate:
    """A certificate. ``subject`` and ``issuer`` are name keys for tolerant comparison (see `name_key`);
    ``country`` and ``issuer_country`` are in capitals; ``key_usage`` the set bit numbers, None without the
    extension; ``document_types`` those of 9303-12 7.1.1.6; ``issuing_codes`` the State as machine-readable
    zones write it; ``signing_period`` the private key usage period; ``unknown_critical`` the critical
    extensions that nothing here understands."""

    der: bytes = field(repr=False)
    subject: str
    issuer: str
    country: str
    issuer_country: str
    serial: int
    not_before: datetime
    not_after: datetime
    key: PublicKey
    key_id: bytes | None
    issuer_key_id: bytes | None
    is_authority: bool
    key_usage: frozenset[int] | None
    extended_key_usage: tuple[str, ...]
    document_types: tuple[str, ...]
    issuing_codes: tuple[str, ...]
    signing_period: tuple[datetime | None, datetime | None]
    unknown_critical: tuple[str, ...]
    signed: bytes = field(repr=False)
    scheme: Scheme = field(repr=False)
    signature: bytes = field(repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def may_issue(self) -> bool:
        """May its key sign certificates? Basic constraints that say no are forgiven (9303-12 7.1.1, Table 6):
        some States write so in authorities, and the key usage decides."""
        return self.is_authority if self.key_usage is None else KEY_CERT_SIGN in self.key_usage

    @property
    def names_itself(self) -> bool:
        """True if it may be self-signed: the same name above and below, and no other key named above."""
        return self.subject == self.issuer and self.issuer_key_id in (None, self.key_id)

    def valid_at(self, moment: datetime) -> bool:
        return self.not_before <= moment <= self.not_after

    def may_sign_at(self, moment: datetime) -> bool:
        """Within validity and private key usage period."""
        start, end = self.signing_period
        return self.valid_at(moment) and (start or moment) <= moment <= (end or moment)

    def verify_issued_by(self, authority: Certificate) -> None:
        """Check this certificate's signature with `authority`'s key. Raises SignatureWrong, UnsupportedAlgorithm."""
        verify(authority.key, self.scheme, self.signature, self.signed)


def load_certificate(der: bytes) -> Certificate:
    """Read a certificate, DER or BER. Raises MalformedCertificate, UnsupportedAlgorithm."""
    if len(der) > CERTIFICATE_MAX:
        raise MalformedCertificate(f"a certificate of {len(der)} bytes")
    try:
        definite = tlv.expect(to_definite(der), 0x30).raw
        return _load(definite, in_der=der[: len(definite)] == definite)
    except MalformedTlv as error:
        raise MalformedCertificate(f"a certificate cannot be read: {error}") from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise MalformedCertificate(f"a certificate cannot be read: {error}") from error


def _load(der: bytes, *, in_der: bool) -> Certificate:
    whole = x509.Certificate.load(der)
    body = whole["tbs_certificate"]
    found, critical = extensions.read(bytes(body["extensions"].contents or b""))
    key, scheme = load_public_key(body["subject_public_key_info"].dump()), scheme_of(whole["signature_algorithm"])
    return Certificate(
        der=der,
        subject=name_key(body["subject"]),
        issuer=name_key(body["issuer"]),
        country=country_of(body["subject"]).upper(),
        issuer_country=country_of(body["issuer"]).upper(),
        serial=_serial(body["serial_number"]),
        not_before=in_utc(body["validity"]["not_before"].native),
        not_after=in_utc(body["validity"]["not_after"].native),
        key=key,
        key_id=extensions.subject_key(found),
        issuer_key_id=extensions.authority_key(found),
        is_authority=extensions.is_authority(found),
        key_usage=extensions.key_usage(found),
        extended_key_usage=extensions.extended_key_usage(found),
        document_types=extensions.document_types(found),
        issuing_codes=extensions.issuing_codes(found),
        signing_period=extensions.signing_period(found),
        unknown_critical=tuple(sorted(critical - extensions.KNOWN)),
        signed=body.dump(),
        scheme=scheme,
        signature=whole["signature_value"].native,
        warnings=(
            *(() if in_der else ("indefinite_lengths",)),
            *_profile_warnings(body, found),
            *_algorithm_warnings(whole, key, scheme),
        ),
    )


def _serial(number: core.Integer) -> int:
    if len(number.contents) > SERIAL_MAX:
        raise MalformedCertificate(f"a serial number of {len(number.contents)} bytes")
    return int(number.native)


def _profile_warnings(body: x509.TbsCertificate, found: Extensions) -> Iterator[str]:
    """What departs from the profile of 9303-12 7.1.1 and is forgiven."""
    if body["serial_number"].native <= 0:
        yield "serial_not_positive"
    if any(len(code) != 2 or not code.isupper() for code in map(country_of, (body["subject"], body["issuer"]))):
        yield "country_not_two_capitals"
    if extensions.SUBJECT_KEY not in found:
        yield "no_key_identifier"
    elif not extensions.is_wrapped(found[extensions.SUBJECT_KEY]):
        yield "key_identifier_not_wrapped"
    if extensions.AUTHORITY_KEY not in found:
        yield "no_authority_key_identifier"
    usage = extensions.key_usage(found)
    if usage is None:
        yield "no_key_usage"
    elif KEY_CERT_SIGN in usage and not extensions.is_authority(found):
        yield "not_marked_as_authority"


def _algorithm_warnings(whole: x509.Certificate, key: PublicKey, scheme: Scheme) -> Iterator[str]:
    if whole["signature_algorithm"]["algorithm"].dotted != whole["tbs_certificate"]["signature"]["algorithm"].dotted:
        yield "two_signature_algorithms"
    if scheme.hash == "sha1":
        yield "sha1"
    if scheme.kind == "ecdsa" and not isinstance(whole["signature_algorithm"]["parameters"], core.Null | core.Void):
        yield "parameters_in_ecdsa_algorithm"
    if scheme.kind == "rsa-pss" and scheme.salt != HASHES[scheme.hash].digest_size:
        yield "salt_not_as_long_as_hash"
    if isinstance(key, RsaKey) and key.exponent not in USUAL_EXPONENTS:
        yield "unusual_exponent"


def name_key(name: x509.Name) -> str:
    """A name for comparison: attributes sorted, case and spaces folded.

    Issuers write one name as PrintableString here and UTF8String there, "FR" and "fr"; the signature
    decides afterwards, so a tolerant comparison can only find candidates.
    """
    parts = (
        f"{item['type'].dotted}={' '.join(str(item['value'].native).split()).casefold()}"
        for relative in name.chosen
        for item in relative
    )
    return ", ".join(sorted(parts))


def country_of(name: x509.Name) -> str:
    """The country as written, "" without one."""
    countries = (
        str(item["value"].native).strip()
        for relative in name.chosen
        for item in relative
        if item["type"].dotted == COUNTRY
    )
    return next(countries, "")

"""One certificate, read once into a frozen value, and the little that a path check asks (ICAO 9303-12 7.1).

The reader is lenient about what States really write (no key identifiers, odd serials, lower-case country
codes, extensions that are not wrapped) and keeps the signed bytes as they came.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar

from asn1crypto import core, x509

from emrtd.errors import MalformedCertificate
from emrtd.pki.keys import PublicKey, load_public_key
from emrtd.pki.signatures import Scheme, scheme_of, verify

CERTIFICATE_MAX = 1 << 16
SUBJECT_KEY, AUTHORITY_KEY, KEY_USAGE = "2.5.29.14", "2.5.29.35", "2.5.29.15"
BASIC_CONSTRAINTS, PRIVATE_KEY_USAGE = "2.5.29.19", "2.5.29.16"
DOCUMENT_TYPES = "2.23.136.1.1.6.2"
DIGITAL_SIGNATURE, KEY_CERT_SIGN = 0, 5  # bit numbers of KeyUsage


@dataclass(frozen=True)
class Certificate:
    """A certificate. ``subject`` and ``issuer`` are name keys for tolerant comparison (see `name_key`);
    ``key_usage`` the set bit numbers, None without the extension; ``document_types`` those of 9303-12 7.1.3;
    ``signing_period`` the private key usage period."""

    der: bytes = field(repr=False)
    subject: str
    issuer: str
    country: str
    serial: int
    not_before: datetime
    not_after: datetime
    key: PublicKey
    key_id: bytes | None
    issuer_key_id: bytes | None
    is_authority: bool
    key_usage: frozenset[int] | None
    document_types: tuple[str, ...]
    signing_period: tuple[datetime | None, datetime | None]
    signed: bytes = field(repr=False)
    scheme: Scheme = field(repr=False)
    signature: bytes = field(repr=False)

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
    """Read a DER certificate. Raises MalformedCertificate, UnsupportedAlgorithm."""
    if len(der) > CERTIFICATE_MAX:
        raise MalformedCertificate(f"a certificate of {len(der)} bytes")
    try:
        return _load(der)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise MalformedCertificate(f"a certificate cannot be read: {error}") from error


def _load(der: bytes) -> Certificate:
    whole = x509.Certificate.load(der)
    body = whole["tbs_certificate"]
    extensions = {item["extn_id"].dotted: item["extn_value"] for item in body["extensions"]}
    usage = _extension(extensions, KEY_USAGE, core.BitString)
    return Certificate(
        der=der,
        subject=name_key(body["subject"]),
        issuer=name_key(body["issuer"]),
        country=str(body["subject"].native.get("country_name", "")).upper(),
        serial=body["serial_number"].native,
        not_before=body["validity"]["not_before"].native,
        not_after=body["validity"]["not_after"].native,
        key=load_public_key(body["subject_public_key_info"].dump()),
        key_id=_subject_key(extensions),
        issuer_key_id=_authority_key(extensions),
        is_authority=_is_authority(extensions),
        key_usage=None if usage is None else frozenset(i for i, bit in enumerate(usage.native) if bit),
        document_types=_document_types(extensions),
        signing_period=_signing_period(extensions),
        signed=body.dump(),
        scheme=scheme_of(whole["signature_algorithm"]),
        signature=whole["signature_value"].native,
    )


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


def _extension(extensions: dict[str, core.OctetString], oid: str, kind: type[core.Asn1Value]) -> core.Asn1Value:
    return kind.load(bytes(extensions[oid].contents)) if oid in extensions else None


def _subject_key(extensions: dict[str, core.OctetString]) -> bytes | None:
    if SUBJECT_KEY not in extensions:
        return None
    content = bytes(extensions[SUBJECT_KEY].contents)
    # Lithuania writes the identifier without its OCTET STRING
    wrapped = len(content) > 2 and content[0] == 0x04 and content[1] == len(content) - 2
    return content[2:] if wrapped else content


def _authority_key(extensions: dict[str, core.OctetString]) -> bytes | None:
    value = _extension(extensions, AUTHORITY_KEY, x509.AuthorityKeyIdentifier)
    return None if value is None else value["key_identifier"].native


def _is_authority(extensions: dict[str, core.OctetString]) -> bool:
    value = _extension(extensions, BASIC_CONSTRAINTS, x509.BasicConstraints)
    return value is not None and bool(value["ca"].native)


class _PrivateKeyUsage(core.Sequence):  # type: ignore[misc]
    _fields: ClassVar[list[tuple[object, ...]]] = [
        ("not_before", core.GeneralizedTime, {"implicit": 0, "optional": True}),
        ("not_after", core.GeneralizedTime, {"implicit": 1, "optional": True}),
    ]


class _DocumentTypes(core.SetOf):  # type: ignore[misc]
    _child_spec = core.PrintableString


class _DocumentTypeList(core.Sequence):  # type: ignore[misc]
    _fields: ClassVar[list[tuple[object, ...]]] = [("version", core.Integer), ("types", _DocumentTypes)]


def _signing_period(
    extensions: dict[str, core.OctetString],
) -> tuple[datetime | None, datetime | None]:
    value = _extension(extensions, PRIVATE_KEY_USAGE, _PrivateKeyUsage)
    if value is None:
        return None, None
    start, end = value["not_before"].native, value["not_after"].native
    return _in_utc(start), _in_utc(end)


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _document_types(extensions: dict[str, core.OctetString]) -> tuple[str, ...]:
    value = _extension(extensions, DOCUMENT_TYPES, _DocumentTypeList)
    return () if value is None else tuple(value["types"].native)

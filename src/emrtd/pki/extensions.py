"""The extensions of a certificate that its checks ask for (ICAO 9303-12 7.1.1, RFC 5280 4.2).

Each reader takes all extensions by object identifier and returns an empty value where its own is absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import ClassVar

from asn1crypto import core, x509

from emrtd import tlv
from emrtd.pki.ber import to_definite

SUBJECT_KEY, KEY_USAGE, PRIVATE_KEY_USAGE, SUBJECT_NAMES, ISSUER_NAMES, BASIC_CONSTRAINTS = (
    f"2.5.29.{part}" for part in (14, 15, 16, 17, 18, 19)
)
DISTRIBUTION_POINTS, POLICIES, AUTHORITY_KEY, EXTENDED_KEY_USAGE = (f"2.5.29.{part}" for part in (31, 32, 35, 37))
NAME_CHANGE, DOCUMENT_TYPES = "2.23.136.1.1.6.1", "2.23.136.1.1.6.2"
KNOWN = frozenset(
    (
        SUBJECT_KEY, KEY_USAGE, PRIVATE_KEY_USAGE, SUBJECT_NAMES, ISSUER_NAMES, BASIC_CONSTRAINTS,
        DISTRIBUTION_POINTS, POLICIES, AUTHORITY_KEY, EXTENDED_KEY_USAGE, NAME_CHANGE, DOCUMENT_TYPES,
    )
)  # fmt: skip
LOCALITY, STATE_OR_PROVINCE = "2.5.4.7", "2.5.4.8"

Extensions = Mapping[str, bytes]


def read(content: bytes) -> tuple[Extensions, frozenset[str]]:
    """The values of Extensions by object identifier, and which of them are critical. Raises MalformedTlv, ValueError.

    Read here and not by `asn1crypto`, which wants every value well formed before it gives the octets.
    """
    values, critical = {}, set()
    for item in tlv.parse(content):
        kind, *flag, value = tlv.parse(item.value)
        oid = core.ObjectIdentifier.load(kind.raw).dotted
        values[oid] = value.value
        if flag and any(flag[0].value):
            critical.add(oid)
    return values, frozenset(critical)


def subject_key(extensions: Extensions) -> bytes | None:
    content = extensions.get(SUBJECT_KEY)
    return content if content is None or not is_wrapped(content) else content[2:]


def is_wrapped(key_identifier: bytes) -> bool:
    """False where the identifier stands without its OCTET STRING, as Lithuania writes it."""
    return len(key_identifier) > 2 and key_identifier[0] == 0x04 and key_identifier[1] == len(key_identifier) - 2


def authority_key(extensions: Extensions) -> bytes | None:
    if AUTHORITY_KEY not in extensions:
        return None
    found: bytes | None = x509.AuthorityKeyIdentifier.load(to_definite(extensions[AUTHORITY_KEY]))[
        "key_identifier"
    ].native
    return found


def key_usage(extensions: Extensions) -> frozenset[int] | None:
    """The numbers of the bits that are set."""
    if KEY_USAGE not in extensions:
        return None
    return frozenset(
        number for number, bit in enumerate(core.BitString.load(to_definite(extensions[KEY_USAGE])).native) if bit
    )


def extended_key_usage(extensions: Extensions) -> tuple[str, ...]:
    if EXTENDED_KEY_USAGE not in extensions:
        return ()
    return tuple(item.dotted for item in x509.ExtKeyUsageSyntax.load(to_definite(extensions[EXTENDED_KEY_USAGE])))


def is_authority(extensions: Extensions) -> bool:
    if BASIC_CONSTRAINTS not in extensions:
        return False
    return bool(x509.BasicConstraints.load(to_definite(extensions[BASIC_CONSTRAINTS]))["ca"].native)


class _PrivateKeyUsage(core.Sequence):  # type: ignore[misc]
    _fields: ClassVar[list[tuple[object, ...]]] = [
        ("not_before", core.GeneralizedTime, {"implicit": 0, "optional": True}),
        ("not_after", core.GeneralizedTime, {"implicit": 1, "optional": True}),
    ]


def signing_period(extensions: Extensions) -> tuple[datetime | None, datetime | None]:
    if PRIVATE_KEY_USAGE not in extensions:
        return None, None
    value = _PrivateKeyUsage.load(to_definite(extensions[PRIVATE_KEY_USAGE]))
    start, end = (value[part].native for part in ("not_before", "not_after"))
    return None if start is None else in_utc(start), None if end is None else in_utc(end)


def in_utc(moment: datetime) -> datetime:
    """A time written without zone is taken as UTC, which the profile asks for."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


class _DocumentTypes(core.SetOf):  # type: ignore[misc]
    _child_spec = core.PrintableString


class _DocumentTypeList(core.Sequence):  # type: ignore[misc]
    _fields: ClassVar[list[tuple[object, ...]]] = [("version", core.Integer), ("types", _DocumentTypes)]


def document_types(extensions: Extensions) -> tuple[str, ...]:
    if DOCUMENT_TYPES not in extensions:
        return ()
    return tuple(_DocumentTypeList.load(to_definite(extensions[DOCUMENT_TYPES]))["types"].native)


def issuing_codes(extensions: Extensions) -> tuple[str, ...]:
    """The codes of the issuing State as they stand in its machine-readable zones (9303-12 7.1.1.2)."""
    if SUBJECT_NAMES not in extensions:
        return ()
    return tuple(sorted(set(_codes(x509.GeneralNames.load(to_definite(extensions[SUBJECT_NAMES]))))))


def _codes(names: x509.GeneralNames) -> Iterator[str]:
    for name in names:
        if name.name != "directory_name":
            continue
        for relative in name.chosen.chosen:
            for item in relative:
                if item["type"].dotted in (LOCALITY, STATE_OR_PROVINCE):
                    yield str(item["value"].native).strip().upper()

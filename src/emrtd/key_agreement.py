"""Public keys of key agreement in SubjectPublicKeyInfo, read and written (ICAO 9303-11 9.1, 9.5)."""

from __future__ import annotations

from typing import ClassVar

from asn1crypto import core

from emrtd import tlv
from emrtd.errors import ChannelBroken, MalformedCertificate, UnsupportedAlgorithm
from emrtd.groups import CURVE_PARAMETERS, CurveGroup, FieldGroup, Group, field_group, fields, standardised
from emrtd.lds.security_infos import integer
from emrtd.pki.keys import EcKey, load_public_key

STANDARDISED = "0.4.0.127.0.7.1.2"  # standardizedDomainParameters (9303-11 9.5.1)
EC_PUBLIC_KEY, PRIME_FIELD = "1.2.840.10045.2.1", "1.2.840.10045.1.1"
SEQUENCE, OCTET_STRING, BIT_STRING = 0x30, 0x04, 0x03
PKCS3, X942 = "1.2.840.113549.1.3.1", "1.2.840.10046.2.1"
SPKI_MAX = 1 << 12


class _Algorithm(core.Sequence):  # type: ignore[misc]
    _fields: ClassVar[list[tuple[object, ...]]] = [
        ("algorithm", core.ObjectIdentifier),
        ("parameters", core.Any, {"optional": True}),
    ]


class _KeyInfo(core.Sequence):  # type: ignore[misc]
    _fields: ClassVar[list[tuple[object, ...]]] = [("algorithm", _Algorithm), ("key", core.BitString)]


class _Integers(core.SequenceOf):  # type: ignore[misc]
    _child_spec = core.Any


def load_public(spki: bytes) -> tuple[Group, bytes]:
    """The group and the element of a DER SubjectPublicKeyInfo. Raises MalformedCertificate, UnsupportedAlgorithm."""
    if len(spki) > SPKI_MAX:
        raise MalformedCertificate(f"a public key of {len(spki)} bytes")
    try:
        info = _KeyInfo.load(spki)
        group, element = _load(spki, info)
        group.check(element)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError) as error:
        raise MalformedCertificate(f"a public key cannot be read: {error}") from error
    except ChannelBroken as error:
        raise MalformedCertificate(str(error)) from error
    return group, element


def _load(spki: bytes, info: _KeyInfo) -> tuple[Group, bytes]:
    algorithm = info["algorithm"]
    oid, content = algorithm["algorithm"].dotted, bytes(info["key"].contents[1:])
    if oid == STANDARDISED:
        group = standardised(integer(algorithm["parameters"].dump()))
        return group, content if isinstance(group, CurveGroup) else _value(content)
    if oid in (PKCS3, X942):
        numbers = [int.from_bytes(item.parse(core.Integer).contents, "big") for item in _numbers(algorithm)]
        return field_group(numbers[0], numbers[1], numbers[2] if oid == X942 else None), _value(content)
    key = load_public_key(spki)
    if not isinstance(key, EcKey):
        raise UnsupportedAlgorithm(f"key agreement with {oid}")
    return CurveGroup(key.curve), content


def _numbers(algorithm: _Algorithm) -> list[core.Any]:
    """p and g of PKCS #3, p, g and q of X9.42; what follows is not needed."""
    wanted = 3 if algorithm["algorithm"].dotted == X942 else 2
    found = list(_Integers.load(algorithm["parameters"].dump()))[:wanted]
    if len(found) < wanted:
        raise MalformedCertificate("domain parameters are missing")
    return found


def _value(content: bytes) -> bytes:
    """A public value without its leading zeros."""
    return bytes(core.Integer.load(content).contents).lstrip(b"\0")


def compose_public(group: Group, element: bytes) -> bytes:
    """SubjectPublicKeyInfo with explicit parameters, as DG14 carries it (9303-11 9.5.2)."""
    if isinstance(group, FieldGroup):
        return _compose(
            PKCS3, tlv.encode(SEQUENCE, _integer(group.field), _integer(group.base)), _content(group, element)
        )
    return _compose(EC_PUBLIC_KEY, _explicit(group), element)


def compose_standardised(group: Group, element: bytes) -> bytes:
    """SubjectPublicKeyInfo that names its parameters by number (9303-11 9.5.1)."""
    return _compose(STANDARDISED, _integer(parameter_of(group)), _content(group, element))


def parameter_of(group: Group) -> int:
    """The standardised parameter identifier of `group`. Raises UnsupportedAlgorithm."""
    names = {**CURVE_PARAMETERS, **{number: known.name for number, known in fields().items()}}
    for number, name in names.items():
        if name == group.name:
            return number
    raise UnsupportedAlgorithm(f"{group.name} has no parameter identifier")


def _compose(oid: str, parameters: bytes, content: bytes) -> bytes:
    algorithm = tlv.encode(SEQUENCE, core.ObjectIdentifier(oid).dump(), parameters)
    return tlv.encode(SEQUENCE, algorithm, tlv.encode(BIT_STRING, b"\0", content))


def _content(group: Group, element: bytes) -> bytes:
    return element if isinstance(group, CurveGroup) else _integer(int.from_bytes(element, "big"))


def _explicit(group: CurveGroup) -> bytes:
    """ECParameters of RFC 3279 2.3.5."""
    curve = group.curve
    field = tlv.encode(SEQUENCE, core.ObjectIdentifier(PRIME_FIELD).dump(), _integer(curve.p))
    coefficients = (tlv.encode(OCTET_STRING, value.to_bytes(curve.size, "big")) for value in (curve.a, curve.b))
    base = tlv.encode(OCTET_STRING, group.generator)
    rest = field, tlv.encode(SEQUENCE, *coefficients), base, _integer(curve.n), _integer(1)
    return tlv.encode(SEQUENCE, _integer(1), *rest)


def _integer(number: int) -> bytes:
    der: bytes = core.Integer(number).dump()
    return der

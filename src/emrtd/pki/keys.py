"""Public keys out of SubjectPublicKeyInfo, brought to named curves (ICAO 9303-12 4.4, RFC 5480)."""

from __future__ import annotations

from dataclasses import dataclass

from asn1crypto import core

from emrtd import tlv
from emrtd.errors import MalformedCertificate, MalformedTlv, UnsupportedAlgorithm
from emrtd.pki import curves
from emrtd.pki.curves import Curve

RSA_BITS = range(1024, 8193)  # below, anyone can factor; above, a verification takes too long
RSA_EXPONENT_MAX = 1 << 64
RSA_OIDS = ("1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10")
EC_OID, PRIME_FIELD = "1.2.840.10045.2.1", "1.2.840.10045.1.1"
SEQUENCE, OBJECT_IDENTIFIER = 0x30, 0x06


@dataclass(frozen=True)
class RsaKey:
    modulus: int
    exponent: int

    @property
    def size(self) -> int:
        """Bytes of a signature."""
        return (self.modulus.bit_length() + 7) // 8

    def __str__(self) -> str:
        return f"RSA {self.modulus.bit_length()}"


@dataclass(frozen=True)
class EcKey:
    curve: Curve
    x: int
    y: int

    def __str__(self) -> str:
        return self.curve.name


PublicKey = RsaKey | EcKey


def load_public_key(spki: bytes) -> PublicKey:
    """Read a DER SubjectPublicKeyInfo. Raises MalformedCertificate, UnsupportedAlgorithm."""
    try:
        algorithm, bits = tlv.parse(tlv.expect(spki, SEQUENCE).value)[:2]
        kind, *parameters = tlv.parse(algorithm.value)
        oid, encoded = core.ObjectIdentifier.load(kind.raw).dotted, bits.value[1:]
        if oid in RSA_OIDS:
            return _rsa(encoded)
        if oid == EC_OID:
            return _ec(parameters[0], encoded)
    except (MalformedTlv, ValueError, TypeError, IndexError) as error:
        raise MalformedCertificate(f"a public key cannot be read: {error}") from error
    raise UnsupportedAlgorithm(f"public key of kind {oid}")


def _rsa(encoded: bytes) -> RsaKey:
    parts = tlv.parse(tlv.expect(encoded, SEQUENCE).value)[:2]
    # unsigned: some writers leave out the zero byte that keeps an INTEGER positive
    modulus, exponent = (int.from_bytes(part.value, "big") for part in parts)
    key = RsaKey(modulus, exponent)
    if key.modulus.bit_length() not in RSA_BITS or not 3 <= key.exponent <= RSA_EXPONENT_MAX:
        raise UnsupportedAlgorithm(f"RSA key of {key.modulus.bit_length()} bits")
    return key


def _ec(parameters: tlv.Tlv, encoded: bytes) -> EcKey:
    curve = _curve(parameters)
    return EcKey(curve, *decode_point(curve, encoded))


def _curve(parameters: tlv.Tlv) -> Curve:
    """A named curve, or ECParameters of RFC 3279 2.3.5: version, field, equation, base, order."""
    if parameters.tag == OBJECT_IDENTIFIER:
        return curves.by_oid(core.ObjectIdentifier.load(parameters.raw).dotted)
    if parameters.tag != SEQUENCE:
        raise UnsupportedAlgorithm("curve parameters that are implied elsewhere")
    _, field, equation, base, order = tlv.parse(parameters.value)[:5]
    kind, prime = tlv.parse(field.value)[:2]
    if core.ObjectIdentifier.load(kind.raw).dotted != PRIME_FIELD:
        raise UnsupportedAlgorithm("a curve over a field that is not prime")
    p, n, a, b = (int.from_bytes(x.value, "big") for x in (prime, order, *tlv.parse(equation.value)[:2]))
    width = (len(base.value) - 1) // 2
    if base.value[:1] in (b"\x02", b"\x03"):  # a compressed base point: x and the parity of y
        return _by_compressed_base(p, a, b, base.value, n)
    point = int.from_bytes(base.value[1 : 1 + width], "big"), int.from_bytes(base.value[1 + width :], "big")
    return curves.by_parameters(p, a, b, point, n)


def _by_compressed_base(p: int, a: int, b: int, base: bytes, n: int) -> Curve:
    for curve in curves.curves():
        if (curve.p, curve.x, curve.y & 1) == (p, int.from_bytes(base[1:], "big"), base[0] & 1):
            return curves.by_parameters(p, a, b, (curve.x, curve.y), n)
    raise UnsupportedAlgorithm("explicit parameters of no known curve")


def decode_point(curve: Curve, encoded: bytes) -> tuple[int, int]:
    """An uncompressed point of `curve`. Raises MalformedCertificate."""
    size = curve.size
    if len(encoded) != 1 + 2 * size or encoded[0] != 4:
        raise MalformedCertificate("a public key is no uncompressed point")
    x, y = int.from_bytes(encoded[1 : 1 + size], "big"), int.from_bytes(encoded[1 + size :], "big")
    if not curve.holds(x, y):
        raise MalformedCertificate(f"a public key is no point of {curve.name}")
    return x, y

"""Public keys out of SubjectPublicKeyInfo, brought to named curves (ICAO 9303-12 4.4, RFC 5480)."""

from __future__ import annotations

from dataclasses import dataclass

from asn1crypto import keys as asn1_keys

from emrtd.errors import MalformedCertificate, UnsupportedAlgorithm
from emrtd.pki import curves
from emrtd.pki.curves import Curve

RSA_BITS = range(1024, 8193)  # below, anyone can factor; above, a verification takes too long
RSA_EXPONENT_MAX = 1 << 64
RSA_OIDS = ("1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10")
EC_OID = "1.2.840.10045.2.1"


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
        info = asn1_keys.PublicKeyInfo.load(spki)
        oid = info["algorithm"]["algorithm"].dotted
        if oid in RSA_OIDS:
            return _rsa(info)
        if oid == EC_OID:
            return _ec(info)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise MalformedCertificate(f"a public key cannot be read: {error}") from error
    raise UnsupportedAlgorithm(f"public key of kind {oid}")


def _rsa(info: asn1_keys.PublicKeyInfo) -> RsaKey:
    body = asn1_keys.RSAPublicKey.load(bytes(info["public_key"].contents[1:]))
    # unsigned: some writers leave out the zero byte that keeps an INTEGER positive
    modulus, exponent = (int.from_bytes(body[part].contents, "big") for part in ("modulus", "public_exponent"))
    key = RsaKey(modulus, exponent)
    if key.modulus.bit_length() not in RSA_BITS or not 3 <= key.exponent <= RSA_EXPONENT_MAX:
        raise UnsupportedAlgorithm(f"RSA key of {key.modulus.bit_length()} bits")
    return key


def _ec(info: asn1_keys.PublicKeyInfo) -> EcKey:
    curve = _curve(info["algorithm"]["parameters"])
    x, y = decode_point(curve, bytes(info["public_key"].contents[1:]))
    return EcKey(curve, x, y)


def _curve(parameters: asn1_keys.ECDomainParameters) -> Curve:
    if parameters.name == "named":
        return curves.by_oid(parameters.chosen.dotted)
    if parameters.name != "specified":
        raise UnsupportedAlgorithm("curve parameters that are implied elsewhere")
    explicit = parameters.chosen
    if explicit["field_id"]["field_type"].native != "prime_field":
        raise UnsupportedAlgorithm("a curve over a field that is not prime")
    p = explicit["field_id"]["parameters"].native
    a, b = (int.from_bytes(explicit["curve"][part].contents, "big") for part in ("a", "b"))
    base = bytes(explicit["base"].contents)
    width = (len(base) - 1) // 2
    if base[:1] in (b"\x02", b"\x03"):  # a compressed base point: x and the parity of y
        return _by_compressed_base(p, a, b, base, explicit["order"].native)
    point = int.from_bytes(base[1 : 1 + width], "big"), int.from_bytes(base[1 + width :], "big")
    return curves.by_parameters(p, a, b, point, explicit["order"].native)


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

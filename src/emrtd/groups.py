"""The groups in which keys are agreed: elliptic curves and prime fields (ICAO 9303-11 9.5, 9.6).

An element of a group is its encoding as it travels (9.4.5): an uncompressed point, or an unsigned integer. So a
protocol written over these methods does not know which kind it uses, and nothing is used that was not decoded,
and thereby validated, first.

Secrets pass through integer arithmetic that is not in constant time; all of them are ephemeral and used once.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import ClassVar

from emrtd.errors import ChannelBroken, MalformedCertificate, UnsupportedAlgorithm
from emrtd.pki import curves
from emrtd.pki.curves import Curve
from emrtd.pki.keys import decode_point
from emrtd.rng import Rng

UNIFORM = 16  # bytes more than the order, so that a remainder is as good as uniform (FIPS 186-5 A.2.1)
FIELD_BITS = range(1024, 4097)  # below, anyone can compute logarithms; above, we would compute for seconds
CURVE_PARAMETERS = {
    8: "secp192r1", 9: "brainpoolP192r1", 10: "secp224r1", 11: "brainpoolP224r1", 12: "secp256r1",
    13: "brainpoolP256r1", 14: "brainpoolP320r1", 15: "secp384r1", 16: "brainpoolP384r1",
    17: "brainpoolP512r1", 18: "secp521r1",
}  # fmt: skip
Affine = tuple[int, int]


@dataclass(frozen=True)
class CurveGroup:
    """The points of a named curve; all of them have cofactor 1."""

    curve: Curve
    agreement: ClassVar[str] = "ECDH"
    key_tag: ClassVar[int] = 0x86  # of a public point in a public key object (9.4.4)

    @property
    def name(self) -> str:
        return self.curve.name

    @property
    def field(self) -> int:
        """The prime of the field."""
        return self.curve.p

    @property
    def order(self) -> int:
        return self.curve.n

    @property
    def generator(self) -> bytes:
        return self._encode((self.curve.x, self.curve.y))

    def multiple(self, scalar: int, element: bytes) -> bytes:
        """scalar * element. Raises ChannelBroken for no point of the curve, or at infinity."""
        return self._encode(curves.multiply(self.curve, scalar, self._decode(element)))

    def generic_mapping(self, nonce: int, secret: int, other: bytes) -> bytes:
        """nonce * G + secret * other (9303-11 4.4.3.3.1). Raises ChannelBroken."""
        return self._encode(curves.combine(self.curve, nonce % self.curve.n, secret, self._decode(other)))

    def integrated_mapping(self, number: int) -> bytes:
        """The point that `number` of the field is encoded as (9303-11 B.2). Raises ChannelBroken for none."""
        p, a, b, t = self.curve.p, self.curve.a, self.curve.b, number % self.curve.p
        if p % 4 != 3:
            raise UnsupportedAlgorithm(f"no integrated mapping on {self.name}")
        alpha = -t * t % p
        if t == 0 or (alpha + alpha * alpha) % p == 0:
            raise ChannelBroken("the nonces map to no point")
        x2 = -b * pow(a, -1, p) * (1 + pow(alpha + alpha * alpha, -1, p)) % p
        x3 = alpha * x2 % p
        h2 = (x2**3 + a * x2 + b) % p
        root = pow(h2, p - 1 - (p + 1) // 4, p)
        if root * root * h2 % p == 1:
            return self._encode((x2, root * h2 % p))
        return self._encode((x3, root * t**3 * h2 % p))

    def secret(self, element: bytes) -> bytes:
        """The octets of a shared secret: the x-coordinate (9303-11 9.7.1)."""
        return element[1 : 1 + self.curve.size]

    def check(self, element: bytes) -> None:
        """Raises ChannelBroken for what is no point of the curve."""
        self._decode(element)

    def _encode(self, point: curves.Point) -> bytes:
        if point is None:
            raise ChannelBroken("the key agreement ends at infinity")
        size = self.curve.size
        return b"\x04" + point[0].to_bytes(size, "big") + point[1].to_bytes(size, "big")

    def _decode(self, element: bytes) -> Affine:
        try:
            return decode_point(self.curve, element)
        except MalformedCertificate as error:
            raise ChannelBroken(str(error)) from error


@dataclass(frozen=True)
class FieldGroup:
    """The subgroup that g generates modulo p; ``order`` is its prime order q, or p - 1 where nobody told it."""

    name: str
    field: int
    order: int
    base: int
    agreement: ClassVar[str] = "DH"
    key_tag: ClassVar[int] = 0x84  # of a public value in a public key object (9.4.3)

    @property
    def generator(self) -> bytes:
        return _unsigned(self.base)

    def multiple(self, scalar: int, element: bytes) -> bytes:
        """element to the power of scalar. Raises ChannelBroken for no element of the group, or at one."""
        return self._encode(pow(self._decode(element), scalar, self.field))

    def generic_mapping(self, nonce: int, secret: int, other: bytes) -> bytes:
        """g ^ nonce * other ^ secret (9303-11 4.4.3.3.1). Raises ChannelBroken."""
        shared = pow(self._decode(other), secret, self.field)
        return self._encode(pow(self.base, nonce, self.field) * shared % self.field)

    def integrated_mapping(self, number: int) -> bytes:
        """number to the power of the cofactor (9303-11 4.4.3.3.2). Raises ChannelBroken at one."""
        return self._encode(pow(number, (self.field - 1) // self.order, self.field))

    def secret(self, element: bytes) -> bytes:
        """The octets of a shared secret, as many as the prime has (PKCS #3 8.3)."""
        return element.rjust((self.field.bit_length() + 7) // 8, b"\0")

    def check(self, element: bytes) -> None:
        """Raises ChannelBroken for what is no element of the group (RFC 2631 2.1.5)."""
        self._decode(element)

    def _encode(self, value: int) -> bytes:
        if value in (0, 1):
            raise ChannelBroken("the key agreement ends at one")
        return _unsigned(value)

    def _decode(self, element: bytes) -> int:
        value = int.from_bytes(element, "big")
        known = self.order != self.field - 1  # of all numbers the power p - 1 is one
        if not 2 <= value <= self.field - 2 or (known and pow(value, self.order, self.field) != 1):
            raise ChannelBroken(f"a public key is no element of {self.name}")
        return value


Group = CurveGroup | FieldGroup


def random_scalar(group: Group, rng: Rng) -> int:
    """1 to order - 1, uniform but for a part in 2^128."""
    size = (group.order.bit_length() + 7) // 8
    return int.from_bytes(rng(size + UNIFORM), "big") % (group.order - 1) + 1


@cache
def fields() -> dict[int, FieldGroup]:
    """The standardised groups over prime fields, by parameter identifier."""
    table = tomllib.loads((files("emrtd") / "groups.toml").read_text("utf-8"))
    return {
        row["parameter"]: FieldGroup(name, *(int(row[part], 16) for part in ("p", "q", "g")))
        for name, row in table.items()
    }


def standardised(parameter: int) -> Group:
    """The group of a standardised parameter identifier (9303-11 9.5.1). Raises UnsupportedAlgorithm."""
    if parameter in CURVE_PARAMETERS:
        return CurveGroup(curves.by_name(CURVE_PARAMETERS[parameter]))
    if parameter in fields():
        return fields()[parameter]
    raise UnsupportedAlgorithm(f"domain parameters {parameter}")


def field_group(p: int, g: int, q: int | None = None) -> FieldGroup:
    """The group of explicit parameters, the standardised one where it is. Raises UnsupportedAlgorithm."""
    for known in fields().values():
        if (known.field, known.base) == (p, g):
            return known
    if p.bit_length() not in FIELD_BITS or not p & 1 or not 2 <= g <= p - 2:
        raise UnsupportedAlgorithm(f"a field of {p.bit_length()} bits")
    if q is not None and (q.bit_length() < 160 or (p - 1) % q):
        raise UnsupportedAlgorithm("a subgroup that does not divide its group, or is too small")
    return FieldGroup(f"DH {p.bit_length()}", p, q or p - 1, g)


def _unsigned(value: int) -> bytes:
    """9303-11 9.4.1: the fewest octets."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")

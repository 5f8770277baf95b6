"""Elliptic curves by name, object identifier or explicit parameters, and their arithmetic.

9303-12 asks for explicit curve parameters; every set met in the field is a known named curve, so a key is
brought to its name and the rest of the library sees names only. `cryptography` has no Brainpool curve of
160, 192, 224 or 320 bits: for these the points are added here, in plain integers. Only public values pass
through this arithmetic; it is not in constant time.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from emrtd.errors import UnsupportedAlgorithm

Point = tuple[int, int] | None  # None is the point at infinity
Jacobian = tuple[int, int, int]


@dataclass(frozen=True)
class Curve:
    """y² = x³ + ax + b modulo p, base point (x, y) of prime order n."""

    name: str
    oid: str
    p: int
    a: int
    b: int
    x: int
    y: int
    n: int

    @property
    def size(self) -> int:
        """Bytes of a coordinate."""
        return (self.p.bit_length() + 7) // 8

    def holds(self, x: int, y: int) -> bool:
        """True if (x, y) is a point of the curve."""
        in_range = 0 <= x < self.p and 0 <= y < self.p
        return in_range and (y * y - (x * x * x + self.a * x + self.b)) % self.p == 0


@cache
def curves() -> tuple[Curve, ...]:
    """The named curves, from the table that ships beside this file."""
    table = tomllib.loads((files("emrtd.pki") / "curves.toml").read_text("utf-8"))
    return tuple(
        Curve(name, row["oid"], *(int(row[part], 16) for part in ("p", "a", "b", "x", "y", "n")))
        for name, row in table.items()
    )


def by_oid(oid: str) -> Curve:
    """The curve named by an object identifier. Raises UnsupportedAlgorithm."""
    return _only((curve for curve in curves() if curve.oid == oid), f"curve {oid}")


def by_name(name: str) -> Curve:
    """The curve of that name, as in "brainpoolP256r1". Raises UnsupportedAlgorithm."""
    return _only((curve for curve in curves() if curve.name == name), f"curve {name}")


def by_parameters(p: int, a: int, b: int, base: tuple[int, int], n: int) -> Curve:
    """The named curve with these explicit parameters. Raises UnsupportedAlgorithm.

    All must match: a curve with a base point of somebody's choosing lets anyone sign (CVE-2020-0601).
    """
    found = (curve for curve in curves() if (curve.p, curve.a, curve.b, curve.n) == (p, a % p, b % p, n))
    return _only((curve for curve in found if (curve.x, curve.y) == base), "explicit parameters of no known curve")


def _only(found: Iterator[Curve], what: str) -> Curve:
    curve = next(found, None)
    if curve is None:
        raise UnsupportedAlgorithm(what)
    return curve


def multiply(curve: Curve, scalar: int, point: tuple[int, int]) -> Point:
    """scalar * point."""
    return _affine(curve, _multiply(curve, scalar, (*point, 1)))


def combine(curve: Curve, u: int, v: int, point: tuple[int, int]) -> Point:
    """u * base + v * point, the sum that verifies an ECDSA signature (Shamir's trick)."""
    base, other = (curve.x, curve.y, 1), (*point, 1)
    both = _add(curve, base, other)
    total: Jacobian = (1, 1, 0)
    for bit in range(max(u.bit_length(), v.bit_length()) - 1, -1, -1):
        total = _double(curve, total)
        chosen = (u >> bit & 1) + 2 * (v >> bit & 1)
        if chosen:
            total = _add(curve, total, (base, other, both)[chosen - 1])
    return _affine(curve, total)


def _multiply(curve: Curve, scalar: int, point: Jacobian) -> Jacobian:
    total: Jacobian = (1, 1, 0)
    for bit in range(scalar.bit_length() - 1, -1, -1):
        total = _double(curve, total)
        if scalar >> bit & 1:
            total = _add(curve, total, point)
    return total


def _double(curve: Curve, point: Jacobian) -> Jacobian:
    x, y, z = point
    p = curve.p
    if not y or not z:
        return 1, 1, 0
    yy = y * y % p
    s = 4 * x * yy % p
    m = (3 * x * x + curve.a * pow(z, 4, p)) % p
    x3 = (m * m - 2 * s) % p
    return x3, (m * (s - x3) - 8 * yy * yy) % p, 2 * y * z % p


def _add(curve: Curve, left: Jacobian, right: Jacobian) -> Jacobian:
    if not left[2]:
        return right
    if not right[2]:
        return left
    p = curve.p
    (x1, y1, z1), (x2, y2, z2) = left, right
    z1z1, z2z2 = z1 * z1 % p, z2 * z2 % p
    u1, u2 = x1 * z2z2 % p, x2 * z1z1 % p
    s1, s2 = y1 * z2 * z2z2 % p, y2 * z1 * z1z1 % p
    if u1 == u2:
        return _double(curve, left) if s1 == s2 else (1, 1, 0)
    h, r = u2 - u1, s2 - s1
    hh = h * h % p
    hhh, v = h * hh % p, u1 * hh % p
    x3 = (r * r - hhh - 2 * v) % p
    return x3, (r * (v - x3) - s1 * hhh) % p, h * z1 * z2 % p


def _affine(curve: Curve, point: Jacobian) -> Point:
    x, y, z = point
    if not z:
        return None
    inverse = pow(z, -1, curve.p)
    return x * inverse**2 % curve.p, y * inverse**3 % curve.p

"""Makes docs/protocols/pin-key-vector.json: `python tests/web/make_pin_key_vector.py > docs/protocols/pin-key-vector.json`.

Argon2id and HKDF by OpenSSL; the point by affine arithmetic written here from SP 800-186, so that the page (noble) and the Python phone
(cryptography) are both checked against something else.
"""

from __future__ import annotations

import hashlib
import json
import sys

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
KDF = {"name": "argon2id", "memory_kib": 19456, "passes": 2, "lanes": 1}
Point = tuple[int, int] | None


def add(a: Point, b: Point) -> Point:
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    rise, run = ((3 * a[0] * a[0] - 3), 2 * a[1]) if a == b else (b[1] - a[1], b[0] - a[0])
    slope = rise * pow(run, -1, P) % P
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def multiply(scalar: int) -> tuple[int, int]:
    total: Point = None
    for bit in bin(scalar)[2:]:
        total = add(total, total)
        total = add(total, G) if bit == "1" else total
    assert total is not None
    return total


def vector(code: str, salt: bytes) -> dict[str, str]:
    stretched = Argon2id(salt=salt, length=32, iterations=2, lanes=1, memory_cost=19456).derive(code.encode("ascii"))
    okm = HKDF(SHA256(), 48, salt, b"alicem pin key v1").derive(stretched)
    d = int.from_bytes(okm, "big") % (N - 1) + 1
    x, y = multiply(d)
    return {
        "code": code,
        "salt": salt.hex(),
        "stretched": stretched.hex(),
        "okm": okm.hex(),
        "d": f"{d:064x}",
        "x": f"{x:064x}",
        "y": f"{y:064x}",
    }


def main() -> None:
    salts = [bytes(32), bytes(range(32)), hashlib.sha256(b"alicem").digest()]
    vectors = [vector(code, salt) for code, salt in zip(("073514", "902847", "000001"), salts, strict=True)]
    json.dump({"kdf": KDF, "info": "alicem pin key v1", "vectors": vectors}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()

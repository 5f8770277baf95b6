"""Verification of RSA (PKCS #1 v1.5, PSS) and ECDSA signatures (ICAO 9303-12 4.4).

The scheme comes from the SignerInfo or the certificate that carries the signature, is held against the
profile of the standard and must fit the key; it is never more than a choice among those below.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from asn1crypto import algos, core
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from emrtd import tlv
from emrtd.errors import MalformedCertificate, SignatureWrong, UnsupportedAlgorithm
from emrtd.pki.curves import combine
from emrtd.pki.keys import EcKey, PublicKey, RsaKey

HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - documents issued before 2011 are signed so; a warning says it
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
HASH_OIDS = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
OIDS_OF_HASHES = {name: oid for oid, name in HASH_OIDS.items()}
RSA_OIDS = {
    "1.2.840.113549.1.1.5": "sha1",
    "1.2.840.113549.1.1.14": "sha224",
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
}
ECDSA_OIDS = {
    "1.2.840.10045.4.1": "sha1",
    "1.2.840.10045.4.3.1": "sha224",
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
}
RSA_ENCRYPTION, RSA_PSS, EC_PUBLIC_KEY = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10", "1.2.840.10045.2.1"
NATIVE_CURVES: dict[str, ec.EllipticCurve] = {
    curve.name: curve
    for curve in (
        ec.SECP224R1(), ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(),
        ec.BrainpoolP256R1(), ec.BrainpoolP384R1(), ec.BrainpoolP512R1(),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Scheme:
    """How a signature was made. ``salt`` is the salt length of PSS, ``mask`` the hash of its mask, "" for ``hash``."""

    kind: Literal["rsa-pkcs1", "rsa-pss", "ecdsa"]
    hash: str
    salt: int = 0
    mask: str = ""


def hash_name(algorithm: algos.DigestAlgorithm) -> str:
    """The hash named by an AlgorithmIdentifier. Raises UnsupportedAlgorithm."""
    return _known(HASH_OIDS, algorithm["algorithm"].dotted)


def scheme_of(algorithm: algos.SignedDigestAlgorithm, digest: str | None = None) -> Scheme:
    """Read a signature AlgorithmIdentifier. Raises UnsupportedAlgorithm.

    `digest` is the hash of the SignerInfo, for States that name the key and not the scheme.
    """
    oid = algorithm["algorithm"].dotted
    if oid in RSA_OIDS:
        return Scheme("rsa-pkcs1", RSA_OIDS[oid])
    if oid in ECDSA_OIDS:
        return Scheme("ecdsa", ECDSA_OIDS[oid])
    if oid == RSA_PSS:
        return _pss(algorithm)
    if digest and oid in (RSA_ENCRYPTION, EC_PUBLIC_KEY):
        return Scheme("rsa-pkcs1" if oid == RSA_ENCRYPTION else "ecdsa", digest)
    raise UnsupportedAlgorithm(f"signature algorithm {oid}")


def _pss(algorithm: algos.SignedDigestAlgorithm) -> Scheme:
    parameters = algorithm["parameters"]
    if isinstance(parameters, core.Null | core.Void):
        return Scheme("rsa-pss", "sha1", 20)  # the defaults of RFC 4055
    digest = hash_name(parameters["hash_algorithm"])
    mask = parameters["mask_gen_algorithm"]
    if mask["algorithm"].native != "mgf1":
        raise UnsupportedAlgorithm("PSS with a mask other than MGF1")
    mask_digest = hash_name(mask["parameters"])
    salt = parameters["salt_length"].native
    if not 0 <= salt <= 64:
        raise UnsupportedAlgorithm(f"PSS with a salt of {salt} bytes")
    return Scheme("rsa-pss", digest, salt, "" if mask_digest == digest else mask_digest)


def _known(table: dict[str, str], oid: str) -> str:
    if oid not in table:
        raise UnsupportedAlgorithm(f"hash {oid}")
    return table[oid]


def verify(key: PublicKey, scheme: Scheme, signature: bytes, message: bytes) -> None:
    """Verify `signature` over `message`. Raises SignatureWrong, UnsupportedAlgorithm."""
    if isinstance(key, RsaKey) and scheme.kind != "ecdsa":
        _verify_rsa(key, scheme, signature, message)
    elif isinstance(key, EcKey) and scheme.kind == "ecdsa":
        verify_ecdsa(key, scheme.hash, signature, message)
    else:
        raise UnsupportedAlgorithm(f"a {scheme.kind} signature under a key {key}")


def _verify_rsa(key: RsaKey, scheme: Scheme, signature: bytes, message: bytes) -> None:
    digest = HASHES[scheme.hash]
    pss = padding.PSS(padding.MGF1(HASHES[scheme.mask or scheme.hash]), scheme.salt)
    try:
        public = rsa.RSAPublicNumbers(key.exponent, key.modulus).public_key()
        public.verify(signature, message, pss if scheme.kind == "rsa-pss" else padding.PKCS1v15(), digest)
    except InvalidSignature:
        if scheme.kind == "rsa-pss" or not _is_without_null(key, scheme.hash, signature, message):
            raise SignatureWrong("an RSA signature does not verify") from None
    except ValueError as error:
        raise UnsupportedAlgorithm(f"key {key}: {error}") from error


def _is_without_null(key: RsaKey, digest: str, signature: bytes, message: bytes) -> bool:
    """Is it a PKCS #1 signature whose DigestInfo lacks the NULL, as the United Nations sign their master list?

    RFC 8017 9.2 note 1 lets a verifier accept it. The one encoding is compared whole, so nothing can hide in it.
    """
    if len(signature) != key.size:
        return False
    algorithm = tlv.encode(0x30, core.ObjectIdentifier(OIDS_OF_HASHES[digest]).dump())
    info = tlv.encode(0x30, algorithm, tlv.encode(0x04, hashlib.new(digest, message).digest()))
    encoded = b"\0\1" + b"\xff" * (key.size - len(info) - 3) + b"\0" + info
    return pow(int.from_bytes(signature, "big"), key.exponent, key.modulus) == int.from_bytes(encoded, "big")


def verify_ecdsa(key: EcKey, digest: str, signature: bytes, message: bytes) -> None:
    """Verify a DER ECDSA signature, on any curve of the table. Raises SignatureWrong, MalformedCertificate."""
    native = NATIVE_CURVES.get(key.curve.name)
    if native is None:
        verify_in_integers(key, digest, signature, message)
        return
    try:
        public = ec.EllipticCurvePublicNumbers(key.x, key.y, native).public_key()
        public.verify(signature, message, ec.ECDSA(HASHES[digest]))
    except InvalidSignature:
        raise SignatureWrong("an ECDSA signature does not verify") from None
    except ValueError as error:
        raise UnsupportedAlgorithm(f"key {key}: {error}") from error


def verify_in_integers(key: EcKey, digest: str, signature: bytes, message: bytes) -> None:
    """ECDSA of FIPS 186-4 6.4 for the curves `cryptography` does not have."""
    try:
        r, s = utils.decode_dss_signature(signature)
    except ValueError as error:
        raise MalformedCertificate("an ECDSA signature is not well formed") from error
    n = key.curve.n
    if not (0 < r < n and 0 < s < n):
        raise SignatureWrong("an ECDSA signature is out of range")
    hashed = hashlib.new(digest, message, usedforsecurity=True).digest()
    number = int.from_bytes(hashed, "big") >> max(0, 8 * len(hashed) - n.bit_length())
    inverse = pow(s, -1, n)
    point = combine(key.curve, number * inverse % n, r * inverse % n, (key.x, key.y))
    if point is None or point[0] % n != r:
        raise SignatureWrong("an ECDSA signature does not verify")

"""Certificates, lists and security objects with the flaws of real ones, written octet by octet.

The specimen authorities of the library write what 9303-12 asks for; here every part can be written otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

from asn1crypto import core
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from emrtd_specimens import MADE

from emrtd import tlv
from emrtd.pki import curves
from emrtd.pki.extensions import (
    AUTHORITY_KEY,
    BASIC_CONSTRAINTS,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    SUBJECT_KEY,
)
from emrtd.pki.keys import EcKey, load_public_key
from emrtd.pki.master_list import LIST_SIGNER, MASTER_LIST
from emrtd.pki.signatures import ECDSA_OIDS, HASHES, OIDS_OF_HASHES, RSA_ENCRYPTION, RSA_OIDS, RSA_PSS, Scheme
from emrtd.pki.specimen import PrivateKey, make_key
from emrtd.rng import seeded

SEQUENCE, SET, INTEGER, BITS, OCTETS, TRUE = 0x30, 0x31, 0x02, 0x03, 0x04, b"\x01\x01\xff"
SHA256_EC, SHA256_RSA = Scheme("ecdsa", "sha256"), Scheme("rsa-pkcs1", "sha256")
CSCA, SIGNER, LISTS = (5, 6), (0,), (0,)
YEARS = timedelta(days=3650)
NULL = b"\x05\x00"


@cache
def key(name: str, kind: str = "secp256r1") -> PrivateKey:
    """One key a name, the same in every test."""
    return make_key(kind, seeded(name.encode()))


def oid(dotted: str) -> bytes:
    return bytes(core.ObjectIdentifier(dotted).dump())


def integer(value: int) -> bytes:
    return bytes(core.Integer(value).dump())


def utc(moment: datetime) -> bytes:
    return tlv.encode(0x17, f"{moment:%y%m%d%H%M%SZ}".encode())


def name(country: str = "UT", common: str = "CSCA", *, string: int = 0x0C, backwards: bool = False) -> bytes:
    """A Name; `string` is the tag of its strings, `backwards` the order of its attributes."""
    parts = [("2.5.4.6", 0x13, country), ("2.5.4.10", string, "SPECIMEN"), ("2.5.4.3", string, common)]
    relative = [
        tlv.encode(SET, tlv.encode(SEQUENCE, oid(attribute), tlv.encode(tag, text.encode())))
        for attribute, tag, text in parts
    ]
    return tlv.encode(SEQUENCE, *(reversed(relative) if backwards else relative))


def spki(private: PrivateKey) -> bytes:
    return private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def key_id(private: PrivateKey) -> bytes:
    return hashlib.sha1(spki(private), usedforsecurity=False).digest()


def explicit_spki(private: PrivateKey, *, seed: bytes = b"", b_size: int | None = None) -> bytes:
    """The key with explicit curve parameters; ``seed`` as some write it, ``b_size`` the octets of b."""
    public = load_public_key(spki(private))
    assert isinstance(public, EcKey)
    return explicit_point(public.curve, (public.x, public.y), seed=seed, b_size=b_size)


def explicit_point(
    curve: curves.Curve,
    public: tuple[int, int],
    *,
    base: bytes | None = None,
    seed: bytes = b"",
    b_size: int | None = None,
) -> bytes:
    """A SubjectPublicKeyInfo with explicit parameters, as 9303-12 4.1.6.3 asks."""
    size = curve.size
    point, own = (b"\x04" + x.to_bytes(size, "big") + y.to_bytes(size, "big") for x, y in ((curve.x, curve.y), public))
    equation = [
        tlv.encode(OCTETS, curve.a.to_bytes(size, "big")),
        tlv.encode(OCTETS, curve.b.to_bytes(b_size or size, "big")),
        *([tlv.encode(BITS, b"\0" + seed)] if seed else []),
    ]
    domain = tlv.encode(
        SEQUENCE,
        integer(1),
        tlv.encode(SEQUENCE, oid("1.2.840.10045.1.1"), integer(curve.p)),
        tlv.encode(SEQUENCE, *equation),
        tlv.encode(OCTETS, base or point),
        integer(curve.n),
        integer(1),
    )
    algorithm = tlv.encode(SEQUENCE, oid("1.2.840.10045.2.1"), domain)
    return tlv.encode(SEQUENCE, algorithm, tlv.encode(BITS, b"\0" + own))


def hash_algorithm(digest: str, parameters: bytes = NULL) -> bytes:
    return tlv.encode(SEQUENCE, oid(OIDS_OF_HASHES[digest]), parameters)


def algorithm(scheme: Scheme, *, parameters: bytes | None = None) -> bytes:
    """The AlgorithmIdentifier of a signature; `parameters` instead of the usual ones."""
    if scheme.kind == "rsa-pss":
        mask = tlv.encode(SEQUENCE, oid("1.2.840.113549.1.1.8"), hash_algorithm(scheme.mask or scheme.hash))
        pss = tlv.encode(
            SEQUENCE,
            tlv.encode(0xA0, hash_algorithm(scheme.hash)),
            tlv.encode(0xA1, mask),
            tlv.encode(0xA2, integer(scheme.salt)),
        )
        return tlv.encode(SEQUENCE, oid(RSA_PSS), pss)
    table = ECDSA_OIDS if scheme.kind == "ecdsa" else RSA_OIDS
    number = next(number for number, digest in table.items() if digest == scheme.hash)
    usual = b"" if scheme.kind == "ecdsa" else NULL
    return tlv.encode(SEQUENCE, oid(number), usual if parameters is None else parameters)


def sign(private: PrivateKey, scheme: Scheme, message: bytes) -> bytes:
    digest = HASHES[scheme.hash]
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return private.sign(message, ec.ECDSA(digest, deterministic_signing=True))
    if scheme.kind == "rsa-pss":
        mask = padding.MGF1(HASHES[scheme.mask or scheme.hash])
        return private.sign(message, padding.PSS(mask, scheme.salt), digest)
    return private.sign(message, padding.PKCS1v15(), digest)


def sign_without_null(private: PrivateKey, digest: str, message: bytes) -> bytes:
    """PKCS #1 v1.5 whose DigestInfo lacks the NULL, as the list of the United Nations is signed."""
    assert isinstance(private, rsa.RSAPrivateKey)
    size = private.key_size // 8
    info = tlv.encode(SEQUENCE, hash_algorithm(digest, b""), tlv.encode(OCTETS, hashlib.new(digest, message).digest()))
    encoded = b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
    numbers = private.private_numbers()
    return pow(int.from_bytes(encoded, "big"), numbers.d, numbers.public_numbers.n).to_bytes(size, "big")


def bits(numbers: Iterable[int]) -> bytes:
    """A BIT STRING of KeyUsage."""
    value = sum(0x80 >> number for number in numbers)
    return tlv.encode(BITS, b"\0" + bytes((value,)))


@dataclass(frozen=True)
class Recipe:
    """A certificate to be written. ``issued_by`` None is self-signed; None for a part leaves it out."""

    key: PrivateKey
    issued_by: Recipe | None = None
    subject: bytes = field(default_factory=name)
    issuer: bytes | None = None
    serial: bytes = b"\x02\x02\x12\x34"
    start: datetime = MADE - timedelta(days=30)
    end: datetime = MADE + YEARS
    spki: bytes | None = None
    scheme: Scheme | None = None
    parameters: bytes | None = None
    usage: tuple[int, ...] | None = CSCA
    ca: bool | None = True
    key_id: bytes | None = b""
    wrapped: bool = True
    above: bytes | None = b""
    extended: tuple[str, ...] = ()
    more: Mapping[str, tuple[bool, bytes]] = field(default_factory=dict)
    indefinite: bool = False

    @property
    def own_id(self) -> bytes | None:
        """The key identifier it carries, b"" standing for the usual one."""
        return key_id(self.key) if self.key_id == b"" else self.key_id

    @property
    def scheme_of_key(self) -> Scheme:
        return SHA256_EC if isinstance(self.key, ec.EllipticCurvePrivateKey) else SHA256_RSA

    @property
    def der(self) -> bytes:
        above = self.issued_by or self
        scheme = self.scheme or above.scheme_of_key
        body = self._body(above, algorithm(scheme, parameters=self.parameters))
        signature = tlv.encode(BITS, b"\0" + sign(above.key, scheme, body))
        whole = tlv.encode(SEQUENCE, body, algorithm(scheme, parameters=self.parameters), signature)
        return to_indefinite(whole) if self.indefinite else whole

    def _body(self, above: Recipe, signed_with: bytes) -> bytes:
        return tlv.encode(
            SEQUENCE,
            tlv.encode(0xA0, integer(2)),
            self.serial,
            signed_with,
            above.subject if self.issuer is None else self.issuer,
            tlv.encode(SEQUENCE, utc(self.start), utc(self.end)),
            self.subject,
            spki(self.key) if self.spki is None else self.spki,
            tlv.encode(0xA3, tlv.encode(SEQUENCE, *self._extensions(above))),
        )

    def _extensions(self, above: Recipe) -> list[bytes]:
        found: dict[str, tuple[bool, bytes]] = {}
        if self.own_id is not None:
            found[SUBJECT_KEY] = False, tlv.encode(OCTETS, self.own_id) if self.wrapped else self.own_id
        above_id = above.own_id if self.above == b"" else self.above
        if above_id is not None:
            found[AUTHORITY_KEY] = False, tlv.encode(SEQUENCE, tlv.encode(0x80, above_id))
        if self.usage is not None:
            found[KEY_USAGE] = True, bits(self.usage)
        if self.ca is not None:
            found[BASIC_CONSTRAINTS] = True, tlv.encode(SEQUENCE, TRUE if self.ca else b"")
        if self.extended:
            found[EXTENDED_KEY_USAGE] = True, tlv.encode(SEQUENCE, *map(oid, self.extended))
        return [
            tlv.encode(SEQUENCE, oid(number), TRUE if critical else b"", tlv.encode(OCTETS, content))
            for number, (critical, content) in (found | dict(self.more)).items()
        ]


def signer_under(authority: Recipe, key: PrivateKey, **changes: object) -> Recipe:
    """A document signer; `changes` are parts of its recipe."""
    usual: dict[str, object] = {
        "key": key,
        "issued_by": authority,
        "subject": name(common="Document Signer"),
        "serial": b"\x02\x02\x22\x22",
        "start": MADE - timedelta(days=1),
        "usage": SIGNER,
        "ca": None,
    }
    return Recipe(**(usual | changes))  # type: ignore[arg-type]


def list_signer_under(authority: Recipe, key: PrivateKey, **changes: object) -> Recipe:
    usual = {"subject": name(common="Master List Signer"), "serial": b"\x02\x02\x33\x33", "extended": (LIST_SIGNER,)}
    return signer_under(authority, key, **(usual | changes))


@dataclass(frozen=True)
class Signing:
    """CMS SignedData to be written. ``named_by`` is "key" or "serial"; ``attributes`` None signs the content;
    ``pieces`` writes the content as an OCTET STRING in pieces of so many octets."""

    content: bytes
    content_type: str
    signer: Recipe
    certificates: tuple[bytes, ...]
    named_by: str = "key"
    issuer: bytes | None = None
    serial: bytes | None = None
    scheme: Scheme | None = None
    digest: str = "sha256"
    algorithm: bytes | None = None
    signature_without_null: bool = False
    signed_at: datetime | None = MADE
    attributes: bool = True
    backwards: bool = False
    indefinite: bool = False
    pieces: int = 0
    signed_content_type: str | None = None
    message_digest: bytes | None = None
    copies: int = 1

    @property
    def der(self) -> bytes:
        signed = tlv.encode(
            SEQUENCE,
            integer(3),
            tlv.encode(SET, hash_algorithm(self.digest)),
            tlv.encode(SEQUENCE, oid(self.content_type), tlv.encode(0xA0, self._octets())),
            *([tlv.encode(0xA0, *self.certificates)] if self.certificates else []),
            tlv.encode(SET, *([self._signer_info()] * self.copies)),
        )
        whole = tlv.encode(SEQUENCE, oid("1.2.840.113549.1.7.2"), tlv.encode(0xA0, signed))
        return to_indefinite(whole) if self.indefinite else whole

    def _octets(self) -> bytes:
        if not self.pieces:
            return tlv.encode(OCTETS, self.content)
        cut = range(0, len(self.content), self.pieces)
        return tlv.encode(0x24, *(tlv.encode(OCTETS, self.content[at : at + self.pieces]) for at in cut))

    def _signer_info(self) -> bytes:
        scheme = self.scheme or self.signer.scheme_of_key
        attributes = self._attributes() if self.attributes else []
        message = tlv.encode(SET, *sorted(attributes)) if attributes else self.content
        signature = (
            sign_without_null(self.signer.key, self.digest, message)
            if self.signature_without_null
            else sign(self.signer.key, scheme, message)
        )
        return tlv.encode(
            SEQUENCE,
            integer(3 if self.named_by == "key" else 1),
            self._named(),
            hash_algorithm(self.digest),
            *([tlv.encode(0xA0, *attributes)] if attributes else []),
            algorithm(scheme) if self.algorithm is None else self.algorithm,
            tlv.encode(OCTETS, signature),
        )

    def _named(self) -> bytes:
        if self.named_by == "key":
            return tlv.encode(0x80, self.signer.own_id or b"")
        above = self.signer.issued_by or self.signer
        issuer = above.subject if self.issuer is None else self.issuer
        return tlv.encode(SEQUENCE, issuer, self.signer.serial if self.serial is None else self.serial)

    def _attributes(self) -> list[bytes]:
        digest = self.message_digest or hashlib.new(self.digest, self.content).digest()
        values = {
            "1.2.840.113549.1.9.3": oid(self.signed_content_type or self.content_type),
            "1.2.840.113549.1.9.4": tlv.encode(OCTETS, digest),
        }
        if self.signed_at is not None:
            values["1.2.840.113549.1.9.5"] = utc(self.signed_at)
        found = sorted(tlv.encode(SEQUENCE, oid(kind), tlv.encode(SET, value)) for kind, value in values.items())
        return found[::-1] if self.backwards else found


def rsa_key_algorithm() -> bytes:
    """`rsaEncryption` where a signature algorithm belongs."""
    return tlv.encode(SEQUENCE, oid(RSA_ENCRYPTION), NULL)


def security_object(groups: Mapping[int, bytes], digest: str = "sha256") -> bytes:
    """LDSSecurityObject of 9303-10 4.6.2.2."""
    hashes = [
        tlv.encode(SEQUENCE, integer(number), tlv.encode(OCTETS, hashlib.new(digest, content).digest()))
        for number, content in sorted(groups.items())
    ]
    return tlv.encode(SEQUENCE, integer(0), hash_algorithm(digest), tlv.encode(SEQUENCE, *hashes))


def master_list(listed: Iterable[bytes], signer: Recipe, *embedded: bytes, **changes: object) -> bytes:
    """A CscaMasterList, signed; `changes` are parts of its signing."""
    content = tlv.encode(SEQUENCE, integer(0), tlv.encode(SET, *listed))
    usual: dict[str, object] = {
        "content": content, "content_type": MASTER_LIST, "signer": signer, "certificates": (signer.der, *embedded),
    }  # fmt: skip
    return Signing(**(usual | changes)).der  # type: ignore[arg-type]


def to_indefinite(der: bytes) -> bytes:
    """Every constructed object in the indefinite form of BER."""
    return b"".join(_indefinite(item) for item in tlv.parse(der))


def _indefinite(item: tlv.Tlv) -> bytes:
    if not item.raw[0] & 0x20:
        return item.raw
    return bytes((item.raw[0], 0x80)) + to_indefinite(item.value) + b"\0\0"

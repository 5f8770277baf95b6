"""A specimen State: country signing authority, document signers, revocation lists (ICAO 9303-12 7.1).

For demonstration and tests. Every subject says SPECIMEN, and nothing here is trusted unless a trust store
is made with it. Elliptic-curve keys come from `rng` and are reproducible; RSA keys cannot be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from emrtd import tlv
from emrtd.errors import MalformedCertificate, Misuse
from emrtd.pki import curves
from emrtd.pki.extensions import DOCUMENT_TYPES, PRIVATE_KEY_USAGE
from emrtd.pki.signatures import NATIVE_CURVES, Scheme
from emrtd.rng import Rng

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
YEAR = timedelta(days=365.25)
PSS_SALT = 32


@dataclass(frozen=True)
class Holder:
    """A certificate (DER) and its private key; `Authority` and `DocumentSigner` are the two uses."""

    certificate: bytes = field(repr=False)
    key: PrivateKey = field(repr=False)
    pss: bool = False

    def to_pem(self) -> bytes:
        """Certificate and unencrypted private key, to hand a specimen to another process."""
        pem = serialization.Encoding.PEM
        plain = self.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return x509.load_der_x509_certificate(self.certificate).public_bytes(pem) + plain

    @classmethod
    def from_pem(cls, data: bytes, *, pss: bool = False) -> Self:
        """Raises MalformedCertificate."""
        try:
            certificate = x509.load_pem_x509_certificate(data)
            key = serialization.load_pem_private_key(data[data.index(b"-----BEGIN PRIVATE") :], None)
        except ValueError as error:
            raise MalformedCertificate(f"no certificate with its key: {error}") from error
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise MalformedCertificate("a key neither RSA nor of an elliptic curve")
        return cls(certificate.public_bytes(serialization.Encoding.DER), key, pss)

    @property
    def serial(self) -> int:
        return x509.load_der_x509_certificate(self.certificate).serial_number

    @property
    def scheme(self) -> Scheme:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return Scheme("ecdsa", "sha256")
        return Scheme("rsa-pss", "sha256", PSS_SALT) if self.pss else Scheme("rsa-pkcs1", "sha256")

    def sign(self, message: bytes) -> bytes:
        """Sign with SHA-256 and `scheme`."""
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        return self.key.sign(message, self.padding, hashes.SHA256())

    @property
    def padding(self) -> padding.PSS | padding.PKCS1v15:
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), PSS_SALT)
        return pss if self.pss else padding.PKCS1v15()


class Authority(Holder):
    """A country signing authority."""


class DocumentSigner(Holder):
    """A document signer."""


def make_key(kind: str, rng: Rng) -> PrivateKey:
    """A private key: "rsa-2048" or the name of a curve. Raises Misuse, UnsupportedAlgorithm."""
    if kind.startswith("rsa-"):
        return rsa.generate_private_key(65537, int(kind.removeprefix("rsa-")))
    curve = curves.by_name(kind)
    if kind not in NATIVE_CURVES:
        raise Misuse(f"specimen keys are not made on {kind}")
    # sixteen bytes more than the order, so that the remainder is as good as uniform (FIPS 186-5 A.2.1)
    scalar = int.from_bytes(rng(curve.size + 16), "big") % (curve.n - 1) + 1
    return ec.derive_private_key(scalar, NATIVE_CURVES[kind])


def make_authority(
    country: str,
    *,
    at: datetime,
    rng: Rng,
    kind: str = "secp384r1",
    years: float = 15,
    pss: bool = False,
    name: str = "SPECIMEN CSCA",
) -> Authority:
    """A self-signed authority valid from `at`; `country` has two letters."""
    key = make_key(kind, rng)
    subject = _name(country, name)
    builder = _builder(subject, subject, key, rng, at, at + years * YEAR)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(authority=True), critical=True)
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(x509.AuthorityKeyIdentifier(own.digest, None, None), critical=False)
    return Authority(_signed(builder, key, pss), key, pss)


def make_signer(
    authority: Authority,
    *,
    at: datetime,
    rng: Rng,
    kind: str = "secp256r1",
    years: float = 11,
    pss: bool = False,
    document_types: tuple[str, ...] = (),
    name: str = "SPECIMEN Document Signer",
) -> DocumentSigner:
    """A document signer valid from `at` that may sign for three months."""
    issuer = x509.load_der_x509_certificate(authority.certificate)
    country = issuer.subject.get_attributes_for_oid(NameOID.COUNTRY_NAME)[0].value
    key = make_key(kind, rng)
    builder = _builder(_name(str(country), name), issuer.subject, key, rng, at, at + years * YEAR)
    builder = builder.add_extension(_key_usage(authority=False), critical=True)
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(above, critical=False)
    period = _signing_period(at, min(at + timedelta(days=90), at + years * YEAR))
    builder = builder.add_extension(period, critical=False)
    if document_types:
        builder = builder.add_extension(_document_types(document_types), critical=False)
    return DocumentSigner(_signed(builder, authority.key, authority.pss), key, pss)


def make_revocation_list(authority: Authority, serials: Iterable[int], *, at: datetime, days: int = 90) -> bytes:
    """A DER list that revokes `serials` from `at` on."""
    issuer = x509.load_der_x509_certificate(authority.certificate)
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
    builder = builder.last_update(at).next_update(at + timedelta(days=days))
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(above, critical=False).add_extension(x509.CRLNumber(1), critical=False)
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
        builder = builder.add_revoked_certificate(revoked)
    key = authority.key
    signed = builder.sign(
        key, hashes.SHA256(), rsa_padding=_padding(key, authority.pss), ecdsa_deterministic=_deterministic(key)
    )
    return signed.public_bytes(serialization.Encoding.DER)


def _name(country: str, common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, country),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "SPECIMEN"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, rng: Rng, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    serial = int.from_bytes(rng(16), "big") | 1
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _padding(key: PrivateKey, pss: bool) -> padding.PSS | padding.PKCS1v15 | None:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    return padding.PSS(padding.MGF1(hashes.SHA256()), PSS_SALT) if pss else padding.PKCS1v15()


def _deterministic(key: PrivateKey) -> bool | None:
    """RFC 6979 for ECDSA, so that a specimen is the same each time it is made; not applicable to RSA."""
    return True if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _signed(builder: x509.CertificateBuilder, key: PrivateKey, pss: bool) -> bytes:
    certificate = builder.sign(
        key, hashes.SHA256(), rsa_padding=_padding(key, pss), ecdsa_deterministic=_deterministic(key)
    )
    return certificate.public_bytes(serialization.Encoding.DER)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _signing_period(start: datetime, end: datetime) -> x509.UnrecognizedExtension:
    times = (tlv.encode(0x80 + index, f"{moment:%Y%m%d%H%M%SZ}".encode()) for index, moment in enumerate((start, end)))
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(PRIVATE_KEY_USAGE), tlv.encode(0x30, *times))


def _document_types(types: tuple[str, ...]) -> x509.UnrecognizedExtension:
    names = tlv.encode(0x31, *sorted(tlv.encode(0x13, kind.encode()) for kind in types))
    value = tlv.encode(0x30, tlv.encode(0x02, b"\0"), names)
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(DOCUMENT_TYPES), value)

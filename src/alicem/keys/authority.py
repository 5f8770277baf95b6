"""Certificates over our own signing keys: an operator's authority, or the specimen one that `alicem keys create --specimen` makes.

Phones pin the authority at enrolment; strangers find it in `x5c` (HAIP 1.0 §6.1.1).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID


def make_authority(key: EllipticCurvePrivateKey, now: datetime, ends: datetime, host: str) -> bytes:
    """A self-signed certificate (DER) that may sign issuing certificates only (path length 0)."""
    return _certificate(key.public_key(), key, name(f"Alicem specimen authority {host}"), None, now, ends)


def make_issuing(
    public: EllipticCurvePublicKey,
    authority: bytes,
    authority_key: EllipticCurvePrivateKey,
    now: datetime,
    ends: datetime,
    purpose: str,
    host: str,
) -> bytes:
    """A certificate (DER) over `public`, signed by the authority, for `purpose` at `host`."""
    issuer = x509.load_der_x509_certificate(authority)
    return _certificate(public, authority_key, name(f"Alicem {purpose} {host}"), issuer, now, ends, host)


def name(common_name: str) -> x509.Name:
    """Of France; cut to the 64 characters X.520 allows."""
    return x509.Name(
        [x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"), x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])]
    )


def _certificate(
    public: EllipticCurvePublicKey,
    signer: EllipticCurvePrivateKey,
    subject: x509.Name,
    issuer: x509.Certificate | None,
    now: datetime,
    ends: datetime,
    host: str | None = None,
) -> bytes:
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(ends)
        .add_extension(
            x509.BasicConstraints(ca=issuer is None, path_length=0 if issuer is None else None), critical=True
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=issuer is not None, key_cert_sign=issuer is None, crl_sign=issuer is None, **usage
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if host is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return builder.sign(signer, SHA256()).public_bytes(Encoding.DER)

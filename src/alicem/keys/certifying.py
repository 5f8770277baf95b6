"""Certificates for the keys that strangers and phones know: by the authority in the ring, or by an operator's that stays elsewhere.

An operator's authority signs what `request` gives and `install` takes. Phones pinned the authority when they were enrolled, so a chain that
ends elsewhere than the last one is refused unless it is meant.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from asn1crypto import csr, pem
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from alicem.keys.authority import make_authority, make_issuing, name
from alicem.keys.purposes import CERTIFIED, OVERLAP, PURPOSES
from alicem.keys.ring import Key, KeyRefused, Keys, SigningKey


def certified(ring: Keys, key: SigningKey, now: datetime, host: str) -> SigningKey:
    """A new key with a certificate where it needs one and the authority's key is in the ring; else it waits for one."""
    if key.purpose == "authority":
        return replace(key, x5c=(make_authority(_in_memory(key), now, _end(key), host),))
    if key.purpose not in CERTIFIED:
        return key
    authorities = [one for one in ring.published("authority") if not one.over(now)]
    if not authorities:
        return replace(key, used_from=None)
    authority = authorities[0]
    ends = min(_end(key), _end(authority))
    leaf = make_issuing(key.private.public_key(), authority.x5c[0], _in_memory(authority), now, ends, key.purpose, host)
    return replace(key, x5c=(leaf, *authority.x5c))


def request(ring: Keys, kid: str, host: str) -> bytes:
    """A certificate signing request (PKCS#10, PEM) for a key that waits for its certificate. Raises `KeyRefused`.

    Put together here: `cryptography` would have the private key in memory, and it may be in a token.
    """
    key = _waiting(ring, kid)
    public = key.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    names = asn1_x509.Extension(
        {"extn_id": "subject_alt_name", "extn_value": [asn1_x509.GeneralName("dns_name", host)]}
    )
    info = csr.CertificationRequestInfo(
        {
            "version": "v1",
            "subject": asn1_x509.Name.load(name(f"Alicem {key.purpose} {host}").public_bytes()),
            "subject_pk_info": asn1_keys.PublicKeyInfo.load(public),
            "attributes": [{"type": "extension_request", "values": [[names]]}],
        }
    )
    signature = key.private.sign(info.dump(), ec.ECDSA(SHA256()))
    algorithm = {"algorithm": "sha256_ecdsa"}
    whole = csr.CertificationRequest(
        {"certification_request_info": info, "signature_algorithm": algorithm, "signature": signature}
    )
    return bytes(pem.armor("CERTIFICATE REQUEST", whole.dump()))


def installed(
    ring: Keys,
    kid: str,
    given: bytes,
    now: datetime,
    host: str,
    *,
    new_authority: bool = False,
    at_once: bool = False,
) -> Keys:
    """The ring with the chain (PEM: the key's certificate, then its authority's) of a key that waited; it takes over after `OVERLAP`, or now.

    Raises `KeyRefused` for a chain of another key or without the name of our host, that does not hold, that ends before the key, or at another
    authority than phones pinned.
    """
    key = _waiting(ring, kid)
    chain = _chain(given, key, now, host)
    others = {one.x5c[-1] for one in ring.signing_keys if one.x5c and one.retired is None}
    if others - {chain[-1]} and not new_authority:
        raise KeyRefused(
            "this chain ends at another authority than the keys in use: every phone would have to enrol again"
        )
    followed = not at_once and any(one.used_from for one in ring.published(key.purpose))
    begins = now + OVERLAP if followed else now
    placed = replace(key, x5c=chain, used_from=begins)
    keys = (placed if one.kid == kid else one for one in ring.signing_keys)
    return replace(ring, signing_keys=tuple(keys))


def _waiting(ring: Keys, kid: str) -> SigningKey:
    for key in ring.signing_keys:
        if key.kid == kid and key.purpose in CERTIFIED and not key.x5c and key.retired is None:
            return key
    raise KeyRefused(f"no key {kid} waits for a certificate: see `alicem keys list`")


def _chain(given: bytes, key: SigningKey, now: datetime, host: str) -> tuple[bytes, bytes]:
    try:
        leaf, authority = x509.load_pem_x509_certificates(given)
        leaf.verify_directly_issued_by(authority)
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
        raise KeyRefused("expected a certificate and the authority's that signed it, PEM, in this order") from error
    if leaf.public_key() != key.private.public_key():
        raise KeyRefused(f"this certificate is of another key than {key.kid}")
    if host not in _hosts(leaf):  # strangers hold it against the address that a credential names as its issuer
        raise KeyRefused(
            f"the certificate lacks the name that was asked for, DNS:{host}: have it copied from the request"
        )
    if not constraints.ca:
        raise KeyRefused("the second certificate is not an authority's")
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc or leaf.not_valid_after_utc < _end(key):
        raise KeyRefused(f"the certificate is to be valid from now to {_end(key):%Y-%m-%d}")
    if authority.not_valid_after_utc < _end(key):
        raise KeyRefused(f"the authority is to be valid to {_end(key):%Y-%m-%d}, as its certificates are")
    return leaf.public_bytes(Encoding.DER), authority.public_bytes(Encoding.DER)


def _hosts(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return []
    return names.get_values_for_type(x509.DNSName)


def _end(key: Key) -> datetime:
    """Of a certificate: as long as what the key made is looked at."""
    if key.use_by is None:
        raise KeyRefused(f"{key.kid} has no end, and a certificate needs one")
    return key.use_by + (PURPOSES[key.purpose].looked_at or timedelta())


def _in_memory(key: SigningKey) -> ec.EllipticCurvePrivateKey:
    if not isinstance(key.private, ec.EllipticCurvePrivateKey):
        raise KeyRefused(f"{key.kid} is not at hand to sign certificates")
    return key.private

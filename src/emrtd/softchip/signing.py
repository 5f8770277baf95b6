"""What a chip and its State sign: the security object and the answer of active authentication."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime

from asn1crypto import algos, cms, core, x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.serialization import load_der_private_key

from emrtd import tlv
from emrtd.active_authentication import ONE_BYTE_HASH, ONE_BYTE_TRAILER, TWO_BYTE_TRAILERS
from emrtd.errors import Misuse
from emrtd.files import SOD
from emrtd.lds.card_security import SECURITY_OBJECT
from emrtd.lds.security_infos import SecurityInfo, compose_security_infos
from emrtd.lds.sod import LDS_SECURITY_OBJECT, LdsSecurityObject
from emrtd.pki.signatures import HASHES, Scheme
from emrtd.pki.specimen import DocumentSigner
from emrtd.rng import Rng


def compose_sod(groups: Mapping[int, bytes], signer: DocumentSigner, *, digest: str, at: datetime) -> bytes:
    """EF.SOD over `groups`, hashed with `digest`, signed with SHA-256 at the moment `at`."""
    hashes = [
        {"number": number, "value": hashlib.new(digest, content).digest()} for number, content in sorted(groups.items())
    ]
    algorithm = {"algorithm": digest}
    content = LdsSecurityObject({"version": 0, "hash_algorithm": algorithm, "hashes": hashes}).dump()
    signed = compose_signed(LDS_SECURITY_OBJECT, content, signer, at=at)
    return tlv.encode(SOD.tag, signed)


def compose_card_security(infos: tuple[SecurityInfo, ...], signer: DocumentSigner, *, at: datetime) -> bytes:
    """EF.CardSecurity with `infos` (ICAO 9303-10 3.11.4)."""
    return compose_signed(SECURITY_OBJECT, compose_security_infos(infos), signer, at=at)


def compose_signed(content_type: str, content: bytes, signer: DocumentSigner, *, at: datetime) -> bytes:
    """A ContentInfo with SignedData over `content`, signed with SHA-256 at the moment `at` (RFC 5652 5)."""
    certificate = x509.Certificate.load(signer.certificate)
    attributes = _attributes(content_type, content, at)
    info = {
        "version": "v1",
        "sid": cms.SignerIdentifier(
            "issuer_and_serial_number",
            {"issuer": certificate.issuer, "serial_number": certificate.serial_number},
        ),
        "digest_algorithm": {"algorithm": "sha256"},
        "signed_attrs": attributes,
        "signature_algorithm": _algorithm(signer.scheme),
        "signature": signer.sign(attributes.dump()),
    }
    signed = cms.SignedData(
        {
            "version": "v3",
            "digest_algorithms": [{"algorithm": "sha256"}],
            "encap_content_info": {"content_type": content_type, "content": content},
            "certificates": [certificate],
            "signer_infos": [info],
        }
    )
    der: bytes = cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump()
    return der


def _attributes(content_type: str, content: bytes, at: datetime) -> cms.CMSAttributes:
    time = cms.Time({"utc_time": core.UTCTime(at)})
    return cms.CMSAttributes(
        [
            {"type": "content_type", "values": [content_type]},
            {"type": "signing_time", "values": [time]},
            {"type": "message_digest", "values": [hashlib.sha256(content).digest()]},
        ]
    )


def _algorithm(scheme: Scheme) -> algos.SignedDigestAlgorithm:
    if scheme.kind == "rsa-pss":
        digest = {"algorithm": scheme.hash}
        mask = {"algorithm": "mgf1", "parameters": digest}
        parameters = {"hash_algorithm": digest, "mask_gen_algorithm": mask, "salt_length": scheme.salt}
        return algos.SignedDigestAlgorithm({"algorithm": "rsassa_pss", "parameters": parameters})
    name = "ecdsa" if scheme.kind == "ecdsa" else "rsa"
    return algos.SignedDigestAlgorithm({"algorithm": f"{scheme.hash}_{name}"})


def answer_challenge(private_key: bytes, challenge: bytes, rng: Rng, *, digest: str) -> bytes:
    """The chip's answer to INTERNAL AUTHENTICATE; `private_key` is PKCS #8 DER."""
    key = load_der_private_key(private_key, None)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return _answer_ecdsa(key, challenge, digest)
    if isinstance(key, rsa.RSAPrivateKey):
        return _answer_rsa(key, challenge, rng, digest)
    raise Misuse("an active authentication key is RSA or ECDSA")


def _answer_ecdsa(key: ec.EllipticCurvePrivateKey, challenge: bytes, digest: str) -> bytes:
    """Plain r | s (9303-11 6.1.2.3)."""
    r, s = utils.decode_dss_signature(key.sign(challenge, ec.ECDSA(HASHES[digest])))
    size = (key.key_size + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def _answer_rsa(key: rsa.RSAPrivateKey, challenge: bytes, rng: Rng, digest: str) -> bytes:
    size = key.key_size // 8
    numbers = key.private_numbers()
    message = int.from_bytes(representative(size, challenge, rng, digest=digest), "big")
    return pow(message, numbers.d, numbers.public_numbers.n).to_bytes(size, "big")


def representative(size: int, challenge: bytes, rng: Rng, *, digest: str) -> bytes:
    """ISO/IEC 9796-2 scheme 1, partial recovery: 6A | M1 | hash(M1 | challenge) | trailer (9303-11 F)."""
    trailer = _trailer(digest)
    recoverable = rng(size - 1 - HASHES[digest].digest_size - len(trailer))
    hashed = hashlib.new(digest, recoverable + challenge).digest()
    return b"\x6a" + recoverable + hashed + trailer


def _trailer(digest: str) -> bytes:
    if digest == ONE_BYTE_HASH:
        return bytes((ONE_BYTE_TRAILER,))
    return bytes((next(code for code, name in TWO_BYTE_TRAILERS.items() if name == digest), 0xCC))

"""What the phone believes of the server's signatures: a chain in `x5c` to the authority it pinned at enrolment."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from alicem import jose
from alicem.jose import BadToken, b64


def anchor_of(token: str, typ: str) -> str:
    """The pin of the authority above a first signed thing, taken on trust of the connection once, at enrolment."""
    return b64(hashlib.sha256(_chain(jose.unpack(token, typ).header)[-1]).digest())


def verified(token: str, typ: str, anchor: str, now: datetime) -> tuple[dict[str, Any], bytes]:
    """The payload of a token whose chain ends at `anchor`, and its leaf certificate (DER). Raises `BadToken`."""
    unverified = jose.unpack(token, typ)
    chain = _chain(unverified.header)
    if not hmac.compare_digest(b64(hashlib.sha256(chain[-1]).digest()), anchor):
        raise BadToken("signed under another authority than the one of the enrolment")
    try:
        leaf, authority = (x509.load_der_x509_certificate(one) for one in (chain[0], chain[-1]))
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise BadToken("a certificate chain that does not hold") from error
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise BadToken("the server's certificate is not valid now")
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise BadToken("not a key of P-256")
    jose.check(unverified, key)
    return unverified.json(), chain[0]


def _chain(header: Any) -> list[bytes]:
    x5c = header.get("x5c")
    if not isinstance(x5c, list) or len(x5c) != 2:
        raise BadToken("x5c is a leaf and its authority")
    try:
        return [base64.b64decode(one, validate=True) for one in x5c]
    except (binascii.Error, ValueError, TypeError) as error:
        raise BadToken("x5c is not base64") from error

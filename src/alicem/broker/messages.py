"""JWTs of the broker's two sides: signed, or signed and then encrypted (JWS in JWE).

Which algorithms count is said by the file of the service or the provider, never by the message (RFC 8725 §3.1).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, RSAKey

Key = ECKey | RSAKey | OctKey
Opener = ECKey | RSAKey

_LONGEST = 65_536  # characters of a token
_JWE_HEADER = {"alg", "enc", "kid", "typ", "cty", "epk", "apu", "apv"}  # no zip: a small message stays small
_JWS_HEADER = {"alg", "kid", "typ", "cty"}
_KTY = {"ES256": "EC", "RS256": "RSA", "PS256": "RSA", "ECDH-ES": "EC", "RSA-OAEP": "RSA", "RSA-OAEP-256": "RSA"}


class BadMessage(Exception):
    """Malformed, of another algorithm, or of a key that is not the expected one."""


def sign(claims: Mapping[str, Any], alg: str, key: Key) -> str:
    """A compact JWS."""
    header = {"alg": alg, "typ": "JWT"} | ({} if key.kid is None else {"kid": str(key.kid)})
    return jws.serialize_compact(header, json.dumps(claims, ensure_ascii=False).encode(), key)


def verified(token: str, alg: str, keys: Mapping[str, Key]) -> dict[str, Any]:
    """The claims of a JWS, by the key its `kid` names; without one, by the only key there is. A secret has no name. Raises `BadMessage`."""
    header = _header(token, 2, _JWS_HEADER)
    if header.get("alg") != alg:
        raise BadMessage("another algorithm")
    try:
        key = _named(keys, None if alg == "HS256" else header.get("kid"))
        found = jws.deserialize_compact(token, key, algorithms=[alg])
        claims = json.loads(found.payload)
    except (JoseError, ValueError, RecursionError) as error:
        raise BadMessage("the signature is wrong") from error
    if not isinstance(claims, dict):
        raise BadMessage("not an object")
    return claims


def sealed(token: str, alg: str, enc: str, key: Opener) -> str:
    """A JWS in a JWE (RFC 7519 §11.2)."""
    header = {"alg": alg, "enc": enc, "cty": "JWT"} | ({} if key.kid is None else {"kid": str(key.kid)})
    return jwe.encrypt_compact(header, token.encode(), key, algorithms=[alg, enc])


def opened(token: str, alg: str, enc: str, keys: Mapping[str, Opener]) -> str:
    """The JWS in a JWE. Raises `BadMessage`."""
    header = _header(token, 4, _JWE_HEADER)
    if (header.get("alg"), header.get("enc")) != (alg, enc):
        raise BadMessage("another algorithm")
    tried = [_named(keys, header["kid"])] if "kid" in header else list(keys.values())
    for key in tried:
        try:
            return (jwe.decrypt_compact(token, key, algorithms=[alg, enc]).plaintext or b"").decode("ascii")
        except (JoseError, ValueError):
            continue
    raise BadMessage("does not open")


def public_keys(jwks: Mapping[str, Any], use: str, alg: str) -> dict[str, Opener]:
    """Of a stranger's JWKS the keys for one use and algorithm, by `kid`; what is malformed or private counts as absent."""
    found: dict[str, Opener] = {}
    rows = jwks.get("keys")
    for row in rows[:50] if isinstance(rows, list) else ():
        if isinstance(row, dict) and row.get("kty") == _KTY[alg] and _meant(row, use, alg) and "d" not in row:
            for key in _imported(row):
                found.setdefault(str(row.get("kid", "")), key)
    return found


def payload(token: str) -> dict[str, Any]:
    """What a JWS says, unverified: to find the key that may verify it. Raises `BadMessage`."""
    _header(token, 2, _JWS_HEADER)
    try:
        claims = json.loads(jws.extract_compact(token.encode()).payload)
    except (JoseError, ValueError, RecursionError) as error:
        raise BadMessage("malformed") from error
    if not isinstance(claims, dict):
        raise BadMessage("not an object")
    return claims


def kid_of(token: str) -> str | None:
    """Which key a JWS names, unverified. Raises `BadMessage`."""
    kid = _header(token, 2, _JWS_HEADER).get("kid")
    return kid if isinstance(kid, str) else None


def _header(token: str, dots: int, admitted: set[str]) -> dict[str, Any]:
    if len(token) > _LONGEST or token.count(".") != dots or not token.isascii():
        raise BadMessage("not a compact token of this kind")
    head = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, RecursionError) as error:
        raise BadMessage("malformed") from error
    if not isinstance(header, dict) or not header.keys() <= admitted:
        raise BadMessage("the header says what it may not")
    return header


def _named(keys: Mapping[str, Any], kid: object) -> Any:
    if kid is None and len(keys) == 1:
        return next(iter(keys.values()))
    if not isinstance(kid, str) or kid not in keys:
        raise BadMessage("no such key")
    return keys[kid]


def _meant(row: Mapping[str, Any], use: str, alg: str) -> bool:
    return (row.get("use", use), row.get("alg", alg), row.get("crv", "P-256")) == (use, alg, "P-256")


def _imported(row: Mapping[str, Any]) -> Iterable[Opener]:
    try:
        key = RSAKey.import_key(dict(row)) if row["kty"] == "RSA" else ECKey.import_key(dict(row))
        if isinstance(key, ECKey) or key.public_key.key_size >= 2048:
            yield key
    except (JoseError, ValueError, TypeError, KeyError):
        return

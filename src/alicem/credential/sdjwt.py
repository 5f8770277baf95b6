"""SD-JWT (RFC 9901): disclosures, their digests, and the compact form `<issuer JWS>~<disclosure>~…~[<KB-JWT>]`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from alicem.jose import BadToken, b64, unb64

MOST_DISCLOSURES = 64
RESERVED = frozenset({"_sd", "...", "_sd_alg", "iss", "iat", "nbf", "exp", "cnf", "vct", "status"})
"""Names a disclosure may not carry (RFC 9901 §7.1, SD-JWT VC §3.2.2.2)."""


@dataclass(frozen=True)
class Disclosure:
    """One claim with its salt; `text` is what travels and what is hashed."""

    name: str
    value: Any
    text: str

    @property
    def digest(self) -> str:
        return b64(hashlib.sha256(self.text.encode()).digest())


@dataclass(frozen=True)
class SdJwt:
    """The three parts, taken apart, nothing verified. `key_binding` is empty where there is none."""

    issuer_jwt: str
    disclosures: tuple[Disclosure, ...]
    key_binding: str

    @property
    def sd_hash(self) -> str:
        """RFC 9901 §4.3.1: over everything before the KB-JWT, the last `~` included."""
        parts = (self.issuer_jwt, *(one.text for one in self.disclosures), "")
        return b64(hashlib.sha256("~".join(parts).encode()).digest())


def disclose(name: str, value: Any, rng: Callable[[int], bytes]) -> Disclosure:
    """A disclosure with a fresh salt of 128 bits (RFC 9901 §4.2.1)."""
    array = json.dumps([b64(rng(16)), name, value], ensure_ascii=False)
    return Disclosure(name, value, b64(array.encode()))


def parse(token: str) -> SdJwt:
    """Take a compact SD-JWT apart. Raises `BadToken` for a form, name or repetition that RFC 9901 §7.1 refuses."""
    parts = token.split("~")
    if len(parts) < 2 or len(parts) > MOST_DISCLOSURES + 2:
        raise BadToken("not a compact SD-JWT")
    disclosures = tuple(_disclosure(text) for text in parts[1:-1])
    if len({one.digest for one in disclosures}) != len(disclosures):
        raise BadToken("a disclosure is repeated")
    if len({one.name for one in disclosures}) != len(disclosures):
        raise BadToken("a claim is disclosed twice")
    return SdJwt(parts[0], disclosures, parts[-1])


def _disclosure(text: str) -> Disclosure:
    try:
        array = json.loads(unb64(text))
    except (ValueError, RecursionError) as error:
        raise BadToken("a disclosure is not JSON") from error
    if not isinstance(array, list) or len(array) != 3 or not isinstance(array[1], str) or array[1] in RESERVED:
        raise BadToken("a disclosure is not [salt, name, value]")
    return Disclosure(array[1], array[2], text)


def reveal(payload: Mapping[str, Any], disclosures: tuple[Disclosure, ...]) -> dict[str, Any]:
    """The claims in clear and those disclosed. Every disclosure must be one the issuer signed. Raises `BadToken`."""
    digests = payload.get("_sd", [])
    if not isinstance(digests, list) or payload.get("_sd_alg", "sha-256") != "sha-256":
        raise BadToken("_sd is not a list under sha-256")
    if len(set(digests)) != len(digests):
        raise BadToken("a digest is repeated")
    claims = {name: value for name, value in payload.items() if name not in ("_sd", "_sd_alg")}
    for one in disclosures:
        if one.digest not in digests or one.name in claims:
            raise BadToken("a disclosure the issuer did not sign")
        claims[one.name] = one.value
    return claims

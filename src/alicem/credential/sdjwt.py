"""SD-JWT (RFC 9901): disclosures, their digests, and the compact form `<issuer JWS>~<disclosure>~…~[<KB-JWT>]`.

Ours are flat; what strangers issue may hide members of members and elements of arrays, and is read all the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from alicem.jose import BadToken, b64, unb64

MOST_DISCLOSURES = 64
MOST_DEPTH = 24
RESERVED = frozenset({"_sd", "...", "_sd_alg", "iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status"})
"""Names that may not be disclosed at the top (RFC 9901 §7.1, SD-JWT VC §2.2.2.2)."""


@dataclass(frozen=True)
class Disclosure:
    """One claim with its salt; `name` is None for an element of an array. `text` is what travels and what is hashed."""

    name: str | None
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
    texts = parts[1:-1]
    if len(set(texts)) != len(texts):
        raise BadToken("a disclosure is repeated")
    return SdJwt(parts[0], tuple(_disclosure(text) for text in texts), parts[-1])


def _disclosure(text: str) -> Disclosure:
    try:
        array = json.loads(unb64(text))
    except (ValueError, RecursionError) as error:
        raise BadToken("a disclosure is not JSON") from error
    match array:
        case [str(), str(name), value] if name not in ("_sd", "..."):
            return Disclosure(name, value, text)
        case [str(), value]:
            return Disclosure(None, value, text)
    raise BadToken("a disclosure is neither [salt, name, value] nor [salt, value]")


def reveal(payload: Mapping[str, Any], disclosures: Iterable[Disclosure]) -> dict[str, Any]:
    """The claims in clear and those disclosed, digests taken out (RFC 9901 §7.1). Every disclosure must be one the issuer signed. Raises `BadToken`."""
    if payload.get("_sd_alg", "sha-256") != "sha-256":
        raise BadToken("digests of another algorithm than SHA-256")
    revealing = _Revealing(disclosures)
    claims = revealing.members({name: value for name, value in payload.items() if name != "_sd_alg"}, 0)
    if revealing.left:
        raise BadToken("a disclosure the issuer did not sign")
    if (claims.keys() - payload.keys()) & RESERVED:
        raise BadToken("a registered claim is disclosed")
    return claims


class _Revealing:
    """One walk through a payload. `left`: digests of the disclosures no place was found for."""

    def __init__(self, disclosures: Iterable[Disclosure]) -> None:
        self.left = {one.digest: one for one in disclosures}
        self._seen: set[str] = set()

    def members(self, value: Mapping[str, Any], depth: int) -> dict[str, Any]:
        digests = value.get("_sd", [])
        if not isinstance(digests, list) or "..." in value:
            raise BadToken("_sd is not a list, or a member is named as an element")
        claims = {name: self._anything(inner, depth + 1) for name, inner in value.items() if name != "_sd"}
        for one in map(self._taken, digests):
            if one is None:
                continue  # not disclosed, or a decoy
            if one.name is None or one.name in claims:
                raise BadToken("a disclosure of an element, or of a name that is there already")
            claims[one.name] = self._anything(one.value, depth + 1)
        return claims

    def _anything(self, value: Any, depth: int) -> Any:
        if not isinstance(value, (dict, list)):
            return value
        if depth > MOST_DEPTH:
            raise BadToken("nested too deep")
        if isinstance(value, dict):
            return self.members(value, depth)
        return [shown for element in value for shown in self._elements(element, depth)]

    def _elements(self, element: Any, depth: int) -> Iterator[Any]:
        """The element; of a digest what it stands for, or nothing."""
        if not isinstance(element, dict) or element.keys() != {"..."}:
            yield self._anything(element, depth + 1)
            return
        one = self._taken(element["..."])
        if one is not None:
            if one.name is not None:
                raise BadToken("a disclosure of a claim where an element belongs")
            yield self._anything(one.value, depth + 1)

    def _taken(self, digest: Any) -> Disclosure | None:
        if not isinstance(digest, str) or digest in self._seen:
            raise BadToken("a digest is no text, or is repeated")
        self._seen.add(digest)
        return self.left.pop(digest, None)

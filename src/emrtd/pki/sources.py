"""What a file for a trust store may be: certificate, revocation list, master list, LDIF, PEM of any of them.

Told by content, never by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from asn1crypto import pem

from emrtd import tlv
from emrtd.errors import MalformedTlv, MalformedTrustFile
from emrtd.pki.ber import to_definite
from emrtd.pki.ldif import is_ldif, parse_ldif

SEQUENCE, OBJECT_IDENTIFIER, TIMES = 0x30, 0x06, (0x17, 0x18)
FILE_MAX = 1 << 28
PEM_MAX = 1 << 26
OBJECTS_MAX = 1 << 17
Kind = Literal["certificate", "revocation list", "master list"]


@dataclass(frozen=True)
class Source:
    """The objects of one file, by kind, not yet read. ``from_directory`` is True for those nobody vouches for."""

    certificates: tuple[bytes, ...] = field(default=(), repr=False)
    revocation_lists: tuple[bytes, ...] = field(default=(), repr=False)
    master_lists: tuple[bytes, ...] = field(default=(), repr=False)
    from_directory: bool = False
    unreadable: int = 0


def read_source(content: bytes) -> Source:
    """Sort the objects of a file, one or several. Raises MalformedTrustFile for one that holds none."""
    if content[:1] == bytes((SEQUENCE,)):
        return _sorted(_objects(content))
    if pem.detect(content):
        return _sorted(_unarmored(content))
    if is_ldif(content):
        found = parse_ldif(content)
        return Source(
            certificates=found.certificates,
            revocation_lists=found.revocation_lists,
            master_lists=found.master_lists,
            from_directory=True,
            unreadable=found.unreadable,
        )
    raise MalformedTrustFile("neither certificate nor list, nor a file of them")


def _objects(content: bytes) -> list[bytes]:
    """The objects of a file that holds them one after another, as an import writes them."""
    definite, at = to_definite(content), 0
    found: list[bytes] = []
    while at < len(definite) and len(found) < OBJECTS_MAX:
        try:
            item, at = tlv.read(definite, at)
        except MalformedTlv as error:
            if not found:
                raise MalformedTrustFile(f"neither certificate nor list: {error}") from error
            break  # what follows a whole object is no reason to lose it
        found.append(item.raw)
    return found


def _unarmored(content: bytes) -> list[bytes]:
    if len(content) > PEM_MAX:
        raise MalformedTrustFile(f"a PEM file of {len(content)} bytes")
    try:
        return [der for _, _, der in pem.unarmor(content, multiple=True)]
    except (ValueError, TypeError) as error:
        raise MalformedTrustFile(f"a PEM file cannot be read: {error}") from error


def _sorted(objects: Iterable[bytes]) -> Source:
    kinds: dict[Kind, list[bytes]] = {"certificate": [], "revocation list": [], "master list": []}
    for data in objects:
        kinds[kind_of(data)].append(data)
    return Source(tuple(kinds["certificate"]), tuple(kinds["revocation list"]), tuple(kinds["master list"]))


def kind_of(data: bytes) -> Kind:
    """Which of the three a DER or BER object is, by its outline alone. Raises MalformedTrustFile."""
    try:
        outer = tlv.expect(to_definite(data), SEQUENCE).value
        first, _ = tlv.read(outer)
        if first.tag == OBJECT_IDENTIFIER:  # ContentInfo
            return "master list"
        if first.tag != SEQUENCE:
            raise MalformedTrustFile("neither certificate nor list")
        tags = [item.tag for item in tlv.parse(first.value)[:5]]
    except MalformedTlv as error:
        raise MalformedTrustFile(f"neither certificate nor list: {error}") from error
    # the time of a list stands by itself after the issuer's name; a certificate has its two in a SEQUENCE
    bare_time = any(before == SEQUENCE and tag in TIMES for before, tag in pairwise(tags))
    return "revocation list" if bare_time else "certificate"

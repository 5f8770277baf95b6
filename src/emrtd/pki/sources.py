"""What a file for a trust store may be: certificate, revocation list, master list, LDIF, PEM of any of them.

Told by content, never by name.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from emrtd import tlv
from emrtd.errors import MalformedTlv, MalformedTrustFile
from emrtd.pki.ber import read_object, to_definite
from emrtd.pki.ldif import is_ldif, parse_ldif

SEQUENCE, OBJECT_IDENTIFIER, TIMES = 0x30, 0x06, (0x17, 0x18)
FILE_MAX = 1 << 28
BEGIN, END, DASHES = b"-----BEGIN ", b"-----END ", b"-----"
OBJECTS_MAX = 1 << 17
UNREADABLE_MAX = 1000
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
    if is_pem(content):
        return _sorted(unarmored(content))
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
    found: list[bytes] = []
    at = 0
    while at < len(content) and len(found) < OBJECTS_MAX:
        try:
            item, at = read_object(content, at)
        except MalformedTlv as error:
            if not found:
                raise MalformedTrustFile(f"neither certificate nor list: {error}") from error
            break  # what follows a whole object is no reason to lose it
        found.append(item)
    return found


def is_pem(content: bytes) -> bool:
    return content[:1] != bytes((SEQUENCE,)) and BEGIN in content


def unarmored(content: bytes) -> list[bytes]:
    """The objects of a PEM file (RFC 7468), whatever they are labelled. Raises MalformedTrustFile."""
    found: list[bytes] = []
    at = content.find(BEGIN)
    while at >= 0 and len(found) < OBJECTS_MAX:
        start = content.find(DASHES, at + len(BEGIN)) + len(DASHES)
        end = content.find(END, start)
        if start < len(DASHES) or end < 0:
            raise MalformedTrustFile("a PEM object without end")
        try:
            found.append(binascii.a2b_base64(b"".join(content[start:end].split()), strict_mode=True))
        except binascii.Error as error:
            raise MalformedTrustFile(f"a PEM object cannot be read: {error}") from error
        at = content.find(BEGIN, end)
    return found


def _sorted(objects: Iterable[bytes]) -> Source:
    """By kind; what is none of the kinds is counted, and told where there is nothing else."""
    kinds: dict[Kind, list[bytes]] = {"certificate": [], "revocation list": [], "master list": []}
    reasons: list[MalformedTrustFile] = []
    for data in objects:
        try:
            kinds[kind_of(data)].append(data)
        except MalformedTrustFile as error:
            reasons.append(error)
        if len(reasons) > UNREADABLE_MAX:
            break
    if reasons and not any(kinds.values()):
        raise reasons[0]
    return Source(
        certificates=tuple(kinds["certificate"]),
        revocation_lists=tuple(kinds["revocation list"]),
        master_lists=tuple(kinds["master list"]),
        unreadable=len(reasons),
    )


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

"""LDIF as the ICAO public key directory gives it out: master lists, document signers, revocation lists (RFC 2849).

Only base64 values of the attributes named here are taken; a value that stands for an address is never
fetched. A directory is signed by nobody: what comes out of it counts only under what is trusted already.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field

from emrtd.errors import MalformedTrustFile

LDIF_MAX = 1 << 28
VALUES_MAX = 1 << 18
MASTER_LISTS = (b"pkdmasterlistcontent", b"cscamasterlistdata")
CERTIFICATES = (b"usercertificate", b"cacertificate")
REVOCATION_LISTS = (b"certificaterevocationlist", b"authorityrevocationlist")
ENTRY = re.compile(rb"^(?:version|dn):", re.IGNORECASE | re.MULTILINE)
VALUE = re.compile(
    rb"^(" + b"|".join((*MASTER_LISTS, *CERTIFICATES, *REVOCATION_LISTS)) + rb")(?:;[\w-]+)*::[ ]*(.*)$",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True)
class Ldif:
    """The values of a file, each DER or BER; ``unreadable`` counts those that are no base64."""

    master_lists: tuple[bytes, ...] = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    revocation_lists: tuple[bytes, ...] = field(repr=False)
    unreadable: int


def parse_ldif(content: bytes) -> Ldif:
    """Read a file. Raises MalformedTrustFile."""
    if len(content) > LDIF_MAX:
        raise MalformedTrustFile(f"an LDIF file of {len(content)} bytes")
    if not is_ldif(content):
        raise MalformedTrustFile("no entry of a directory")
    found: dict[bytes, list[bytes]] = {}
    unreadable = 0
    for count, (name, text) in enumerate(VALUE.findall(_unfolded(content))):
        if count == VALUES_MAX:
            raise MalformedTrustFile("too many values in an LDIF file")
        try:
            found.setdefault(name.lower(), []).append(binascii.a2b_base64(text.strip(), strict_mode=True))
        except binascii.Error:
            unreadable += 1
    lists, certificates, revocations = (
        tuple(value for name in names for value in found.get(name, ()))
        for names in (MASTER_LISTS, CERTIFICATES, REVOCATION_LISTS)
    )
    return Ldif(lists, certificates, revocations, unreadable)


def is_ldif(content: bytes) -> bool:
    return ENTRY.search(content[:65536].replace(b"\r", b"\n")) is not None


def _unfolded(content: bytes) -> bytes:
    """A line that begins with a space goes on from the one before (RFC 2849 note 2)."""
    return content.replace(b"\r\n", b"\n").replace(b"\n ", b"")

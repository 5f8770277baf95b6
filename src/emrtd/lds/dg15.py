"""DG15: the public key of active authentication (ICAO 9303-10 4.7.15)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from emrtd import tlv
from emrtd.errors import MalformedFile, MalformedTlv
from emrtd.files import GROUP_TAGS
from emrtd.pki.keys import PublicKey, load_public_key


@dataclass(frozen=True)
class ActiveAuthenticationKey:
    """The chip's key: DER SubjectPublicKeyInfo as signed, and its SHA-256, which names the chip."""

    spki: bytes = field(repr=False)
    key: PublicKey

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the SubjectPublicKeyInfo, 32 bytes."""
        return hashlib.sha256(self.spki).digest()


def parse_dg15(content: bytes) -> ActiveAuthenticationKey:
    """Read DG15. Raises MalformedFile, MalformedCertificate, UnsupportedAlgorithm."""
    try:
        spki = tlv.expect(tlv.expect(content, GROUP_TAGS[15]).value, 0x30).raw
    except MalformedTlv as error:
        raise MalformedFile("DG15", str(error)) from error
    return ActiveAuthenticationKey(spki, load_public_key(spki))


def compose_dg15(spki: bytes) -> bytes:
    return tlv.encode(GROUP_TAGS[15], spki)

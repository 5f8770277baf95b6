"""DG15: the public key of active authentication (ICAO 9303-10 4.7.15)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from emrtd import tlv
from emrtd.errors import MalformedFile, MalformedTlv
from emrtd.lds.data_objects import compose_group, open_group
from emrtd.pki.keys import PublicKey, load_public_key


@dataclass(frozen=True)
class ActiveAuthenticationKey:
    """The chip's key: DER SubjectPublicKeyInfo as signed, and its SHA-256, which names the chip."""

    spki: bytes = field(repr=False)
    key: PublicKey
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the SubjectPublicKeyInfo, 32 bytes."""
        return hashlib.sha256(self.spki).digest()


def parse_dg15(content: bytes) -> ActiveAuthenticationKey:
    """Read DG15. Raises MalformedFile, MalformedCertificate, UnsupportedAlgorithm."""
    value, warnings = open_group(content, 15)
    try:
        spki = tlv.expect(value, 0x30).raw
    except MalformedTlv as error:
        raise MalformedFile("DG15", str(error)) from error
    if len(spki) < len(value):
        warnings = (*warnings, "dg15_trailing_bytes_inside")
    return ActiveAuthenticationKey(spki, load_public_key(spki), warnings)


def compose_dg15(spki: bytes) -> bytes:
    return compose_group(15, spki)

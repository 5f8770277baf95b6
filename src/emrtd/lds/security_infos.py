"""SecurityInfos of EF.CardAccess and DG14: which protocols a chip speaks (ICAO 9303-11 9.2)."""

from __future__ import annotations

from dataclasses import dataclass

from asn1crypto import core

from emrtd import tlv
from emrtd.errors import MalformedFile, MalformedTlv
from emrtd.files import GROUP_TAGS
from emrtd.pki.ber import OBJECT_IDENTIFIER_MAX

PROTOCOLS = "0.4.0.127.0.7.2.2"  # bsi-de protocols smartcard
PUBLIC_KEY, CHIP_AUTHENTICATION, PACE = f"{PROTOCOLS}.1", f"{PROTOCOLS}.3", f"{PROTOCOLS}.4"
ACTIVE_AUTHENTICATION = "2.23.136.1.1.5"
# BSI TR-03111: the plain ECDSA signature formats that ActiveAuthenticationInfo names (9303-11 9.2.5)
PLAIN_ECDSA_HASHES = {
    "0.4.0.127.0.7.1.1.4.1.1": "sha1",
    "0.4.0.127.0.7.1.1.4.1.2": "sha224",
    "0.4.0.127.0.7.1.1.4.1.3": "sha256",
    "0.4.0.127.0.7.1.1.4.1.4": "sha384",
    "0.4.0.127.0.7.1.1.4.1.5": "sha512",
}
SET, SEQUENCE, OBJECT_IDENTIFIER = 0x31, 0x30, 0x06
NO_NUMBER = -1


@dataclass(frozen=True)
class SecurityInfo:
    """Protocol in dotted form, then the DER of its required and optional data."""

    protocol: str
    required: bytes
    optional: bytes = b""


@dataclass(frozen=True)
class SecurityInfos:
    """The set, in the order of the file. ``warnings`` says what was lenient."""

    infos: tuple[SecurityInfo, ...]
    warnings: tuple[str, ...] = ()

    @property
    def pace(self) -> tuple[SecurityInfo, ...]:
        """What the chip advertises of PACE, domain parameters included."""
        return tuple(info for info in self.infos if info.protocol.startswith(PACE + "."))

    @property
    def chip_authentication(self) -> tuple[SecurityInfo, ...]:
        """ChipAuthenticationInfo: protocol, version, key identifier (9303-11 9.2.5)."""
        return tuple(info for info in self.infos if info.protocol.startswith(CHIP_AUTHENTICATION + "."))

    @property
    def chip_keys(self) -> tuple[SecurityInfo, ...]:
        """ChipAuthenticationPublicKeyInfo: kind, SubjectPublicKeyInfo, key identifier (9303-11 9.2.6)."""
        return tuple(info for info in self.infos if info.protocol.startswith(PUBLIC_KEY + "."))

    @property
    def active_authentication_hash(self) -> str | None:
        """The hash of ECDSA active authentication, None where DG14 does not say."""
        for info in self.infos:
            if info.protocol == ACTIVE_AUTHENTICATION and info.optional:
                return PLAIN_ECDSA_HASHES.get(_dotted(tlv.expect(info.optional, OBJECT_IDENTIFIER).raw))
        return None


def parse_security_infos(content: bytes, name: str = "CardAccess") -> SecurityInfos:
    """Read the SET of a file; bytes after it are a warning. Raises MalformedFile."""
    try:
        outer, end = tlv.read(content)
        if outer.tag != SET:
            raise MalformedTlv(f"object {outer.tag:X} where a SET belongs")
        infos = tuple(_info(item) for item in tlv.parse(outer.value))
    except MalformedTlv as error:
        raise MalformedFile(name, str(error)) from error
    trailing = content[end:].strip(b"\0")
    return SecurityInfos(infos, (f"{name.lower()}_trailing_bytes",) if trailing else ())


def parse_dg14(content: bytes) -> SecurityInfos:
    """Read DG14. Raises MalformedFile."""
    try:
        inner = tlv.expect(content, GROUP_TAGS[14]).value
    except MalformedTlv as error:
        raise MalformedFile("DG14", str(error)) from error
    return parse_security_infos(inner, "DG14")


def _info(item: tlv.Tlv) -> SecurityInfo:
    if item.tag != SEQUENCE:
        raise MalformedTlv(f"object {item.tag:X} in a set of SecurityInfo")
    parts = tlv.parse(item.value)
    if len(parts) not in (2, 3) or parts[0].tag != OBJECT_IDENTIFIER:
        raise MalformedTlv("a SecurityInfo of another shape")
    return SecurityInfo(_dotted(parts[0].raw), parts[1].raw, parts[2].raw if len(parts) == 3 else b"")


def integer(der: bytes) -> int:
    """A small INTEGER of a SecurityInfo (version, parameter or key identifier); `NO_NUMBER` for anything else."""
    small = len(der) in range(3, 7) and der[:2] == bytes((0x02, len(der) - 2))
    return int.from_bytes(der[2:], "big") if small else NO_NUMBER


def _dotted(der: bytes) -> str:
    if len(der) > 2 + OBJECT_IDENTIFIER_MAX:
        raise MalformedTlv(f"an object identifier of {len(der)} bytes")
    try:
        dotted: str = core.ObjectIdentifier.load(der).dotted
    except (ValueError, TypeError, IndexError) as error:
        raise MalformedTlv(f"an object identifier cannot be read: {error}") from error
    return dotted


def compose_security_infos(infos: tuple[SecurityInfo, ...]) -> bytes:
    """The SET, in DER order."""
    encoded = (
        tlv.encode(SEQUENCE, core.ObjectIdentifier(info.protocol).dump(), info.required, info.optional)
        for info in infos
    )
    return tlv.encode(SET, *sorted(encoded))


def compose_dg14(infos: tuple[SecurityInfo, ...]) -> bytes:
    return tlv.encode(GROUP_TAGS[14], compose_security_infos(infos))

"""EF.CardSecurity: the security infos of the master file, signed by a State (ICAO 9303-10 3.11.4, 9303-11 9.2.11)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from emrtd.errors import MalformedFile, MalformedSignedData
from emrtd.lds.security_infos import SecurityInfos, parse_security_infos
from emrtd.pki.cms import SignedData, read_signed_data

CARD_SECURITY_MAX = 1 << 16
SECURITY_OBJECT = "0.4.0.127.0.7.3.2.1"  # id-SecurityObject of BSI TR-03110-3 A.1.2.5


@dataclass(frozen=True)
class CardSecurity:
    """What EF.CardSecurity says, read but not verified."""

    infos: SecurityInfos
    signed: SignedData = field(repr=False)

    @property
    def signing_time(self) -> datetime | None:
        return self.signed.signers[0].signing_time


def parse_card_security(content: bytes) -> CardSecurity:
    """Read EF.CardSecurity. Raises MalformedFile, UnsupportedAlgorithm."""
    if len(content) > CARD_SECURITY_MAX:
        raise MalformedFile("CardSecurity", f"{len(content)} bytes")
    try:
        signed = read_signed_data(content)
    except MalformedSignedData as error:
        raise MalformedFile("CardSecurity", str(error)) from error
    if signed.content_type != SECURITY_OBJECT:
        raise MalformedFile("CardSecurity", f"content type {signed.content_type}")
    if len(signed.signers) != 1:
        raise MalformedFile("CardSecurity", f"{len(signed.signers)} signers where one belongs")
    # RFC 5652 5.3, 11.1: without attributes nothing says what kind of content was signed, and the attributes of any
    # other signature of the same signer, a SET of SEQUENCEs too, would pass for security infos
    if not signed.signers[0].attributes:
        raise MalformedFile("CardSecurity", "no signed attributes")
    return CardSecurity(parse_security_infos(signed.content, "CardSecurity"), signed)

"""Everything that can be refused, said by name.

The branch says who is at fault: `Malformed` and `NotGenuine` the document, `WireFailure` the way to the
chip, `AccessRefused` the person who gave the access key, `Misuse` the caller. Each class names the clause
it enforces; instances carry what the caller needs to go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class EmrtdError(Exception):
    """Base of every error of this library."""

    clause: ClassVar[str] = ""


class Refusal(EmrtdError):
    """Something was examined and refused."""


# --- the caller -------------------------------------------------------------------------------------


class Misuse(Refusal):
    """An argument that no document could justify: a bug of the caller."""


class GroupNotRead(Misuse):
    """A value was asked whose data group is not among those read."""

    def __init__(self, number: int) -> None:
        super().__init__(f"data group {number} was not read, or the document has none")
        self.number = number


# --- the document's bytes ---------------------------------------------------------------------------


class Malformed(Refusal):
    """Bytes that do not follow their specification."""


class MalformedApdu(Malformed):
    """A command or an answer that is none, or more answers than commands."""

    clause = "ISO/IEC 7816-4 5.1"


class MalformedTlv(Malformed):
    """Tag, length and value that do not fit together."""

    clause = "ISO/IEC 8825-1 8.1"


class MalformedMrz(Malformed):
    """``field`` is the part of the machine-readable zone that is wrong, "" for the whole."""

    clause = "ICAO 9303-3 4"

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class MalformedFile(Malformed):
    """``name`` is the elementary file, for instance "DG2"."""

    clause = "ICAO 9303-10 4"

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


class MalformedCertificate(Malformed):
    """A certificate, a revocation list, a public key or an ECDSA signature."""

    clause = "ICAO 9303-12 7.1"


class MalformedSignedData(Malformed):
    """A CMS structure: a security object, a master list."""

    clause = "RFC 5652 5"


class UnsupportedAlgorithm(Malformed):
    """An algorithm, a curve or a key that is outside the profile of the standard."""

    clause = "ICAO 9303-12 4.4"


class MalformedTrustFile(Malformed):
    """A file for a trust store, or a store that was written, that cannot be read."""

    clause = "ICAO 9303-12 5"


# --- the way to the chip ----------------------------------------------------------------------------


class WireFailure(Refusal):
    """The exchange with the chip did not reach its end."""


class TagLost(WireFailure):
    """The chip left the field.

    ``answers`` are those of the running batch that arrived before. When it comes out of a reading,
    ``read`` holds the bytes read so far, by file identifier and offset, from which a new reading goes on.
    """

    def __init__(self, answers: tuple[bytes, ...] = (), read: Mapping[int, Mapping[int, bytes]] | None = None) -> None:
        super().__init__(f"the chip left the field after {len(answers)} answers")
        self.answers = answers
        self.read = {} if read is None else read


class NoTravelDocument(WireFailure):
    """The chip has no travel-document application."""

    clause = "ICAO 9303-10 3.2"


class UnexpectedAnswer(WireFailure):
    """The chip answered what no reading can go on from. ``status`` is its status word."""

    clause = "ICAO 9303-10 3.6"

    def __init__(self, what: str, status: int = 0) -> None:
        super().__init__(f"{what} (status {status:04X})" if status else what)
        self.status = status


class ReadRefused(UnexpectedAnswer):
    """No read size of the ladder was accepted, or the channel broke again and again."""


class ChannelBroken(WireFailure):
    """A protected message does not verify: it was altered, lost or repeated on the way."""

    clause = "ICAO 9303-11 9.8"


# --- access to the chip -----------------------------------------------------------------------------


class AccessRefused(Refusal):
    """The chip does not open."""


class WrongAccessKey(AccessRefused):
    """The chip refused the key: wrong number, dates or card access number.

    ``tries_left`` is what the chip said remains, None where it did not say.
    """

    clause = "ICAO 9303-11 4.3.4, 4.4.4.4"

    def __init__(self, tries_left: int | None = None) -> None:
        super().__init__("the chip refuses the access key")
        self.tries_left = tries_left


class PaceNotSupported(AccessRefused):
    """The chip advertises PACE, so BAC must not be used, but none of its ways is a standardised one."""

    clause = "ICAO 9303-11 4.2"


class AccessNumberNeedsPace(AccessRefused):
    """A card access number opens PACE only, and the chip offers none."""

    clause = "ICAO 9303-11 4.4.2"


# --- genuineness ------------------------------------------------------------------------------------


class NotGenuine(Refusal):
    """The document is not what a trusted State signed."""


class NotSignedByTrustedAuthority(NotGenuine):
    """No trusted country signing authority issued the document signer."""

    clause = "ICAO 9303-11 5.1, 9303-12 5.2"


class SignatureWrong(NotGenuine):
    """A signature does not verify."""

    clause = "ICAO 9303-11 5.1"


class DataGroupAltered(NotGenuine):
    """The bytes of data group ``number`` do not have the signed hash."""

    clause = "ICAO 9303-11 5.1"

    def __init__(self, number: int) -> None:
        super().__init__(f"data group {number} does not have the hash its State signed")
        self.number = number


class DataGroupNotSigned(NotGenuine):
    """The security object has no hash for data group ``number``."""

    clause = "ICAO 9303-10 4.6.2"

    def __init__(self, number: int) -> None:
        super().__init__(f"data group {number} is not covered by the security object")
        self.number = number


class SignerRevoked(NotGenuine):
    """The State of the document signer withdrew it."""

    clause = "ICAO 9303-12 7.1.4"


class AuthorityRevoked(SignerRevoked):
    """An authority or a link above the document signer was revoked, and with it all it issued."""

    clause = "ICAO 9303-12 4.1.5.1"


class SignerExpired(NotGenuine):
    """The document signer was not valid when it signed, or is not at the time of the check."""

    clause = "ICAO 9303-12 7.1.2"


class AuthorityExpired(NotGenuine):
    """The country signing certificate was not valid when it issued the signer, or is not now."""

    clause = "ICAO 9303-12 7.1.1"


class SignerNotAllowed(NotGenuine):
    """A certificate of the path may not do what it did: key usage or document type."""

    clause = "ICAO 9303-12 7.1.3"


class SignedByAnotherState(NotGenuine):
    """The authority above the signer does not speak for the State that issued the document."""

    clause = "ICAO 9303-11 5.1, 9303-12 6.1.1"


class AccessDowngraded(NotGenuine):
    """The signed DG14 advertises PACE, yet the chip was opened with BAC."""

    clause = "ICAO 9303-11 9.2.11"


class ChipIsCopy(NotGenuine):
    """The chip does not hold the private key of the signed DG14, DG15 or EF.CardSecurity."""

    clause = "ICAO 9303-11 6"


class NoChipKey(NotGenuine):
    """The State signed no key of the chip, so nothing shows that it is no copy."""

    clause = "ICAO 9303-11 6"


# --- the reading device, its wire and its recordings --------------------------------------------------


class DeviceFailure(WireFailure):
    """The reading device cannot be used: no service, no such reader, or another program holds it."""


class LinkEnded(WireFailure):
    """The other end of the link to a chip far away is gone."""


class TranscriptMismatch(WireFailure):
    """A replayed chip was asked something else than when it was recorded. ``index`` counts exchanges from 0."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(f"exchange {index}: {message}")
        self.index = index


class MalformedMessage(Malformed):
    """A message of the relay, a frame of the virtual reader or a transcript of another form."""


class MalformedDescription(Malformed):
    """A specimen's description that cannot be followed. ``key`` is the dotted key at fault, "" for the whole."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}" if key else message)
        self.key = key


class MalformedFolder(Malformed):
    """A folder of elementary files that contradicts itself or lacks what a check needs."""

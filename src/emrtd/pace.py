"""Password-authenticated connection establishment, generic mapping over elliptic curves (ICAO 9303-11 4.4).

Four messages, three flights: the terminal's mapping key does not depend on the chip's nonce, so nonce and
mapping go together; the last message, the terminal's token, leaves with the first protected commands, since
by then the terminal knows the session keys. Terminal and software chip share the arithmetic below.

Ephemeral secrets pass through integer arithmetic that is not in constant time; each is used once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from asn1crypto import core

from emrtd import tlv
from emrtd.apdu import SHORT_LE_MAX, CommandApdu
from emrtd.channel import SecureChannel, Session
from emrtd.ciphers import same
from emrtd.errors import ChannelBroken, MalformedCertificate, MalformedTlv
from emrtd.keys import AUTHENTICATION, ENCRYPTION, PASSWORD, Access, Can, password
from emrtd.lds.security_infos import PACE, SecurityInfos
from emrtd.pki import curves
from emrtd.pki.curves import Curve
from emrtd.pki.keys import decode_point
from emrtd.rng import Rng
from emrtd.suites import AES_128, AES_192, AES_256, TRIPLE_DES, Suite

GENERIC_MAPPING = PACE + ".2"  # ECDH; .1 is DH, .3 to .6 integrated and chip authentication mapping
SUITES: dict[str, Suite] = {"1": TRIPLE_DES, "2": AES_128, "3": AES_192, "4": AES_256}
PARAMETERS = {
    8: "secp192r1", 9: "brainpoolP192r1", 10: "secp224r1", 11: "brainpoolP224r1", 12: "secp256r1",
    13: "brainpoolP256r1", 14: "brainpoolP320r1", 15: "secp384r1", 16: "brainpoolP384r1",
    17: "brainpoolP512r1", 18: "secp521r1",
}  # fmt: skip
NONCE, MAPPING_IN, MAPPING_OUT, KEY_IN, KEY_OUT, TOKEN_IN, TOKEN_OUT = range(0x80, 0x87)
PASSWORD_MRZ, PASSWORD_CAN = 1, 2
NONCE_SIZE = 16
Affine = tuple[int, int]


@dataclass(frozen=True)
class PaceInfo:
    """One advertised way to do PACE that this module speaks."""

    protocol: str
    suite: Suite
    curve: Curve
    parameter: int

    @property
    def name(self) -> str:
        return f"PACE-ECDH-GM-{self.suite.name}"


def supported(infos: SecurityInfos) -> PaceInfo | None:
    """The first advertised PACEInfo of generic mapping on a standardised curve, in the file's order."""
    for info in infos.infos:
        mapping, _, cipher = info.protocol.rpartition(".")
        parameter = _integer(info.optional)
        if mapping == GENERIC_MAPPING and cipher in SUITES and parameter in PARAMETERS:
            return PaceInfo(info.protocol, SUITES[cipher], curves.by_name(PARAMETERS[parameter]), parameter)
    return None


def _integer(der: bytes) -> int:
    return int.from_bytes(der[2:], "big") if der[:1] == b"\x02" and len(der) <= 4 else -1


# --- shared by both sides ---------------------------------------------------------------------------


def random_scalar(curve: Curve, rng: Rng) -> int:
    """1 to n - 1, uniform but for a part in 2^128 (FIPS 186-5 A.2.1)."""
    return int.from_bytes(rng(curve.size + 16), "big") % (curve.n - 1) + 1


def mapped_generator(curve: Curve, nonce: bytes, secret: int, other: Affine) -> Affine:
    """G' = nonce * G + secret * other (9303-11 4.4.3.3.1). Raises ChannelBroken at infinity."""
    return _finite(curves.combine(curve, int.from_bytes(nonce, "big") % curve.n, secret, other))


def multiple(curve: Curve, scalar: int, point: Affine) -> Affine:
    """Raises ChannelBroken at infinity."""
    return _finite(curves.multiply(curve, scalar, point))


def _finite(point: curves.Point) -> Affine:
    if point is None:
        raise ChannelBroken("the key agreement ends at infinity")
    return point


def session_keys(info: PaceInfo, shared: Affine) -> SecureChannel:
    """Keys from the x-coordinate of the shared point (9303-11 9.7.1)."""
    secret = shared[0].to_bytes(info.curve.size, "big")
    encryption, authentication = (info.suite.derive(secret, use) for use in (ENCRYPTION, AUTHENTICATION))
    return SecureChannel(encryption, authentication, info.suite)


def token(info: PaceInfo, channel: SecureChannel, other: Affine) -> bytes:
    """The authentication token over the other side's ephemeral key (9303-11 4.4.3.4)."""
    data = tlv.encode(0x7F49, core.ObjectIdentifier(info.protocol).dump(), tlv.encode(0x86, encode(info.curve, other)))
    return info.suite.mac(channel.authentication, data)


def encode(curve: Curve, point: Affine) -> bytes:
    """Uncompressed."""
    return b"\x04" + point[0].to_bytes(curve.size, "big") + point[1].to_bytes(curve.size, "big")


def decode(curve: Curve, encoded: bytes) -> Affine:
    """Raises ChannelBroken for what is no point of the curve."""
    try:
        return decode_point(curve, encoded)
    except MalformedCertificate as error:
        raise ChannelBroken(str(error)) from error


def dynamic_data(data: bytes, tag: int) -> bytes:
    """The object `tag` in dynamic authentication data 7C. Raises ChannelBroken."""
    try:
        return tlv.expect(tlv.expect(data, 0x7C).value, tag).value
    except MalformedTlv as error:
        raise ChannelBroken(f"an authentication message is not well formed: {error}") from error


def set_authentication_template(info: PaceInfo, reference: int) -> CommandApdu:
    """MSE:Set AT; always with the parameter id, which chips with several PACEInfo need (9303-11 4.4.4.1)."""
    data = (
        tlv.encode(0x80, core.ObjectIdentifier(info.protocol).contents),
        tlv.encode(0x83, bytes((reference,))),
        tlv.encode(0x84, bytes((info.parameter,))),
    )
    return CommandApdu(0x00, 0x22, 0xC1, 0xA4, b"".join(data))


def general_authenticate(content: bytes, *, last: bool = False) -> CommandApdu:
    return CommandApdu(0x00 if last else 0x10, 0x86, 0, 0, tlv.encode(0x7C, content), SHORT_LE_MAX)


# --- the terminal -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mapping:
    """Kept between the first flight and its answers."""

    info: PaceInfo
    key: bytes = field(repr=False)
    secret: int = field(repr=False)


@dataclass(frozen=True)
class Agreement:
    """Kept between the second flight and its answer."""

    info: PaceInfo
    private: int = field(repr=False)
    public: Affine


@dataclass(frozen=True)
class Opening:
    """The terminal's last message, and the token the chip must answer it with."""

    command: CommandApdu
    token: bytes = field(repr=False)

    def check(self, data: bytes) -> None:
        """Raises ChannelBroken unless the chip proved that it knows the password too."""
        if not same(dynamic_data(data, TOKEN_OUT), self.token):
            raise ChannelBroken("the chip's authentication token is wrong")


def begin(info: PaceInfo, access: Access, rng: Rng) -> tuple[tuple[CommandApdu, ...], Mapping]:
    """First flight: choose the protocol, ask the encrypted nonce, send the mapping key."""
    secret = random_scalar(info.curve, rng)
    public = multiple(info.curve, secret, (info.curve.x, info.curve.y))
    reference = PASSWORD_CAN if isinstance(access, Can) else PASSWORD_MRZ
    commands = (
        set_authentication_template(info, reference),
        general_authenticate(b""),
        general_authenticate(tlv.encode(MAPPING_IN, encode(info.curve, public))),
    )
    return commands, Mapping(info, info.suite.derive(password(access), PASSWORD), secret)


def agree(mapping: Mapping, nonce: bytes, mapped: bytes, rng: Rng) -> tuple[CommandApdu, Agreement]:
    """Second flight, from the data of the chip's nonce and mapping answers. Raises ChannelBroken."""
    info = mapping.info
    plain = info.suite.decrypt_nonce(mapping.key, dynamic_data(nonce, NONCE))
    chip = decode(info.curve, dynamic_data(mapped, MAPPING_OUT))
    generator = mapped_generator(info.curve, plain, mapping.secret, chip)
    private = random_scalar(info.curve, rng)
    public = multiple(info.curve, private, generator)
    command = general_authenticate(tlv.encode(KEY_IN, encode(info.curve, public)))
    return command, Agreement(info, private, public)


def complete(agreement: Agreement, data: bytes) -> tuple[Opening, Session]:
    """The last message and the session, from the chip's ephemeral key. Raises ChannelBroken."""
    info = agreement.info
    chip = decode(info.curve, dynamic_data(data, KEY_OUT))
    if chip == agreement.public:  # 9303-11 4.4.1: a reflected key would make both tokens equal
        raise ChannelBroken("the chip sent the terminal's own key back")
    channel = session_keys(info, multiple(info.curve, agreement.private, chip))
    command = general_authenticate(tlv.encode(TOKEN_IN, token(info, channel, chip)), last=True)
    return Opening(command, token(info, channel, agreement.public)), Session(channel, 0)

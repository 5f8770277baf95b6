"""Password-authenticated connection establishment (ICAO 9303-11 4.4): generic, integrated and chip authentication
mapping, over elliptic curves and prime fields.

Four messages, three flights: what the terminal sends for the mapping does not depend on the chip's nonce, so nonce
and mapping go together; the last message, the terminal's token, leaves with the first protected commands, since by
then the terminal knows the session keys. Terminal and software chip share the arithmetic below.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from asn1crypto import core

from emrtd import tlv
from emrtd.apdu import SHORT_LE_MAX, CommandApdu
from emrtd.channel import SecureChannel, Session
from emrtd.ciphers import same, unpad
from emrtd.errors import ChannelBroken, MalformedTlv, UnsupportedAlgorithm
from emrtd.groups import CurveGroup, Group, random_scalar, standardised
from emrtd.keys import AUTHENTICATION, ENCRYPTION, PASSWORD, Access, Can, password
from emrtd.lds.security_infos import PACE, SecurityInfo, SecurityInfos, integer
from emrtd.rng import Rng
from emrtd.suites import AES_128, AES_192, AES_256, SUITES, TRIPLE_DES, Suite

GENERIC, INTEGRATED, CHIP_AUTHENTICATION = "GM", "IM", "CAM"
MAPPINGS = {
    "1": ("DH", GENERIC), "2": ("ECDH", GENERIC), "3": ("DH", INTEGRATED), "4": ("ECDH", INTEGRATED),
    "6": ("ECDH", CHIP_AUTHENTICATION),
}  # fmt: skip
NONCE, MAPPING_IN, MAPPING_OUT, KEY_IN, KEY_OUT, TOKEN_IN, TOKEN_OUT = range(0x80, 0x87)
CHIP_AUTHENTICATION_DATA = 0x8A
PASSWORD_MRZ, PASSWORD_CAN = 1, 2
NONCE_MAX = 64  # bytes; none met has more than 32, and in a prime field each one costs eight squarings
ALL_ONES = -1  # the counter whose encryption is the IV of chip authentication data (9303-11 4.4.3.5.4)
# 9303-11 4.4.3.3.2: the constants c0 and c1 for blocks of 128 and of 256 bits
CONSTANTS = {
    16: (
        bytes.fromhex("a668892a7c41e3ca739f40b057d85904"),
        bytes.fromhex("a4e136ac725f738b01c1f60217c188ad"),
    ),
    32: (
        bytes.fromhex("d463d65234124ef7897054986dca0a174e28df758cbaa03f240616414d5a1676"),
        bytes.fromhex("54bd7255f0aaf831bec3423fcf39d69b6cbf066677d0faae5aadd99df8e53517"),
    ),
}


@dataclass(frozen=True)
class PaceInfo:
    """One advertised way to do PACE. ``parameter`` names the group, and the chip's key where it authenticates."""

    protocol: str
    mapping: str
    suite: Suite
    group: Group
    parameter: int

    @property
    def name(self) -> str:
        return f"PACE-{self.group.agreement}-{self.mapping}-{self.suite.name}"


def read_info(info: SecurityInfo) -> PaceInfo | None:
    """A PACEInfo of standardised parameters, None for anything else (9303-11 9.2.1, 9.5.1).

    Explicit parameters are never used: EF.CardAccess is not signed, and a weak group gives the password away.
    """
    base, _, cipher = info.protocol.rpartition(".")
    agreement, mapping = MAPPINGS.get(base.removeprefix(PACE + "."), ("", ""))
    suite = SUITES.get(cipher)
    try:
        group = standardised(integer(info.optional))
    except UnsupportedAlgorithm:
        return None
    if suite is None or agreement != group.agreement or not _possible(mapping, suite, group):
        return None
    return PaceInfo(info.protocol, mapping, suite, group, integer(info.optional))


def _possible(mapping: str, suite: Suite, group: Group) -> bool:
    """9303-11 4.4.3, 9.5.1: no 3DES with chip authentication mapping, no P-224 with integrated mapping."""
    if mapping == CHIP_AUTHENTICATION:
        return suite in (AES_128, AES_192, AES_256)
    return mapping != INTEGRATED or group.field % 4 == 3 or not isinstance(group, CurveGroup)


def supported(infos: SecurityInfos) -> PaceInfo | None:
    """The way to use: one that also authenticates the chip before others, 3DES last, else the first of the file."""
    found = [info for info in map(read_info, infos.infos) if info is not None]
    return max(found, key=lambda info: (info.mapping == CHIP_AUTHENTICATION, info.suite != TRIPLE_DES), default=None)


# --- shared by both sides ---------------------------------------------------------------------------


def nonce_size(info: PaceInfo) -> int:
    """Octets of the chip's nonce (9303-11 4.4.3.3): at least a key for integrated mapping, else one AES block."""
    return -(-info.suite.key_size // 16) * 16 if info.mapping == INTEGRATED else 16


def pseudo_random(suite: Suite, nonce: bytes, other: bytes, field_prime: int) -> int:
    """Rp(s, t) of 9303-11 4.4.3.3.2. Raises ChannelBroken for nonces of another size."""
    if len(nonce) not in CONSTANTS or len(other) != suite.key_size or len(nonce) < suite.key_size:
        raise ChannelBroken("nonces of another size than the cipher's")
    key_constant, output_constant = CONSTANTS[len(nonce)]
    key, output = suite.encrypt_nonce(other, nonce), b""
    while 8 * len(output) < field_prime.bit_length() + 64:
        output += suite.encrypt_nonce(key[: suite.key_size], output_constant)
        key = suite.encrypt_nonce(key[: suite.key_size], key_constant)
    return int.from_bytes(output, "big") % field_prime


def generator(info: PaceInfo, nonce: bytes, secret: int, other: bytes, random: bytes) -> bytes:
    """The mapped generator, from both nonces or from the nonce and the key agreement. Raises ChannelBroken."""
    if info.mapping == INTEGRATED:
        return info.group.integrated_mapping(pseudo_random(info.suite, nonce, random, info.group.field))
    return info.group.generic_mapping(int.from_bytes(nonce, "big"), secret, other)


def session_keys(suite: Suite, secret: bytes) -> SecureChannel:
    """Keys from the octets of a shared secret (9303-11 9.7.1)."""
    encryption, authentication = (suite.derive(secret, use) for use in (ENCRYPTION, AUTHENTICATION))
    return SecureChannel(encryption, authentication, suite)


def token(info: PaceInfo, channel: SecureChannel, other: bytes) -> bytes:
    """The authentication token over the other side's ephemeral key (9303-11 4.4.3.4)."""
    protocol = core.ObjectIdentifier(info.protocol).dump()
    data = tlv.encode(0x7F49, protocol, tlv.encode(info.group.key_tag, other))
    return info.suite.mac(channel.authentication, data)


def dynamic_objects(data: bytes) -> tuple[tlv.Tlv, ...]:
    """The objects of dynamic authentication data 7C. Raises ChannelBroken."""
    try:
        return tlv.parse(tlv.expect(data, 0x7C).value)
    except MalformedTlv as error:
        raise ChannelBroken(f"an authentication message is not well formed: {error}") from error


def dynamic_data(data: bytes, tag: int) -> bytes:
    """The object `tag` in dynamic authentication data. Raises ChannelBroken."""
    found = tlv.find(dynamic_objects(data), tag)
    if found is None:
        raise ChannelBroken(f"an authentication message without object {tag:02X}")
    return found.value


def set_authentication_template(info: PaceInfo, reference: int) -> CommandApdu:
    """MSE:Set AT; always with the parameter id, which chips with several PACEInfo need (9303-11 4.4.4.1)."""
    data = (
        tlv.encode(0x80, core.ObjectIdentifier(info.protocol).contents),
        tlv.encode(0x83, bytes((reference,))),
        tlv.encode(0x84, bytes((info.parameter,))),
    )
    return CommandApdu(0x00, 0x22, 0xC1, 0xA4, b"".join(data))


def general_authenticate(content: bytes, *, last: bool = False) -> CommandApdu:
    """Extended form where the content needs it (9303-11 9.3.1)."""
    return CommandApdu(0x00 if last else 0x10, 0x86, 0, 0, tlv.encode(0x7C, content), SHORT_LE_MAX)


# --- the terminal -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mapping:
    """Kept between the first flight and its answers. ``random`` is the terminal's nonce of integrated mapping."""

    info: PaceInfo
    key: bytes = field(repr=False)
    secret: int = field(repr=False)
    random: bytes = field(repr=False)


@dataclass(frozen=True)
class Agreement:
    """Kept between the second flight and its answer. ``chip_mapping`` is the chip's mapping key, b"" without."""

    info: PaceInfo
    private: int = field(repr=False)
    public: bytes
    chip_mapping: bytes


@dataclass(frozen=True)
class ChipMapping:
    """What chip authentication mapping leaves to be held against the signed key of the chip (9303-11 4.4.3.5.2).

    ``key`` is the chip's mapping key, ``data`` its chip authentication data, ``parameter`` the identifier of both
    the group and the chip's key.
    """

    parameter: int
    key: bytes
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Opening:
    """The terminal's last message, and what the chip must answer it with."""

    command: CommandApdu
    token: bytes = field(repr=False)
    channel: SecureChannel = field(repr=False)
    agreement: Agreement = field(repr=False)

    def check(self, data: bytes) -> ChipMapping | None:
        """What the chip gave to authenticate itself, where it does so by its mapping.

        Raises ChannelBroken unless the chip proved that it knows the password too.
        """
        if not same(dynamic_data(data, TOKEN_OUT), self.token):
            raise ChannelBroken("the chip's authentication token is wrong")
        if self.agreement.info.mapping != CHIP_AUTHENTICATION:
            return None
        encrypted = dynamic_data(data, CHIP_AUTHENTICATION_DATA)
        plain = unpad(self.channel.suite.decrypt(self.channel.encryption, ALL_ONES, encrypted))
        return ChipMapping(self.agreement.info.parameter, self.agreement.chip_mapping, plain)


def begin(info: PaceInfo, access: Access, rng: Rng) -> tuple[tuple[CommandApdu, ...], Mapping]:
    """First flight: choose the protocol, ask the encrypted nonce, send the terminal's part of the mapping."""
    secret, random = 0, b""
    if info.mapping == INTEGRATED:
        content = random = rng(info.suite.key_size)
    else:
        secret = random_scalar(info.group, rng)
        content = info.group.multiple(secret, info.group.generator)
    reference = PASSWORD_CAN if isinstance(access, Can) else PASSWORD_MRZ
    commands = (
        set_authentication_template(info, reference),
        general_authenticate(b""),
        general_authenticate(tlv.encode(MAPPING_IN, content)),
    )
    return commands, Mapping(info, info.suite.derive(password(access), PASSWORD), secret, random)


def agree(mapping: Mapping, nonce: bytes, mapped: bytes, rng: Rng) -> tuple[CommandApdu, Agreement]:
    """Second flight, from the data of the chip's nonce and mapping answers. Raises ChannelBroken."""
    info = mapping.info
    encrypted = dynamic_data(nonce, NONCE)
    if len(encrypted) > NONCE_MAX:
        raise ChannelBroken(f"a nonce of {len(encrypted)} bytes")
    plain = info.suite.decrypt_nonce(mapping.key, encrypted)
    # integrated mapping: 82 is empty or left out (9303-11 4.4.5.2.2)
    chip = b"" if info.mapping == INTEGRATED else dynamic_data(mapped, MAPPING_OUT)
    mapped_generator = generator(info, plain, mapping.secret, chip, mapping.random)
    private = random_scalar(info.group, rng)
    public = info.group.multiple(private, mapped_generator)
    command = general_authenticate(tlv.encode(KEY_IN, public))
    return command, Agreement(info, private, public, chip)


def complete(agreement: Agreement, data: bytes) -> tuple[Opening, Session]:
    """The last message and the session, from the chip's ephemeral key. Raises ChannelBroken."""
    info, chip = agreement.info, dynamic_data(data, KEY_OUT)
    if chip == agreement.public:  # 9303-11 4.4.1: a reflected key would make both tokens equal
        raise ChannelBroken("the chip sent the terminal's own key back")
    shared = info.group.multiple(agreement.private, chip)
    channel = session_keys(info.suite, info.group.secret(shared))
    command = general_authenticate(tlv.encode(TOKEN_IN, token(info, channel, chip)), last=True)
    return Opening(command, token(info, channel, agreement.public), channel, agreement), Session(channel, 0)

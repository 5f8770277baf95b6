"""Chip authentication: the chip holds the private key of a signed DG14, and the channel is made anew with it.

ICAO 9303-11 6.2. The terminal agrees a key with the chip's static public key; only the right chip can go on in the
channel that follows. The terminal needs no answer to make that channel, so all of it travels in one batch. Here too:
what a chip shows by its PACE mapping (4.4.3.5).

Nothing is proven while it happens, since DG14 may be forged: a reading keeps `Evidence`, and `verify` holds it against
the key that passive authentication found signed, as often as anybody wants to check it again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from asn1crypto import core

from emrtd import pace, tlv
from emrtd.apdu import SHORT_LE_MAX, CommandApdu
from emrtd.channel import SecureChannel, Session
from emrtd.ciphers import same
from emrtd.errors import ChannelBroken, ChipIsCopy, Malformed, MalformedApdu
from emrtd.groups import Group, random_scalar
from emrtd.key_agreement import load_public
from emrtd.lds.security_infos import CHIP_AUTHENTICATION, NO_NUMBER, PUBLIC_KEY, SecurityInfo, SecurityInfos, integer
from emrtd.pace import CHIP_AUTHENTICATION as MAPPING
from emrtd.pace import ChipMapping
from emrtd.rng import Rng
from emrtd.suites import STRENGTH, SUITES, TRIPLE_DES, Suite

VERSION = 1
KEYS_MAX = 8
"""Keys of one chip; each of a prime field costs a power to validate, and none met has more than three."""
KINDS = {"DH": "1", "ECDH": "2"}
KINDS_OF = {arc: kind for kind, arc in KINDS.items()}


@dataclass(frozen=True)
class ChipKey:
    """A static public key of the chip. ``key_id`` is None where the chip has a single one."""

    group: Group
    public: bytes
    key_id: int | None
    spki: bytes = field(repr=False)


@dataclass(frozen=True)
class Offer:
    """One way to authenticate a chip: protocol in dotted form, its cipher, and the key."""

    protocol: str
    suite: Suite
    key: ChipKey

    @property
    def name(self) -> str:
        return f"CA-{self.key.group.agreement}-{self.suite.name}"


@dataclass(frozen=True)
class Evidence:
    """What a chip authentication left: the terminal's ephemeral key, and the first answer in the new channel.

    ``counter`` is that of the answer; ``answer`` b"" where the chip agreed and then did not answer.
    """

    protocol: str
    key_id: int | None
    private: int = field(repr=False)
    counter: int
    answer: bytes = field(repr=False)


def chip_keys(infos: SecurityInfos) -> tuple[ChipKey, ...]:
    """The chip's keys, those in a group that is spoken here."""
    found = (_chip_key(info) for info in infos.chip_keys[:KEYS_MAX])
    return tuple(key for key in found if key is not None)


def _chip_key(info: SecurityInfo) -> ChipKey | None:
    try:
        group, public = load_public(info.required)
    except Malformed:
        return None
    if KINDS_OF.get(info.protocol.removeprefix(PUBLIC_KEY + ".")) != group.agreement:
        return None
    key_id = integer(info.optional) if info.optional else None
    return None if key_id == NO_NUMBER else ChipKey(group, public, key_id, info.required)


def offers(infos: SecurityInfos) -> tuple[Offer, ...]:
    """The ways the chip offers, strongest cipher first.

    A key without any ChipAuthenticationInfo, as in French passports, stands for 3DES; but not one that PACE uses for
    its mapping (9303-11 9.2.1), which is there for that.
    """
    mapped = {info.parameter for info in map(pace.read_info, infos.pace) if info and info.mapping == MAPPING}
    keys = chip_keys(infos)
    found = [_offer(info, key) for info in infos.chip_authentication for key in keys]
    usable = [offer for offer in found if offer is not None]
    if not infos.chip_authentication:
        usable = [_inferred(key) for key in keys if key.key_id is None or key.key_id not in mapped]
    return tuple(sorted(usable, key=lambda offer: -STRENGTH[offer.suite]))


def _offer(info: SecurityInfo, key: ChipKey) -> Offer | None:
    kind, _, cipher = info.protocol.removeprefix(CHIP_AUTHENTICATION + ".").partition(".")
    key_id = integer(info.optional) if info.optional else None
    fits = KINDS_OF.get(kind) == key.group.agreement and integer(info.required) == VERSION
    named = key_id is None or key.key_id is None or key_id == key.key_id
    if not fits or not named or cipher not in SUITES:
        return None
    return Offer(info.protocol, SUITES[cipher], key)


def _inferred(key: ChipKey) -> Offer:
    return Offer(f"{CHIP_AUTHENTICATION}.{KINDS[key.group.agreement]}.1", TRIPLE_DES, key)


# --- the terminal -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Agreement:
    """The commands that agree the key, sent in the old channel, and the session that follows them."""

    offer: Offer
    commands: tuple[CommandApdu, ...]
    session: Session
    private: int = field(repr=False)

    def evidence(self, answer: bytes, counter: int) -> Evidence:
        return Evidence(self.offer.protocol, self.offer.key.key_id, self.private, counter, answer)


def agree(offer: Offer, rng: Rng) -> Agreement:
    """Everything a terminal does. Raises ChannelBroken for a key that is no element of its group."""
    group = offer.key.group
    private = random_scalar(group, rng)
    session = Session(_channel(offer, private), 0)
    return Agreement(offer, commands(offer, group.multiple(private, group.generator)), session, private)


def _channel(offer: Offer, private: int) -> SecureChannel:
    group = offer.key.group
    return pace.session_keys(offer.suite, group.secret(group.multiple(private, offer.key.public)))


def commands(offer: Offer, public: bytes) -> tuple[CommandApdu, ...]:
    """MSE:Set KAT for 3DES, MSE:Set AT and GENERAL AUTHENTICATE for AES (9303-11 6.2.4)."""
    key_id = offer.key.key_id
    reference = b"" if key_id is None else tlv.encode(0x84, _octets(key_id))
    if offer.suite == TRIPLE_DES:
        return (CommandApdu(0x00, 0x22, 0x41, 0xA6, tlv.encode(0x91, public) + reference),)
    mechanism = tlv.encode(0x80, core.ObjectIdentifier(offer.protocol).contents)
    return (
        CommandApdu(0x00, 0x22, 0x41, 0xA4, mechanism + reference),
        CommandApdu(0x00, 0x86, 0, 0, tlv.encode(0x7C, tlv.encode(0x80, public)), SHORT_LE_MAX),
    )


def _octets(number: int) -> bytes:
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")


# --- checking, afterwards ---------------------------------------------------------------------------


def verify(evidence: Evidence, signed: SecurityInfos) -> str:
    """The name of the protocol by which the chip showed a key of the `signed` infos. Raises ChipIsCopy."""
    for offer in offers(signed):
        if (offer.protocol, offer.key.key_id) == (evidence.protocol, evidence.key_id):
            _verify(evidence, offer)
            return offer.name
    raise ChipIsCopy("the chip authenticated itself with a key that its State did not sign")


def _verify(evidence: Evidence, offer: Offer) -> None:
    try:
        _channel(offer, evidence.private).open_response(evidence.answer, evidence.counter)
    except (ChannelBroken, MalformedApdu) as error:
        raise ChipIsCopy("the chip did not go on in the channel of its signed key") from error


def verify_mapping(mapping: ChipMapping, signed: SecurityInfos) -> str:
    """The same for a chip authenticated by its mapping: its mapping key is the data times its static key.

    Raises ChipIsCopy.
    """
    number = int.from_bytes(mapping.data, "big")
    for key in chip_keys(signed):
        if key.key_id != mapping.parameter or number >= key.group.order:  # a longer one would be multiplied for minutes
            continue
        try:
            agreed = key.group.multiple(number, key.public)
        except ChannelBroken as error:
            raise ChipIsCopy(str(error)) from error
        if same(agreed, mapping.key):
            return "PACE-CAM"
    raise ChipIsCopy("the mapping of PACE does not show the chip's signed key")

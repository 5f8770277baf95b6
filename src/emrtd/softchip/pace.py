"""The chip's side of PACE, one message after the other (ICAO 9303-11 4.4)."""

from __future__ import annotations

from dataclasses import dataclass, field

from asn1crypto import core

from emrtd import pace, tlv
from emrtd.apdu import OK, CommandApdu, ResponseApdu
from emrtd.channel import SecureChannel, Session
from emrtd.ciphers import pad, same
from emrtd.errors import ChannelBroken, Malformed
from emrtd.files import CARD_ACCESS
from emrtd.groups import random_scalar
from emrtd.keys import PASSWORD, Access, password
from emrtd.lds.security_infos import parse_security_infos
from emrtd.pace import CHIP_AUTHENTICATION, INTEGRATED, PaceInfo
from emrtd.rng import Rng
from emrtd.softchip.document import ChipDocument

WRONG_DATA, NO_REFERENCE, NO_CONDITIONS, REFUSED = 0x6A80, 0x6A88, 0x6985, 0x6300


@dataclass
class ChipPace:
    """One run of PACE: what the chip remembers from message to message.

    ``static`` is the private key of chip authentication mapping, 0 without.
    """

    info: PaceInfo
    access: Access
    rng: Rng
    static: int = field(default=0, repr=False)
    nonce: bytes = field(default=b"", repr=False)
    mapping: int = field(default=0, repr=False)
    generator: bytes = b""
    terminal: bytes = b""
    own: bytes = b""
    channel: SecureChannel | None = None
    session: Session | None = None

    def answer(self, command: CommandApdu) -> ResponseApdu:
        """GENERAL AUTHENTICATE; `session` is set when the terminal has proved itself."""
        try:
            objects = tlv.parse(tlv.expect(command.data, 0x7C).value)
            item = objects[0] if objects else tlv.Tlv(pace.NONCE, b"", b"")
            return self._step(item)
        except (Malformed, ChannelBroken):
            return ResponseApdu(b"", WRONG_DATA)

    def _step(self, item: tlv.Tlv) -> ResponseApdu:
        if item.tag == pace.NONCE and not self.nonce:
            return self._give_nonce()
        if item.tag == pace.MAPPING_IN and self.nonce and not self.generator:
            return self._map(item.value)
        if item.tag == pace.KEY_IN and self.generator and self.channel is None:
            return self._agree(self.generator, item.value)
        if item.tag == pace.TOKEN_IN and self.channel and self.session is None:
            return self._authenticate(self.channel, item.value)
        return ResponseApdu(b"", NO_CONDITIONS)

    def _give_nonce(self) -> ResponseApdu:
        self.nonce = self.rng(pace.nonce_size(self.info))
        key = self.info.suite.derive(password(self.access), PASSWORD)
        return _answer((pace.NONCE, self.info.suite.encrypt_nonce(key, self.nonce)))

    def _map(self, received: bytes) -> ResponseApdu:
        group = self.info.group
        if self.info.mapping == INTEGRATED:
            self.generator = pace.generator(self.info, self.nonce, 0, b"", received)
            return _answer((pace.MAPPING_OUT, b""))
        self.mapping = random_scalar(group, self.rng)
        self.generator = pace.generator(self.info, self.nonce, self.mapping, received, b"")
        return _answer((pace.MAPPING_OUT, group.multiple(self.mapping, group.generator)))

    def _agree(self, generator: bytes, received: bytes) -> ResponseApdu:
        group, private = self.info.group, random_scalar(self.info.group, self.rng)
        self.terminal, self.own = received, group.multiple(private, generator)
        self.channel = pace.session_keys(self.info.suite, group.secret(group.multiple(private, received)))
        return _answer((pace.KEY_OUT, self.own))

    def _authenticate(self, channel: SecureChannel, received: bytes) -> ResponseApdu:
        if not same(received, pace.token(self.info, channel, self.own)):
            return ResponseApdu(b"", REFUSED)
        self.session = Session(channel, 0)
        objects = [(pace.TOKEN_OUT, pace.token(self.info, channel, self.terminal))]
        if self.info.mapping == CHIP_AUTHENTICATION:
            objects.append((pace.CHIP_AUTHENTICATION_DATA, self._chip_authentication_data(channel)))
        return _answer(*objects)

    def _chip_authentication_data(self, channel: SecureChannel) -> bytes:
        """SK_IC^-1 * SK_Map,IC, as long as the order, encrypted (9303-11 4.4.3.5.1)."""
        order = self.info.group.order
        data = pow(self.static, -1, order) * self.mapping % order
        padded = pad(data.to_bytes((order.bit_length() + 7) // 8, "big"), channel.suite.block)
        return channel.suite.encrypt(channel.encryption, pace.ALL_ONES, padded)


def _answer(*objects: tuple[int, bytes]) -> ResponseApdu:
    return ResponseApdu(tlv.encode(0x7C, *(tlv.encode(tag, value) for tag, value in objects)), OK)


def begin(document: ChipDocument, command: CommandApdu, rng: Rng) -> ChipPace | int:
    """MSE:Set AT: a run of PACE, or the status word that refuses it."""
    try:
        chosen = {item.tag: item.value for item in tlv.parse(command.data)}
        infos = parse_security_infos(document.files.get(CARD_ACCESS.file_id, b""))
    except Malformed:
        return WRONG_DATA
    advertised = [info for info in map(pace.read_info, infos.infos) if info is not None]
    meant = [info for info in advertised if core.ObjectIdentifier(info.protocol).contents == chosen.get(0x80)]
    if not meant:
        return WRONG_DATA
    if 0x84 in chosen:
        meant = [info for info in meant if bytes((info.parameter,)) == chosen[0x84]]
    access = {b"\x01": document.access, b"\x02": document.can}.get(chosen.get(0x83, b""))
    if access is None or len(meant) != 1:  # 9303-11 4.4.4.1: the parameters are named where they are ambiguous
        return NO_REFERENCE
    static = {key.key_id: key.private for key in document.chip_keys}.get(meant[0].parameter, 0)
    if meant[0].mapping == CHIP_AUTHENTICATION and not static:
        return NO_REFERENCE
    return ChipPace(meant[0], access, rng, static)

"""The chip's side of PACE, one message after the other (ICAO 9303-11 4.4)."""

from __future__ import annotations

from dataclasses import dataclass, field

from asn1crypto import core

from emrtd import pace, tlv
from emrtd.apdu import OK, CommandApdu, ResponseApdu
from emrtd.channel import SecureChannel, Session
from emrtd.ciphers import same
from emrtd.errors import ChannelBroken, Malformed
from emrtd.files import CARD_ACCESS
from emrtd.keys import PASSWORD, Access, password
from emrtd.lds.security_infos import parse_security_infos
from emrtd.pace import PaceInfo
from emrtd.rng import Rng
from emrtd.softchip.document import ChipDocument

WRONG_DATA, NO_REFERENCE, NO_CONDITIONS, REFUSED = 0x6A80, 0x6A88, 0x6985, 0x6300


@dataclass
class ChipPace:
    """One run of PACE: what the chip remembers from message to message."""

    info: PaceInfo
    access: Access
    rng: Rng
    nonce: bytes = field(default=b"", repr=False)
    generator: pace.Affine | None = None
    terminal: pace.Affine | None = None
    own: pace.Affine | None = None
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
        if item.tag == pace.MAPPING_IN and self.nonce and self.generator is None:
            return self._map(item.value)
        if item.tag == pace.KEY_IN and self.generator and self.channel is None:
            return self._agree(self.generator, item.value)
        if item.tag == pace.TOKEN_IN and self.channel and self.session is None:
            return self._authenticate(self.channel, item.value)
        return ResponseApdu(b"", NO_CONDITIONS)

    def _give_nonce(self) -> ResponseApdu:
        self.nonce = self.rng(pace.NONCE_SIZE)
        key = self.info.suite.derive(password(self.access), PASSWORD)
        return _answer(pace.NONCE, self.info.suite.encrypt_nonce(key, self.nonce))

    def _map(self, encoded: bytes) -> ResponseApdu:
        curve = self.info.curve
        other, secret = pace.decode(curve, encoded), pace.random_scalar(curve, self.rng)
        self.generator = pace.mapped_generator(curve, self.nonce, secret, other)
        return _answer(pace.MAPPING_OUT, pace.encode(curve, pace.multiple(curve, secret, (curve.x, curve.y))))

    def _agree(self, generator: pace.Affine, encoded: bytes) -> ResponseApdu:
        curve = self.info.curve
        self.terminal, private = pace.decode(curve, encoded), pace.random_scalar(curve, self.rng)
        self.own = pace.multiple(curve, private, generator)
        self.channel = pace.session_keys(self.info, pace.multiple(curve, private, self.terminal))
        return _answer(pace.KEY_OUT, pace.encode(curve, self.own))

    def _authenticate(self, channel: SecureChannel, received: bytes) -> ResponseApdu:
        if self.own is None or self.terminal is None:
            return ResponseApdu(b"", NO_CONDITIONS)
        if not same(received, pace.token(self.info, channel, self.own)):
            return ResponseApdu(b"", REFUSED)
        self.session = Session(channel, 0)
        return _answer(pace.TOKEN_OUT, pace.token(self.info, channel, self.terminal))


def _answer(tag: int, value: bytes) -> ResponseApdu:
    return ResponseApdu(tlv.encode(0x7C, tlv.encode(tag, value)), OK)


def begin(document: ChipDocument, command: CommandApdu, rng: Rng) -> ChipPace | int:
    """MSE:Set AT: a run of PACE, or the status word that refuses it."""
    try:
        chosen = {item.tag: item.value for item in tlv.parse(command.data)}
        infos = parse_security_infos(document.files.get(CARD_ACCESS.file_id, b""))
    except Malformed:
        return WRONG_DATA
    info = pace.supported(infos)
    if info is None or chosen.get(0x80) != core.ObjectIdentifier(info.protocol).contents:
        return WRONG_DATA
    if chosen.get(0x84, bytes((info.parameter,))) != bytes((info.parameter,)):
        return NO_REFERENCE
    access: dict[bytes, Access | None] = {b"\x01": document.access, b"\x02": document.can}
    password_of = access.get(chosen.get(0x83, b""))
    return NO_REFERENCE if password_of is None else ChipPace(info, password_of, rng)

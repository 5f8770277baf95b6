"""Secure messaging: a wrapper around one command or one answer (ICAO 9303-11 9.8).

A `SecureChannel` is keys and nothing else. The send sequence counter is an argument, because nothing in
command n depends on answer n-1: a terminal far away computes a hundred commands ahead, each with its own
counter, and opens their answers later. Terminal and software chip share this file.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from emrtd import tlv
from emrtd.apdu import EXTENDED_LE_MAX, SHORT_LE_MAX, CommandApdu, ResponseApdu, parse_command, parse_response
from emrtd.ciphers import pad, same, unpad
from emrtd.errors import ChannelBroken, MalformedTlv
from emrtd.suites import TRIPLE_DES, Suite

SECURE = 0x0C  # class byte: secure messaging, header authenticated


@dataclass(frozen=True)
class SecureChannel:
    """Session keys and their algorithms. Counters are those of the message itself, already incremented."""

    encryption: bytes = field(repr=False)
    authentication: bytes = field(repr=False)
    suite: Suite = TRIPLE_DES

    def protect_command(self, command: CommandApdu, counter: int) -> bytes:
        """The protected command APDU that is sent with `counter` (9303-11 9.8.4)."""
        header = bytes((command.cla | SECURE, command.ins, command.p1, command.p2))
        objects = self._cryptogram(command.data, counter, odd=bool(command.ins & 1)) + _expected(command)
        mac = self._mac(counter, self._pad(header) + objects if objects else header)
        le = EXTENDED_LE_MAX if command.extended else SHORT_LE_MAX
        body = objects + tlv.encode(0x8E, mac)
        return CommandApdu(header[0], command.ins, command.p1, command.p2, body, le, command.extended).encode()

    def open_command(self, apdu: bytes, counter: int) -> CommandApdu:
        """The plain command inside a protected one, as the chip sees it. Raises ChannelBroken."""
        outer = parse_command(apdu)
        if outer.cla & SECURE != SECURE:
            raise ChannelBroken("the command is not protected")
        objects = _objects(outer.data)
        header = bytes((outer.cla, outer.ins, outer.p1, outer.p2))
        signed = _authenticated(objects, (0x85, 0x87, 0x97))
        self._check(objects, counter, self._pad(header) + signed if signed else header)
        expected = tlv.find(objects, 0x97)
        le = None if expected is None else int.from_bytes(expected.value, "big")
        if expected is not None and le == 0:
            le = 1 << (8 * len(expected.value))
        cla = outer.cla & ~SECURE
        return CommandApdu(cla, outer.ins, outer.p1, outer.p2, self._plain(objects, counter), le, outer.extended)

    def protect_response(self, response: ResponseApdu, counter: int, *, odd: bool = False) -> bytes:
        """The protected answer; `odd` where the command had an odd instruction byte (9303-11 9.8.5)."""
        objects = self._cryptogram(response.data, counter, odd=odd)
        objects += tlv.encode(0x99, response.status.to_bytes(2, "big"))
        body = objects + tlv.encode(0x8E, self._mac(counter, objects))
        return ResponseApdu(body, response.status).encode()

    def open_response(self, answer: bytes, counter: int) -> ResponseApdu:
        """The plain answer inside a protected one. Raises ChannelBroken."""
        outer = parse_response(answer)
        objects = _objects(outer.data)
        signed = _authenticated(objects, (0x85, 0x87, 0x99))
        self._check(objects, counter, signed)
        status = tlv.find(objects, 0x99)
        if status is None or len(status.value) != 2:
            raise ChannelBroken("the answer has no protected status word")
        return ResponseApdu(self._plain(objects, counter), int.from_bytes(status.value, "big"))

    def _pad(self, data: bytes) -> bytes:
        return pad(data, self.suite.block)

    def _cryptogram(self, data: bytes, counter: int, *, odd: bool) -> bytes:
        if not data:
            return b""
        ciphertext = self.suite.encrypt(self.encryption, counter, self._pad(data))
        if odd:  # odd instructions carry BER-TLV: DO'85', without padding indicator
            return tlv.encode(0x85, ciphertext)
        return tlv.encode(0x87, b"\x01", ciphertext)

    def _plain(self, objects: tuple[tlv.Tlv, ...], counter: int) -> bytes:
        for item in objects:
            if item.tag == 0x85:
                return unpad(self.suite.decrypt(self.encryption, counter, item.value))
            if item.tag == 0x87:
                if item.value[:1] != b"\x01":
                    raise ChannelBroken("unknown padding indicator")
                return unpad(self.suite.decrypt(self.encryption, counter, item.value[1:]))
        return b""

    def _mac(self, counter: int, message: bytes) -> bytes:
        return self.suite.secure_mac(self.authentication, counter, message)

    def _check(self, objects: tuple[tlv.Tlv, ...], counter: int, message: bytes) -> None:
        mac = tlv.find(objects, 0x8E)
        if mac is None or not same(mac.value, self._mac(counter, message)):
            raise ChannelBroken("the checksum of a protected message is wrong")


@dataclass(frozen=True)
class Session:
    """An open channel: keys, and the counter before the next message."""

    channel: SecureChannel
    counter: int

    def after(self, messages: int) -> Session:
        """The session when so many messages, commands and answers, have passed."""
        return Session(self.channel, self.counter + messages)


def _expected(command: CommandApdu) -> bytes:
    """DO'97': the Le of the plain command, one byte or two."""
    if command.le is None:
        return b""
    width = 2 if command.extended or command.le > SHORT_LE_MAX else 1
    return tlv.encode(0x97, (command.le % (1 << 8 * width)).to_bytes(width, "big"))


def _objects(data: bytes) -> tuple[tlv.Tlv, ...]:
    try:
        return tlv.parse(data)
    except MalformedTlv as error:
        raise ChannelBroken(f"a protected message is not well formed: {error}") from error


def _authenticated(objects: tuple[tlv.Tlv, ...], tags: tuple[int, ...]) -> bytes:
    return b"".join(item.raw for item in objects if item.tag in tags)

"""Command and response APDUs, short and extended (ISO/IEC 7816-4 5.1)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from emrtd.errors import MalformedApdu

OK = 0x9000
SHORT_LE_MAX = 256
EXTENDED_LE_MAX = 65536
COMMAND_MAX = 4 + 3 + 65535 + 2
RESPONSE_MAX = 65536 + 2


@dataclass(frozen=True)
class CommandApdu:
    """One command. ``le`` is the number of bytes expected, None when none is, 256 or 65536 for "all"."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    le: int | None = None
    extended: bool = False

    def encode(self) -> bytes:
        """The bytes that go to the chip; extended form where asked or needed."""
        header = bytes((self.cla, self.ins, self.p1, self.p2))
        long = self.extended or len(self.data) > 255 or (self.le or 0) > SHORT_LE_MAX
        return header + (self._extended_body() if long else self._short_body())

    def _short_body(self) -> bytes:
        body = bytes((len(self.data),)) + self.data if self.data else b""
        return body if self.le is None else body + bytes((self.le & 0xFF,))

    def _extended_body(self) -> bytes:
        body = b"\0" + len(self.data).to_bytes(2, "big") + self.data if self.data else b""
        if self.le is None:
            return body
        return body + (b"" if body else b"\0") + (self.le & 0xFFFF).to_bytes(2, "big")


CHAINED = 0x10  # class byte: the data goes on in the next command


def chain(command: CommandApdu, size: int) -> tuple[CommandApdu, ...]:
    """The command in parts of at most `size` bytes of data, for chips without extended length (ISO/IEC 7816-4 5.3.3)."""
    if len(command.data) <= size:
        return (command,)
    parts = [command.data[at : at + size] for at in range(0, len(command.data), size)]
    first = (replace(command, cla=command.cla | CHAINED, data=part, le=None, extended=False) for part in parts[:-1])
    return (*first, replace(command, data=parts[-1], extended=False))


@dataclass(frozen=True)
class ResponseApdu:
    """One answer: data and status word."""

    data: bytes = field(repr=False)
    status: int

    def encode(self) -> bytes:
        return self.data + self.status.to_bytes(2, "big")


def parse_command(apdu: bytes) -> CommandApdu:
    """Read a command as a chip does. Raises MalformedApdu."""
    if not 4 <= len(apdu) <= COMMAND_MAX:
        raise MalformedApdu(f"a command of {len(apdu)} bytes")
    cla, ins, p1, p2 = apdu[:4]
    body = apdu[4:]
    if len(body) > 1 and body[0] == 0:
        data, le = _split(body[1:], 2)
        return CommandApdu(cla, ins, p1, p2, data, le, extended=True)
    data, le = _split(body, 1)
    return CommandApdu(cla, ins, p1, p2, data, le)


def _split(body: bytes, width: int) -> tuple[bytes, int | None]:
    """Divide a body into data and Le, with length fields of `width` bytes."""
    all_bytes = 1 << (8 * width)
    if not body:
        return b"", None
    if len(body) == width:
        return b"", int.from_bytes(body, "big") or all_bytes
    length = int.from_bytes(body[:width], "big")
    data, rest = body[width : width + length], body[width + length :]
    if length == 0 or len(data) != length or len(rest) not in (0, width):
        raise MalformedApdu("the length field does not fit the body")
    return data, (int.from_bytes(rest, "big") or all_bytes) if rest else None


def parse_response(answer: bytes) -> ResponseApdu:
    """Divide an answer into data and status word. Raises MalformedApdu."""
    if not 2 <= len(answer) <= RESPONSE_MAX:
        raise MalformedApdu(f"an answer of {len(answer)} bytes")
    return ResponseApdu(answer[:-2], int.from_bytes(answer[-2:], "big"))

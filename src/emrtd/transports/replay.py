"""What passed between a terminal and a chip: recorded, kept in a file, played again.

Two kinds of recording, and nothing between them:

* `Recorder` keeps of each exchange its *shape*: the command's header and length, the answer's length and status
  word, the milliseconds it took. Of contents it keeps the data of SELECT and MSE:Set AT outside a channel, the
  names of files and protocols, which are the standard's and not the holder's. No answer, no challenge, no
  cryptogram is kept even in memory: whoever has the messages of basic access control can try document numbers
  and dates against them until one fits. It is what to send with a report about a chip. It still tells how long the
  portrait is and how the chip behaves: enough to know the model, and to tell two documents apart.
* `SpecimenRecorder` keeps everything, with the access key and the seed of the terminal's randomness, so that
  `Replay` drives the same reading to the same end without a chip. The file says that it is of a specimen.
  It is for chips that nobody owns.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from emrtd.apdu import COMMAND_MAX, RESPONSE_MAX, parse_command
from emrtd.channel import SECURE
from emrtd.errors import MalformedMessage, Misuse, TagLost, TranscriptMismatch
from emrtd.exchange import Transmit
from emrtd.keys import Access, Can, MrzKey

SHAPES = "eMRTD transcript: shapes of a reading, without contents"
SPECIMEN = "SPECIMEN eMRTD transcript: a whole reading of a chip that is nobody's"
VERSION = 1
TRANSCRIPT_MAX = 1 << 22
EXCHANGES_MAX = 20_000
SELECT, MANAGE_SECURITY_ENVIRONMENT = 0xA4, 0x22

Clock = Callable[[], float]


@dataclass(frozen=True)
class Shape:
    """One exchange without its contents. ``named`` is what a plain SELECT or MSE:Set AT names; ``status`` 0 for a lost tag."""

    header: str
    sent: int
    received: int
    status: int
    milliseconds: int
    named: str = ""


@dataclass(frozen=True)
class Exchange:
    """One exchange, whole; ``answer`` b"" where the tag was lost."""

    command: bytes
    answer: bytes
    milliseconds: int


@dataclass(frozen=True)
class SpecimenTranscript:
    """A whole reading of a specimen: what opened it, the seed of the terminal's randomness, what passed."""

    access: Access = field(repr=False)
    seed: bytes = field(repr=False)
    exchanges: tuple[Exchange, ...] = field(repr=False)

    def to_bytes(self) -> bytes:
        """A JSON file that states what it is."""
        key = self.access
        opened = [key.value] if isinstance(key, Can) else [key.document_number, key.birth_date, key.expiry_date]
        rows = [[one.command.hex(), one.answer.hex(), one.milliseconds] for one in self.exchanges]
        head = {"what": SPECIMEN, "version": VERSION, "access": opened, "seed": self.seed.hex()}
        return _file(head, rows)

    @classmethod
    def from_bytes(cls, data: bytes) -> SpecimenTranscript:
        """Raises MalformedMessage."""
        try:
            tree = _tree(data, SPECIMEN)
            access = tree["access"]
            rows = tuple(_exchange(*row) for row in tree["exchanges"])
            key = Can(*access) if len(access) == 1 else MrzKey(*access)
            return cls(key, bytes.fromhex(tree["seed"]), rows)
        except (KeyError, TypeError, ValueError, AttributeError, Misuse) as error:
            raise MalformedMessage(f"not a specimen transcript: {type(error).__name__}") from error


class Recorder:
    """A `Transmit` around another that keeps shapes. `clock` counts seconds (`time.monotonic`)."""

    def __init__(self, transmit: Transmit, clock: Clock) -> None:
        self._transmit, self._clock = transmit, clock
        self._shapes: list[Shape] = []

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return tuple(self._shapes)

    def __call__(self, apdu: bytes) -> bytes:
        """Raises what the chip's own `Transmit` raises, and MalformedApdu for no command."""
        begun, answer = self._clock(), b""
        try:
            answer = self._transmit(apdu)
        finally:
            if len(self._shapes) < EXCHANGES_MAX:
                self._shapes.append(_shape(apdu, answer, _milliseconds(self._clock() - begun)))
        return answer

    def to_bytes(self) -> bytes:
        """A JSON file that states what it is: one row an exchange."""
        rows = [
            [one.header, one.sent, one.received, f"{one.status:04X}", one.milliseconds, one.named]
            for one in self._shapes
        ]
        columns = ["header", "bytes sent", "bytes received", "status", "milliseconds", "named"]
        return _file({"what": SHAPES, "version": VERSION, "columns": columns}, rows)


class SpecimenRecorder:
    """A `Transmit` around a specimen that keeps everything. `access` and `seed` are those of the reading."""

    def __init__(self, transmit: Transmit, clock: Clock, *, access: Access, seed: bytes) -> None:
        self._transmit, self._clock, self._access, self._seed = transmit, clock, access, seed
        self._exchanges: list[Exchange] = []

    def __call__(self, apdu: bytes) -> bytes:
        begun, answer = self._clock(), b""
        try:
            answer = self._transmit(apdu)
        finally:
            if len(self._exchanges) < EXCHANGES_MAX:
                self._exchanges.append(Exchange(apdu, answer, _milliseconds(self._clock() - begun)))
        return answer

    @property
    def transcript(self) -> SpecimenTranscript:
        return SpecimenTranscript(self._access, self._seed, tuple(self._exchanges))


class Replay:
    """A `Transmit` that answers as the recorded chip did, as long as it is asked the same."""

    def __init__(self, transcript: SpecimenTranscript) -> None:
        self._exchanges, self._next = transcript.exchanges, 0

    def __call__(self, apdu: bytes) -> bytes:
        """Raises TranscriptMismatch; TagLost where the recorded tag was lost."""
        index = self._next
        if index >= len(self._exchanges):
            raise TranscriptMismatch(index, "the recording ends before")
        recorded = self._exchanges[index]
        if apdu != recorded.command:
            header = recorded.command[:4].hex()
            raise TranscriptMismatch(index, f"asked {apdu[:4].hex()} ({len(apdu)} bytes), recorded {header}")
        self._next += 1
        if not recorded.answer:
            raise TagLost
        return recorded.answer

    @property
    def finished(self) -> bool:
        """True when everything recorded was asked."""
        return self._next == len(self._exchanges)


def _shape(apdu: bytes, answer: bytes, milliseconds: int) -> Shape:
    command = parse_command(apdu)
    names = command.cla & SECURE == 0 and command.ins in (SELECT, MANAGE_SECURITY_ENVIRONMENT)
    named = command.data if names else b""
    status = int.from_bytes(answer[-2:], "big")
    return Shape(apdu[:4].hex(), len(apdu), len(answer), status, milliseconds, named.hex())


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _file(head: dict[str, Any], rows: list[Any]) -> bytes:
    """JSON with one row a line, so that two recordings can be compared by eye."""
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    top = "".join(f" {json.dumps(name)}: {json.dumps(value)},\n" for name, value in head.items())
    return f'{{\n{top} "exchanges": [\n  {lines}\n ]\n}}\n'.encode("ascii")


def _tree(data: bytes, what: str) -> dict[str, Any]:
    if len(data) > TRANSCRIPT_MAX:
        raise MalformedMessage(f"a transcript of {len(data)} bytes")
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage("a transcript is JSON") from error
    if not isinstance(tree, dict) or tree.get("what") != what or tree.get("version") != VERSION:
        raise MalformedMessage(f"not a file of this kind and version: {what}")
    if not isinstance(tree.get("exchanges"), list) or len(tree["exchanges"]) > EXCHANGES_MAX:
        raise MalformedMessage("a transcript has a list of exchanges, and not an endless one")
    return tree


def _exchange(command: str, answer: str, milliseconds: int) -> Exchange:
    sent, received = bytes.fromhex(command), bytes.fromhex(answer)
    if not 4 <= len(sent) <= COMMAND_MAX or not (len(received) == 0 or 2 <= len(received) <= RESPONSE_MAX):
        raise ValueError("an exchange of an impossible length")
    return Exchange(sent, received, int(milliseconds))

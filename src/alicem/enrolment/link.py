"""The session process's end of its link: JSON lines, in from standard input and out to standard output.

In: phone messages of steps 3 to 5 as they came (sealed members stay sealed up to here), and `{"do": …}` from the session. Out: `{"tell": …}`;
`tell: send` carries a message for the phone.
"""

from __future__ import annotations

import json
import os
import selectors
import time
from collections import deque
from typing import Any

from alicem.enrolment.seal import Seal
from alicem.jose import BadToken

LINE = 256 * 1024
AHEAD = 16  # lines read before their turn
TRY_SECONDS = 60.0
"""How long one try of the face may take."""


class Interrupted(Exception):
    """The phone lost its connection or its chip; the step begins again. `plain`: what a `chip_lost` carried."""

    def __init__(self, plain: bytes = b"") -> None:
        super().__init__("chip or connection lost")
        self.plain = plain


class TooLate(Exception):
    """Nothing came before the deadline."""


class Link:
    """Reads and writes lines; opens sealed members; insists on rising ids."""

    def __init__(self, read_from: int, write_to: int) -> None:
        self._in, self._out = read_from, write_to
        self._buffer = bytearray()
        self._lines: deque[dict[str, Any]] = deque()
        self._selector = selectors.PollSelector()  # without a descriptor of its own: the sandbox leaves none
        self._selector.register(read_from, selectors.EVENT_READ)
        self._last_id = 0
        self.seal: Seal | None = None

    def tell(self, name: str, **members: Any) -> None:
        data = json.dumps({"tell": name, **members}).encode() + b"\n"
        while data:
            data = data[os.write(self._out, data) :]

    def send(self, kind: str, **members: Any) -> None:
        """A message for the phone; the session numbers it."""
        self.tell("send", message={"type": kind, **members})

    def wait_for(self, *kinds: str, seconds: float | None = None) -> tuple[str, bytes]:
        """The next phone message of one of `kinds`: its type and opened content.

        Raises `Interrupted` when the chip or the connection is lost, `TooLate`, `BadToken` for anything else, `EOFError` when the session is gone.
        """
        message = self.line(seconds)
        if message.get("do") == "resumed":
            raise Interrupted
        kind = message.get("type")
        if kind == "chip_lost":
            raise Interrupted(self.opened(message) if "sealed" in message else b"")
        if kind not in kinds:
            raise BadToken(f"{kind} is not expected now")
        return kind, self.opened(message)

    def line(self, seconds: float | None = None) -> dict[str, Any]:
        """The next line, whatever it is."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self._lines:
            left = None if deadline is None else deadline - time.monotonic()
            if (left is not None and left <= 0) or not self._selector.select(left):
                raise TooLate
            self._read()
        return self._lines.popleft()

    def waits(self, kind: str) -> bool:
        """Whether another message of this kind has come already: what was last read is no longer the newest."""
        while len(self._lines) < AHEAD and self._selector.select(0):
            self._read()
        return any(message.get("type") == kind for message in self._lines)

    def _read(self) -> None:
        chunk = os.read(self._in, 1 << 16)
        if not chunk or len(self._buffer) > LINE:
            raise EOFError
        self._buffer += chunk
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        trees = (json.loads(line) for line in lines)
        self._lines.extend(tree if isinstance(tree, dict) else {} for tree in trees)

    def opened(self, message: dict[str, Any]) -> bytes:
        """The content of a sealed message. Raises `BadToken`."""
        number = message.get("id")
        if not isinstance(number, int) or number <= self._last_id or self.seal is None:
            raise BadToken("ids rise")
        plain = self.seal.open(message["type"], number, message.get("sealed", ""))
        self._last_id = number
        return plain

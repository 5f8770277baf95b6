"""Many phones at once, as cheap as a load can be: kept-alive sockets, and PIN keys stretched beforehand, which is the phone's cost and not the server's.

What phones sign, they sign while nobody measures: all ask for their challenges, all sign, all instruct.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from alicem import jose

PROCESSES, LINES = 2, 16
"""Processes of the load, and connections of each, a phone at each of them at any moment."""
WRONG_EVERY = 4
EMPTY = jose.b64(hashlib.sha256(b"").digest())
Deed = Callable[["Line", int], None]


@dataclass(frozen=True)
class Phone:
    """What the load needs of a phone: private values of P-256. `wrong` is the key of a code that is not its owner's."""

    device: int
    pin: int
    wrong: int


class Line:
    """One kept-alive connection, and the phones that share it one after the other."""

    def __init__(self, origin: str, phones: Sequence[Phone]) -> None:
        self.origin = origin
        self.owners = [Owner(phone, number) for number, phone in enumerate(phones)]
        self.waiting: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self._turn = 0
        parts = urlsplit(origin)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"Host: {parts.netloc}\r\nContent-Type: application/json\r\nContent-Length: ".encode()

    def next(self) -> Owner:
        self._turn += 1
        return self.owners[self._turn % len(self.owners)]

    def post(self, path: str, body: bytes) -> bytes:
        """The body of the answer, whatever its status."""
        self._socket.sendall(b"POST %b HTTP/1.1\r\n%b%d\r\n\r\n%b" % (path.encode(), self._head, len(body), body))
        told = b""
        while (end := told.find(b"\r\n\r\n")) < 0:
            told += self._more()
        head = told[:end].lower()
        length = int(head[head.index(b"content-length:") + 15 :].split(b"\r\n", 1)[0])
        while len(told) < end + 4 + length:
            told += self._more()
        return told[end + 4 :]

    def _more(self) -> bytes:
        piece = self._socket.recv(65536)
        if not piece:
            raise ConnectionError("the server hung up")
        return piece


class Owner:
    """A phone in its owner's hand, who types a wrong code every fourth time."""

    def __init__(self, phone: Phone, begin: int) -> None:
        values = (phone.device, phone.pin, phone.wrong)
        self._device, self._pin, self._wrong = (ec.derive_private_key(one, ec.SECP256R1()) for one in values)
        self._kid = jose.thumbprint(self._device.public_key())
        self._reply = jose.public_jwk(self._device.public_key())
        self._count = begin

    def sign(self, origin: str, challenge: str) -> str:
        """An instruction to open the vault (docs/protocols/approval.md)."""
        self._count += 1
        at = time.time_ns() // 1000
        inner = {
            "aud": origin,
            "challenge": challenge,
            "sequence": at,  # a number that only grows, and that nobody has to keep
            "purpose": "open",
            "request": EMPTY,
            "reply_key": self._reply,
            "iat": at // 10**6,
        }
        statement = jose.sign(self._pin if self._count % WRONG_EVERY else self._wrong, "alicem-pin+jwt", inner)
        return jose.sign(self._device, "alicem-instruction+jwt", statement, kid=self._kid)


def ask(line: Line, count: int) -> None:
    line.waiting = [json.loads(line.post("/phone/challenge", b"{}"))["challenge"] for _ in range(count)]


def sign(line: Line, _count: int) -> None:
    line.waiting = [line.next().sign(line.origin, challenge) for challenge in line.waiting]


def instruct(line: Line, _count: int) -> None:
    for token in line.waiting:
        told = json.loads(line.post("/phone/instruction", b'{"instruction":"%b"}' % token.encode()))
        line.outcomes[told["outcome"]] += 1


def post_alike(line: Line, count: int) -> None:
    """Bodies as long as those of `ask` and `instruct`, for a server that does nothing with them."""
    bodies = b"{}", b"x" * 1500
    for number in range(2 * count):
        line.post("/", bodies[number % 2])


class Load:
    """The processes, each with its share of the phones."""

    def __init__(self, origin: str, phones: Sequence[Phone]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._ends: list[Connection] = []
        for number in range(PROCESSES):
            ours, theirs = spawn.Pipe()
            spawn.Process(target=_serve, args=(theirs, origin, phones[number::PROCESSES]), daemon=True).start()
            self._ends.append(ours)
        for end in self._ends:
            end.recv()

    def do(self, deed: Deed, count: int) -> tuple[float, Counter[str]]:
        """Every line does a deed so many times at once; the seconds until the last has, and the outcomes since the last time."""
        began = time.perf_counter()
        for end in self._ends:
            end.send((deed, count))
        told = [end.recv() for end in self._ends]
        return time.perf_counter() - began, sum(told, Counter())

    def close(self) -> None:
        for end in self._ends:
            end.send(None)


def _serve(commands: Connection, origin: str, phones: Sequence[Phone]) -> None:
    lines = [Line(origin, phones[number::LINES]) for number in range(LINES)]
    commands.send(None)
    with ThreadPoolExecutor(LINES) as threads:
        while (command := commands.recv()) is not None:
            deed, count = command
            list(threads.map(deed, lines, repeat(count)))
            commands.send(sum((line.outcomes for line in lines), Counter()))
            for line in lines:
                line.outcomes.clear()

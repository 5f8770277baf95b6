"""The load of bench/login: people's browsers, phones and clients on kept-alive connections, in a process of their own on a core of their own."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

SERVER_CORE = {max(os.sched_getaffinity(0))}
LOAD_CORES = os.sched_getaffinity(0) - SERVER_CORE or SERVER_CORE
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE") / 2**20  # MB


@dataclass(frozen=True)
class Server:
    """A server in a process of its own, on one core. `folder`: its files."""

    origin: str
    pid: int
    folder: Path

    def spent(self) -> float:
        """Processor seconds so far, system calls included (proc(5))."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def resident(self) -> float:
        """Megabytes in memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE


@dataclass(frozen=True)
class Answer:
    status: int
    location: str
    cookies: list[str]
    text: str


@dataclass
class Connection:
    """One kept-alive connection that sends what it is told and follows nothing. `waits`: seconds of each answer."""

    origin: str
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        parts = urlsplit(self.origin)
        self._http = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)

    def send(self, method: str, address: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        parts = urlsplit(address)
        body = urlencode(form) if form is not None else None
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        status, given, text = self._exchange(method, path, body, headers)
        cookies = [one.partition(";")[0] for one in given.get_all("set-cookie") or []]
        return Answer(status, given.get("location", ""), cookies, text)

    def send_json(self, address: str, value: dict[str, Any]) -> Any:
        return json.loads(self._exchange("POST", address, json.dumps(value), {"Content-Type": "application/json"})[2])

    def _exchange(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> tuple[int, http.client.HTTPMessage, str]:
        began = time.perf_counter()
        self._http.request(method, path, body, headers)
        answer = self._http.getresponse()
        text = answer.read().decode()
        self.waits.append(time.perf_counter() - began)
        return answer.status, answer.headers, text


@dataclass(frozen=True)
class Measured:
    """`cpu`: milliseconds of the server's processor a flow. `rate`: flows a second. `p99`: milliseconds of the slowest answer of a hundred."""

    cpu: float
    rate: float
    p99: float


def measure(server: Server, count: int, work: Callable[[Connection], None], workers: int = 8) -> Measured:
    """So many flows by so many at once. A tenth is run before, to warm up."""
    load = _Load(server.origin, work)
    load.spread(max(workers, count // 10), workers)
    load.waits.clear()
    before = server.spent()
    seconds = load.spread(count, workers)
    return Measured((server.spent() - before) / count * 1000, count / seconds, _percentile(load.waits, 0.99) * 1000)


class _Load:
    def __init__(self, origin: str, work: Callable[[Connection], None]) -> None:
        self._origin, self._work = origin, work
        self.waits: list[float] = []

    def spread(self, count: int, workers: int) -> float:
        """Seconds it took. The first failure is raised."""
        left, failures, lock = [count], [], threading.Lock()

        def run() -> None:
            connection = Connection(self._origin)
            while True:
                with lock:
                    if not left[0] or failures:
                        self.waits.extend(connection.waits)
                        return
                    left[0] -= 1
                try:
                    self._work(connection)
                except BaseException as error:  # noqa: BLE001 - handed to the caller below
                    failures.append(error)

        began = time.perf_counter()
        threads = [threading.Thread(target=run) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return time.perf_counter() - began


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0

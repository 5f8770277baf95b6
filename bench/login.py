"""Signing in: what a flow costs the server, beside npm oidc-provider in the same run, with the same load generator.

`rows()` gives (name, value, unit, note) for the common table; run as a script it prints them. Times are processor time of the server's process
alone. Ours is durable (SQLite, every step committed to disk); the peer keeps everything in memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "provider"))

from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from provider_world import CALLBACK, CODE, SECRET, Flaws, enrol, make_world, present, request  # noqa: E402

from alicem import jose  # noqa: E402
from alicem.log import configure  # noqa: E402
from alicem.phone.code import pin_key  # noqa: E402
from alicem.phone.state import Phone, Storage, open_vault  # noqa: E402
from alicem.provider import records, sealing  # noqa: E402
from alicem.provider.tokens import amr  # noqa: E402
from alicem.settings import Log  # noqa: E402
from alicem.store import Store  # noqa: E402

Row = tuple[str, float, str, str]
FLOWS = 400
SIGN_INS = 120
WORKERS = 8
PEER = "oidc-provider@9.13.3"
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A server in a process of its own. `folder`: the provider's files."""

    origin: str
    pid: int
    folder: Path

    def spent(self) -> float:
        """Processor seconds so far, system calls included (proc(5))."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK


# Load


class Connection:
    """One kept-alive connection that sends what it is told and follows nothing."""

    def __init__(self, origin: str) -> None:
        parts = urlsplit(origin)
        self._http = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)

    def send(self, method: str, address: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        parts = urlsplit(address)
        body = urlencode(form) if form is not None else None
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._http.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, headers)
        answer = self._http.getresponse()
        cookies = [one.partition(";")[0] for one in answer.headers.get_all("set-cookie") or []]
        return Answer(answer.status, answer.headers.get("location", ""), cookies, answer.read().decode())

    def send_json(self, address: str, value: dict[str, Any]) -> Any:
        self._http.request("POST", address, json.dumps(value), {"Content-Type": "application/json"})
        return json.loads(self._http.getresponse().read())


@dataclass(frozen=True)
class Answer:
    status: int
    location: str
    cookies: list[str]
    text: str


def spread(count: int, work: Callable[[], None]) -> float:
    """Run `work` so many times over the workers; seconds it took. The first failure is raised."""
    left, failures, lock = [count], [], threading.Lock()

    def run() -> None:
        while True:
            with lock:
                if not left[0] or failures:
                    return
                left[0] -= 1
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - handed to the caller below
                failures.append(error)

    started = time.perf_counter()
    threads = [threading.Thread(target=run) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return time.perf_counter() - started


def measure(server: Server, count: int, work: Callable[[Connection], None]) -> tuple[float, float]:
    """Milliseconds of processor a flow, flows a second. A tenth is run before, to warm up."""
    own = threading.local()

    def once() -> None:
        if not hasattr(own, "connection"):
            own.connection = Connection(server.origin)
        work(own.connection)

    spread(max(WORKERS, count // 10), once)
    before = server.spent()
    seconds = spread(count, once)
    return (server.spent() - before) / count * 1000, count / seconds


def redeem(connection: Connection, location: str, token: str, me: str) -> None:
    """The client's half: code to tokens, token to claims."""
    code = parse_qs(urlsplit(location).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    answer = connection.send("POST", token, {**form, "client_id": "fc-plus", "client_secret": SECRET})
    tokens = json.loads(answer.text)
    told = connection.send("GET", me, Authorization=f"Bearer {tokens['access_token']}")
    assert json.loads(told.text)["family_name"] == "DUBOIS" and tokens["id_token"]


# Ours


@dataclass(frozen=True)
class Begun:
    """A browser's sign-in: its cookie, and what its page shows."""

    cookie: str
    reference: str
    number: str


def begin(connection: Connection) -> Begun:
    answer = connection.send("GET", "/authorize?" + urlencode(request()))
    link = re.search(r'data-link="[^"#]*#([^"]*)" data-number="(\d\d)"', answer.text)
    assert link is not None, answer.text[:400]
    return Begun(answer.cookies[0], link[1], link[2])


def approve_all(folder: Path) -> None:
    """What phones' answers would leave in the database, written by the bench while the server rests."""
    claims = {"given_name": "Angela Claire Louise", "family_name": "DUBOIS", "email": "angela@courriel.example"}
    contents = {"sub": "s" * 43, "acr": "eidas2", "amr": amr("software"), "auth_time": 0, "claims": claims}

    def conclude(connection: Any) -> None:
        for row in connection.execute(records.signins.select()).all():
            sealed = jose.encrypt_to(sealing.public_from(row.browser_key), sealing.pack(contents))
            one = records.signins.update().where(records.signins.c.signin == row.signin)
            connection.execute(one.values(outcome=records.APPROVED, claims=sealed))

    store = Store(f"sqlite:///{folder / 'alicem.db'}")
    asyncio.run(store.write(conclude))
    store.close()


def code_flow(server: Server) -> tuple[float, float]:
    """The browser's and the client's requests, approval given in between by nobody the server sees."""
    waiting: queue.SimpleQueue[Begun] = queue.SimpleQueue()
    approved: queue.SimpleQueue[Begun] = queue.SimpleQueue()

    def finish(connection: Connection) -> None:
        there = connection.send("GET", "/signin/continue", Cookie=approved.get().cookie)
        redeem(connection, there.location, "/token", "/userinfo")

    asked, _ = measure(server, FLOWS, lambda connection: waiting.put(begin(connection)))
    approve_all(server.folder)
    while not waiting.empty():
        approved.put(waiting.get())
    ended, _ = measure(server, FLOWS, finish)
    return asked, ended


@dataclass
class Owner:
    """A phone in its owner's hand, after docs/protocols/approval.md. The PIN key is stretched once: that is the phone's cost, not the server's."""

    phone: Phone
    pin: Any
    reply: Any
    credential: str = ""
    sequence: int = 0

    @classmethod
    def of(cls, server: Server, number: int) -> Owner:
        storage = Storage(server.folder / f"phone{number}")
        phone = storage.load()
        owner = cls(phone, pin_key(CODE, phone.salt), ec.generate_private_key(ec.SECP256R1()))
        share = owner.instruct(Connection(server.origin), "open", b"")
        owner.credential = open_vault(phone, share, storage.load_vault())["credential"]
        return owner

    def instruct(self, connection: Connection, purpose: str, about: bytes) -> bytes:
        """The share, for an instruction the code signed."""
        self.sequence += 1
        inner = {
            "aud": self.phone.origin,
            "challenge": connection.send_json("/phone/challenge", {})["challenge"],
            "sequence": self.sequence,
            "purpose": purpose,
            "request": jose.b64(hashlib.sha256(about).digest()),
            "reply_key": jose.public_jwk(self.reply.public_key()),
            "iat": int(time.time()),
        }
        device_key = self.phone.device_key
        statement = jose.sign(self.pin, "alicem-pin+jwt", inner)
        kid = jose.thumbprint(device_key.public_key())
        token = jose.sign(device_key, "alicem-instruction+jwt", statement, kid=kid)
        return jose.decrypt(connection.send_json("/phone/instruction", {"instruction": token})["share"], self.reply)

    def approve(self, connection: Connection, begun: Begun) -> None:
        token = connection.send("GET", f"/signin/request/{begun.reference}").text
        asked = jose.unpack(token, "oauth-authz-req+jwt").json()
        self.instruct(connection, "approve", f"{token}.{begun.number}".encode())
        shown = present(self.credential, asked, self.phone.device_key, Flaws())
        body = json.dumps({"vp_token": {"identity": [shown]}, "state": asked["state"]}).encode()
        jwk = asked["client_metadata"]["jwks"]["keys"][0]
        sealed = jose.encrypt_to(jose.public_key(jwk), body, kid=jwk["kid"])
        told = connection.send("POST", "/signin/response", {"response": sealed})
        assert told.status == 200, told.text


def complete_sign_in(server: Server) -> tuple[float, float]:
    """Browser, phone, code, presentation, client: every request of a sign-in."""
    owners: queue.SimpleQueue[Owner] = queue.SimpleQueue()
    for number in range(1, WORKERS + 1):
        owners.put(Owner.of(server, number))

    def flow(connection: Connection) -> None:
        owner = owners.get()
        try:
            begun = begin(connection)
            owner.approve(connection, begun)
        finally:
            owners.put(owner)
        there = connection.send("GET", "/signin/continue", Cookie=begun.cookie)
        redeem(connection, there.location, "/token", "/userinfo")

    return measure(server, SIGN_INS, flow)


def constants(server: Server) -> tuple[float, float]:
    """Discovery and keys, which FranceConnect fetches at every step."""

    def fetch(connection: Connection) -> None:
        assert connection.send("GET", "/.well-known/openid-configuration").status == 200
        assert connection.send("GET", "/jwks").status == 200

    return measure(server, FLOWS * 4, fetch)


@contextmanager
def ours() -> Iterator[Server]:
    """Our provider, with as many people enrolled as there are workers."""
    with tempfile.TemporaryDirectory(prefix="alicem-bench-") as folder:
        command = [sys.executable, __file__, "serve", folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield Server(process.stdout.readline().strip(), process.pid, Path(folder))
            finally:
                process.terminate()


def serve(folder: Path) -> None:
    configure(Log())  # as an operator's: unconfigured, each sign-in would be told to a pipe that nobody empties
    world = make_world(folder)
    for _ in range(WORKERS):
        enrol(world)
    print(world.origin, flush=True)
    sys.stdin.read()
    world.close()


# The peer


def peer_flow(server: Server) -> tuple[float, float]:
    """The same requests; the redirect through its interaction takes the phone's place."""

    def flow(connection: Connection) -> None:
        asked = connection.send("GET", "/auth?" + urlencode(request(prompt=None)))
        shown = connection.send("GET", asked.location, Cookie="; ".join(asked.cookies))
        resumed = connection.send("GET", shown.location, Cookie="; ".join(asked.cookies))
        redeem(connection, resumed.location, "/token", "/me")

    return measure(server, FLOWS, flow)


@contextmanager
def peer() -> Iterator[Server | None]:
    """npm oidc-provider, installed for this run; None where npm cannot bring it within a minute."""
    with tempfile.TemporaryDirectory(prefix="alicem-bench-") as name:
        folder = Path(name)
        if not _installed(folder):
            yield None
            return
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        shutil.copy(ROOT / "bench" / "login_peer.mjs", folder)
        command = ["node", str(folder / "login_peer.mjs"), str(port), SECRET, CALLBACK]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            try:
                assert process.stdout is not None
                while (said := process.stdout.readline()) and said.strip() != "ready":
                    pass
                yield Server(f"http://127.0.0.1:{port}", process.pid, folder)
            finally:
                process.terminate()


def _installed(folder: Path) -> bool:
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    try:
        done = subprocess.run(
            ["npm", "install", *options, PEER], cwd=folder, capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def rows() -> list[Row]:
    """Figures of one run."""
    with ours() as server:
        asked, ended = code_flow(server)
        flow = asked + ended
        whole, whole_rate = complete_sign_in(server)
        fetch, _ = constants(server)
    found = [
        (
            "sign-in: code flow alone",
            flow,
            "ms CPU",
            f"durable; {1000 / flow:.0f}/s a core; page {asked:.1f}, then {ended:.1f}",
        ),
        ("sign-in: complete", whole, "ms CPU", f"phone, code, presentation, code flow; {whole_rate:.0f}/s here"),
        ("discovery and keys", 2000 / fetch, "/s a core", "each fetched by FranceConnect at every step"),
    ]
    with peer() as other:
        if other is None:
            return [*found, ("peer: oidc-provider", 0.0, "", "not installed: npm or the network is missing")]
        theirs, theirs_rate = peer_flow(other)
    return [
        *found,
        (
            f"peer: {PEER}, code flow",
            theirs,
            "ms CPU",
            f"in memory; {1000 / theirs:.0f}/s a core, {theirs_rate:.0f}/s here",
        ),
        ("code flow, ours to the peer's", flow / theirs, "x CPU", "at most 1 asked"),
        ("complete sign-in to the peer's code flow", whole / theirs, "x CPU", "at most 2 asked"),
    ]


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        serve(Path(sys.argv[2]))
        return
    for name, value, unit, note in rows():
        print(f"{name:45} {value:10.2f} {unit:10} {note}")


if __name__ == "__main__":
    main()

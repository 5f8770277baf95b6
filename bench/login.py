"""Signing in: what a flow costs the server, beside npm oidc-provider in the same run, with the same load generator, each server on one core.

`rows()` gives (name, value, unit, note) for the common table; run as a script it prints them, and `--flows 100000` watches the memory of one
worker over so many flows instead. Times are processor time of the server's process alone. Ours is durable (SQLite, every step committed to
disk); the peer keeps everything in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import queue
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from alicem import jose
from alicem.phone.code import pin_key
from alicem.phone.state import Phone, Storage, open_vault
from alicem.provider import records, sealing
from alicem.provider.tokens import amr
from alicem.store import Store
from bench.login_load import Connection, Measured, Server, measure
from bench.login_servers import PEER, ours, peer

from provider_world import CALLBACK, CODE, SECRET, Flaws, present, request  # isort: skip - found by bench.login_servers

Row = tuple[str, float, str, str]
FLOWS = 400
SIGN_INS = 600
WORKERS = 8
CROWD = 32
_UNBOUNDED = dict.fromkeys(
    (
        "sign_ins_per_minute_and_address",
        "sign_ins_per_minute_and_client",
        "instructions_per_minute_and_address",
        "approvals_per_hour_and_account",
    ),
    10**6,
)


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


def code_flow(server: Server, count: int = FLOWS, workers: int = WORKERS) -> tuple[Measured, Measured]:
    """The browser's and the client's requests, approval given in between by nobody the server sees."""
    waiting: queue.SimpleQueue[Begun] = queue.SimpleQueue()
    approved: queue.SimpleQueue[Begun] = queue.SimpleQueue()

    def finish(connection: Connection) -> None:
        there = connection.send("GET", "/signin/continue", Cookie=approved.get().cookie)
        redeem(connection, there.location, "/token", "/userinfo")

    asked = measure(server, count, lambda connection: waiting.put(begin(connection)), workers)
    approve_all(server.folder)
    while not waiting.empty():
        approved.put(waiting.get())
    return asked, measure(server, count, finish, workers)


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


def complete_sign_in(server: Server, owners: list[Owner]) -> Measured:
    """Browser, phone, code, presentation, client: every request of a sign-in; each owner signs in at one place at a time."""
    free: queue.SimpleQueue[Owner] = queue.SimpleQueue()
    for one in owners:
        free.put(one)

    def flow(connection: Connection) -> None:
        owner = free.get()
        try:
            begun = begin(connection)
            owner.approve(connection, begun)
        finally:
            free.put(owner)
        there = connection.send("GET", "/signin/continue", Cookie=begun.cookie)
        redeem(connection, there.location, "/token", "/userinfo")

    return measure(server, SIGN_INS, flow, len(owners))


def constants(server: Server) -> Measured:
    """Discovery and keys, which FranceConnect fetches at every step."""

    def fetch(connection: Connection) -> None:
        assert connection.send("GET", "/.well-known/openid-configuration").status == 200
        assert connection.send("GET", "/jwks").status == 200

    return measure(server, FLOWS * 4, fetch)


def peer_flow(server: Server, workers: int) -> Measured:
    """The same requests; the redirect through its interaction takes the phone's place."""

    def flow(connection: Connection) -> None:
        asked = connection.send("GET", "/auth?" + urlencode(request(prompt=None)))
        shown = connection.send("GET", asked.location, Cookie="; ".join(asked.cookies))
        resumed = connection.send("GET", shown.location, Cookie="; ".join(asked.cookies))
        redeem(connection, resumed.location, "/token", "/me")

    return measure(server, FLOWS, flow, workers)


def rows() -> list[Row]:
    """Figures of one run."""
    with ours(CROWD, **_UNBOUNDED) as server:
        fresh = server.resident()
        asked, ended = code_flow(server)
        flow = asked.cpu + ended.cpu
        owners = [Owner.of(server, number) for number in range(1, CROWD + 1)]
        whole, crowd = complete_sign_in(server, owners[:WORKERS]), complete_sign_in(server, owners)
        fetch = constants(server)
    note = f"durable; {1000 / flow:.0f}/s a core; page {asked.cpu:.1f}, then {ended.cpu:.1f}"
    found = [
        ("sign-in: code flow alone", flow, "ms CPU", note),
        ("sign-in: complete", whole.cpu, "ms CPU", f"phone, code, presentation, code flow; {whole.rate:.0f}/s here"),
        ("slowest answer of a hundred", crowd.p99, "ms", f"{CROWD} complete sign-ins at once, {crowd.rate:.0f}/s"),
        ("discovery and keys", 2000 / fetch.cpu, "/s a core", "each fetched by FranceConnect at every step"),
        ("worker for sign-ins alone", fresh, "MB", "resident, before the first request"),
    ]
    with peer() as other:
        if other is None:
            return [*found, ("peer: oidc-provider", 0.0, "", "not installed: npm or the network is missing")]
        theirs, crowded = peer_flow(other, WORKERS), peer_flow(other, CROWD)
    note = (
        f"in memory; {1000 / theirs.cpu:.0f}/s a core; {crowded.p99:.0f} ms the slowest of a hundred of {CROWD} at once"
    )
    return [
        *found,
        (f"peer: {PEER}, code flow", theirs.cpu, "ms CPU", note),
        ("code flow, ours to the peer's", flow / theirs.cpu, "x CPU", "at most 1 asked, 0.67 the goal"),
        ("complete sign-in to the peer's code flow", whole.cpu / theirs.cpu, "x CPU", "at most 2 asked"),
    ]


def memory(flows: int) -> Iterator[tuple[int, float]]:
    """(flows so far, megabytes resident) of one worker, twenty times over so many code flows."""
    step = max(1, flows // 20)
    with ours(1, **_UNBOUNDED) as server:
        yield 0, server.resident()
        for done in range(step, flows + 1, step):
            code_flow(server, step)
            yield done, server.resident()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.login")
    parser.add_argument("--flows", type=int, help="watch the memory of a worker over so many code flows")
    asked = parser.parse_args()
    if asked.flows:
        for done, resident in memory(asked.flows):
            print(f"{done:8} flows {resident:8.1f} MB", flush=True)
        return
    for name, value, unit, note in rows():
        print(f"{name:45} {value:10.2f} {unit:10} {note}")


if __name__ == "__main__":
    main()

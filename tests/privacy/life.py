"""A life lived in a demonstration, with everything that anybody could have said to the provider or heard from it.

People enrol, sign in, mistype, refuse, are refused, suspend and delete; strangers send nonsense full of names; the database, the registry and the
line break in the middle. The operator measures, traces, logs at the finest level, backs up and exports. What all of it wrote lies in one folder.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from alicem import jose, keys
from alicem.demo.person import Person
from alicem.demo.personas import Persona, load
from alicem.demo.search import Needle
from alicem.demo.town import Town
from alicem.demo.visitor import VisitFailed, visit
from alicem.phone import manage
from alicem.phone.approve import approve, fetch, refuse
from alicem.phone.code import pin_key
from alicem.phone.enrol import Enrolled, Enrolment, RefusedAt
from alicem.phone.instruct import Device, WrongCode
from alicem.phone.state import Storage, new_phone
from alicem.reasons import Refused
from warm_python import WarmPython

PEOPLE = load()
AGENT = "Zeppelin/7.31 (Quagmire; Ornithopter 9_4)"
"""A browser nobody else has."""
SOURCE, STRANGERS_SOURCE = "127.83.214.97", "127.83.214.98"
"""Addresses nobody else has; all of 127/8 is this machine's."""
STRANGER = "Wolfeschlegelstein"
"""A name in what strangers send."""
LOUD = """
[log]
file = "alicem.log"
level = "debug"
access = true

[metrics]
listen = "127.0.0.1:{metrics}"

[traces]
endpoint = "http://127.0.0.1:{traces}/v1/traces"
sample = 1.0
"""


@dataclass
class Life:
    """`heard`: what may be nowhere, by what it is."""

    town: Town
    folder: Path
    metrics: int
    heard: dict[str, set[bytes]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    databases: tuple[Path, ...] = ()
    """Folders of a database server, where the provider has one. The journal's table is then left alone."""

    @property
    def places(self) -> list[Path]:
        """Everything that the provider and its operator wrote. The master key lies elsewhere."""
        return [self.town.provider_folder, self.folder / "drawn", self.folder / "traces", *self.databases]

    def keep(self, name: str, *values: str | bytes) -> None:
        for value in values:
            content = value.encode() if isinstance(value, str) else value
            if len(content) >= 12:
                self.heard.setdefault(name, set()).add(content)

    def needles(self) -> tuple[Needle, ...]:
        """What was heard, whole and, where it is long, in windows of it."""
        found = []
        for name, values in self.heard.items():
            for value in values:
                found += [Needle(name, value[start : start + 24]) for start in range(0, min(len(value), 4096), 24)]
        return tuple(one for one in dict.fromkeys(found) if len(one.pattern) >= 12)


@contextlib.contextmanager
def collector(folder: Path) -> Iterator[int]:
    """Takes traces by OTLP over HTTP and writes them down as they came."""
    folder.mkdir()

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            content = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
            (folder / secrets.token_hex(8)).write_bytes(content + b"\n" + str(self.headers).encode())
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def loud(town: Town, traces: int, database: str | None) -> int:
    """Make the provider of a town say all it can; the port of its metrics."""
    settings, metrics = town.provider_folder / "alicem.toml", town.base + 10  # the next town is 50 away
    text = settings.read_text().replace('[log]\nfile = "alicem.log"\n', LOUD.format(metrics=metrics, traces=traces))
    if database is not None:
        text = text.replace("sqlite:///alicem.db", database)
    settings.write_text(text)
    return metrics


# --- people ---


def phone_of(life: Life, folder: Path) -> Device:
    async def hear(answer: httpx.Response) -> None:
        await answer.aread()
        _hear(life, answer)

    http = httpx.AsyncClient(
        base_url=life.town.alicem,
        timeout=20,
        headers={"user-agent": AGENT},
        transport=httpx.AsyncHTTPTransport(local_address=SOURCE),
        event_hooks={"response": [hear]},
    )
    kept = new_phone(life.town.alicem, "fr", secrets.token_bytes)
    life.keep("device key", kept.private, kept.secret)
    life.keep("salt", kept.salt)
    return Device(Storage(folder), http, lambda: datetime.now(UTC), secrets.token_bytes, kept)


def _hear(life: Life, answer: httpx.Response) -> None:
    path = answer.request.url.path
    if path == "/credential/token":
        life.keep("pre-authorized code", *parse_qs(answer.request.content.decode())["pre-authorized_code"])
        life.keep("issuing token", answer.json()["access_token"])
    elif path == "/credential/credential" and answer.status_code == 200:
        token = answer.json()["credentials"][0]["credential"]
        head, *disclosures = token.split("~")
        life.keep("credential", head.rpartition(".")[2])
        life.keep("disclosure", *disclosures)
        life.keep("claim", *(jose.unb64(one) for one in disclosures if one))
    elif path.startswith("/signin/response"):
        life.keep(
            "presentation", *(one[-200:] for one in parse_qs(answer.request.content.decode()).get("response", ()))
        )


def person_of(life: Life, persona: Persona, device: Device, wrong: str = "") -> Person:
    def observe(_who: str, message: dict[str, Any]) -> None:
        for name in ("sealed", "proof", "registration", "challenge", "share", "suspension_code"):
            if isinstance(message.get(name), str):
                life.keep(name, message[name].rpartition(".")[2])  # of a token what is its own: the end

    return Person(persona, device, life.town.stage, wrong, observe)


async def enrols(life: Life, persona: Persona, device: Device) -> Enrolled:
    person = person_of(life, persona, device)
    enrolled = await person_enrolment(person).run()
    life.keep("suspension code", enrolled.suspension_code, enrolled.suspension_code.replace("-", ""))
    scalar = pin_key(persona.code, device.phone.salt).private_numbers().private_value
    life.keep("PIN key", scalar.to_bytes(32, "big"))
    life.told.append("enrolled")
    return enrolled


def person_enrolment(person: Person) -> Enrolment:
    return Enrolment(person.device, person.holder(), person._observe)


async def is_refused(life: Life, persona: Persona, folder: Path, reason: str, wrong: str = "") -> None:
    device = phone_of(life, folder)
    try:
        await person_enrolment(person_of(life, persona, device, wrong)).run()
    except RefusedAt as refused:
        assert refused.reason.name == reason
        life.told.append(reason)
    else:
        pytest.fail(f"{persona.name} was not refused")


async def signs_in(life: Life, persona: Persona, device: Device, how: str) -> None:
    """`how`: `rightly`, `wrongly` (a wrong code, then refuses), `declines`."""

    async def hear(answer: httpx.Response) -> None:
        there = urlsplit(answer.headers.get("location", ""))
        life.keep("code of the sign-in", *parse_qs(there.query).get("code", ()))
        for line in answer.headers.get_list("set-cookie"):
            value = line.partition("=")[2].partition(";")[0]
            if str(answer.url).startswith(life.town.alicem):
                life.keep("cookie", value.rpartition(".")[2])

    async def decide(link: str, number: str) -> None:
        request = await fetch(device, link)
        if how == "rightly":
            await approve(device, request, number, persona.code)
            return
        if how == "wrongly":
            with contextlib.suppress(WrongCode):
                await approve(device, request, number, f"{(int(persona.code) + 1) % 1_000_000:06d}")
        await refuse(device, request)

    client = httpx.AsyncClient(
        follow_redirects=False,
        timeout=30,
        headers={"user-agent": AGENT},
        transport=httpx.AsyncHTTPTransport(local_address=SOURCE),
        event_hooks={"response": [hear]},
    )
    try:
        visited = await visit(life.town.service, decide, client=client)
    except VisitFailed as failed:
        life.told.append(f"sign-in {failed.reason}")
    else:
        life.keep("pseudonym", visited.sub)
        life.told.append("signed in")


async def live(life: Life, *, whole: bool) -> None:
    """One after the other, so that a machine of two cores keeps the face's time. Not `whole`: one person enrols, and nothing breaks."""
    folders = life.folder / "phones"
    letizia, camille, minor, mael = (PEOPLE[name] for name in ("letizia", "camille", "leo", "mael"))
    hers = phone_of(life, folders / "letizia")
    enrolled = await enrols(life, letizia, hers)
    await is_refused(life, minor, folders / "leo", "holder_is_minor")
    strangers(life, [letizia])
    messages(life.town, camille.registry.family_name)
    for how in ("rightly", "wrongly", "declines"):
        await signs_in(life, letizia, hers, how)
    if whole:
        await comes_and_goes(life, camille, folders / "camille")
        await is_refused(life, mael, folders / "mael", "chip_is_copy", "chip")
        with broken(life):
            strangers(life, [])
            with contextlib.suppress(httpx.HTTPError, Refused):
                await signs_in(life, letizia, hers, "rightly")
            with contextlib.suppress(httpx.HTTPError, RefusedAt, ConnectionClosed, OSError):
                await person_enrolment(person_of(life, mael, phone_of(life, folders / "again"))).run()
    await signs_in(life, letizia, hers, "rightly")
    await suspends(life, "0123456789ABCDEFGHJK")
    await suspends(life, enrolled.suspension_code)


async def comes_and_goes(life: Life, persona: Persona, folder: Path) -> None:
    device = phone_of(life, folder)
    await enrols(life, persona, device)
    await manage.delete(device, persona.code)


async def suspends(life: Life, typed: str) -> None:
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(local_address=SOURCE)) as http:
        form = {"code": typed}
        headers = {"user-agent": AGENT, "origin": life.town.alicem}
        answer = await http.post(f"{life.town.alicem}/suspend", data=form, headers=headers)
        life.told.append(f"suspension {answer.status_code}")


# --- strangers, and what breaks ---


def data_of(persona: Persona) -> list[str]:
    document, held = persona.document, persona.registry
    return [held.family_name, held.given_names, persona.email, document.number, held.birthdate]


def strangers(life: Life, people: list[Persona]) -> None:
    """Names where no name belongs: in paths, queries, headers, cookies, forms, JSON, tokens and messages."""
    said = [STRANGER, *(one for persona in people for one in data_of(persona))]
    paths = ["/nowhere/{}", "/signin/request/{}", "/authorize?state={0}&login_hint={0}", "/static/{}", "/suspend?{}"]
    posts = ["/token", "/credential/token", "/credential/credential", "/suspend", "/phone/instruction", "/enrolment"]
    posts += ["/signin/response/{}", "/registry/notices", "/phone/challenge", "/userinfo"]
    headers = {"user-agent": AGENT, "authorization": f"Bearer {STRANGER}", "cookie": f"a={STRANGER}"}
    headers |= {"traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01", "tracestate": f"a={STRANGER}"}
    headers |= {"x-request-id": STRANGER, "referer": f"http://{STRANGER}.example/"}
    transport = httpx.HTTPTransport(local_address=STRANGERS_SOURCE)
    with httpx.Client(base_url=life.town.alicem, transport=transport, headers=headers, timeout=30) as http:
        for text in said:
            for path in paths:
                http.get(path.format(quote(text)))
            for path in posts:
                where = path.format(quote(text))
                http.post(where, json={"name": text, text: [text]})
                http.post(where, data={"code": text, "grant_type": text, "client_id": text})
                http.post(where, content=f'{{"name": "{text}"'.encode())
                http.post(where, content=text.encode("utf-16"), headers={"content-type": text.encode()})
    for text in said:
        messages(life.town, text)


def messages(town: Town, text: str) -> None:
    """An enrolment's line, and a name where the protocol wants something else."""
    session = httpx.post(f"{town.alicem}/enrolment", json={}, trust_env=False)
    if session.status_code != 200:
        return
    address = town.alicem.replace("http", "ws", 1) + session.json()["url"]
    tries: list[str] = [json.dumps({"v": 1, "type": text, "id": 1}), text, json.dumps({"v": 1, "type": "mrz", "id": 1, "number": text})]  # fmt: skip
    for one in tries:
        with (
            contextlib.suppress(ConnectionClosed, OSError),
            connect(address, subprotocols=["alicem.enrolment.v1"], proxy=None) as line,  # type: ignore[list-item]
        ):
            line.recv(timeout=10)
            line.send(one)
            line.recv(timeout=10)


@contextlib.contextmanager
def broken(life: Life) -> Iterator[None]:
    """The journal's table is away: whoever writes meets an error of the database with everything in hand."""
    file = life.town.provider_folder / "alicem.db"
    with contextlib.closing(sqlite3.connect(file, timeout=10)) as database:
        database.execute("alter table journal rename to away")
        database.commit()
        try:
            yield
        finally:
            database.execute("alter table away rename to journal")
            database.commit()


# --- the operator ---


def operate(life: Life, warm: WarmPython) -> None:
    """What an operator draws from the provider, beside what it writes by itself."""
    drawn = life.folder / "drawn"
    drawn.mkdir()
    (drawn / "metrics").write_text(httpx.get(f"http://127.0.0.1:{life.metrics}/metrics", trust_env=False).text)
    for path in ("/live", "/ready", "/status/0", "/.well-known/openid-configuration"):
        answer = httpx.get(life.town.alicem + path, trust_env=False)
        (drawn / path.replace("/", "_")).write_text(answer.text + str(answer.headers))
    for words in (
        ("status",),
        ("check",),
        ("keys", "list"),
        ("journal", "verify", "--json"),
        ("journal", "checkpoint", "--out", str(drawn / "checkpoint")),
        ("journal", "export", str(drawn / "export")),
        ("db", "backup", str(drawn / "backup")),
        ("jobs", "run"),
    ):
        settings = life.town.provider_folder / "alicem.toml"
        done = warm.alicem(*words, "--config", str(settings), folder=life.folder)
        (drawn / "-".join(words[:2])).write_text(done.stdout + done.stderr)
        assert done.returncode == 0 or words == ("check",), done.stderr
    (drawn / "keys-in-plain").write_text(json.dumps(opened(life.town)))


def opened(town: Town) -> list[dict[str, str]]:
    """The key file as whoever has the master key reads it."""
    ring = keys.open_ring(town.provider_folder / "keys.bin", base64.b64decode((town.folder / "master.key").read_text()))
    private = [
        key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()).hex()  # type: ignore[union-attr]
        for key in ring.signing_keys
        if hasattr(key.private, "private_bytes")
    ]
    return [{"key": one} for one in (*private, *(key.value.hex() for key in ring.secret_keys))]

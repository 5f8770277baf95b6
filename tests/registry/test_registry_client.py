"""What asks the State's registry, in front of registries of every temper: down, slow, dripping, talkative, wrong, of another name."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from alicem.enrolment.registry_client import DocumentQuery, RegistryClient
from alicem.reasons import Refused
from alicem.settings import Registry, SettingsError

QUERY = DocumentQuery("FRA", "passport", "24AB12345", "880517", "341102")
CIVIL = {
    "family_name": "Lefèvre-Œuvrard",
    "given_names": "Zoë-Anaïs Marie",
    "usage_name": None,
    "gender": "female",
    "birthdate": "1988-05-17",
    "birthplace_cog": "29019",
    "birthcountry_cog": "99100",
}
VALID = {"status": "valid", "civil_status": CIVIL}
PAUSE = 0.01
Talk = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Peer:
    """A server of one temper for each request in turn; the last for all that follow."""

    tempers: list[Talk]
    asked: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            self.asked.append(head + await reader.readexactly(length))
            await self.tempers[min(len(self.asked), len(self.tempers)) - 1](writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    @contextlib.asynccontextmanager
    async def open(self, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=context)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()


def says(body: Any, status: int = 200, head: str = "") -> Talk:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} X\r\n{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        await writer.drain()

    return talk


async def hangs(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def breaks_off(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
    await writer.drain()


async def drips(writer: asyncio.StreamWriter) -> None:
    """A byte now and then: each comes in time, and the whole never."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def pours(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b"a" * 0x1000 + b"\r\n")
        await writer.drain()


@pytest.fixture
def settings(tmp_path: Path) -> Registry:
    token = tmp_path / "token"
    token.write_text("t" * 40)
    return Registry("", token, timeout_seconds=0.3)


def ask(settings: Registry, peer: Peer, deed: Callable[[RegistryClient], Awaitable[Any]] | None = None) -> Any:
    async def run() -> Any:
        async with peer.open() as port:
            client = RegistryClient(replace(settings, url=f"http://127.0.0.1:{port}"), PAUSE)
            try:
                return await (deed(client) if deed else client.check(QUERY))
            finally:
                await client.close()

    return asyncio.run(run())


def test_what_it_asks_and_understands(settings: Registry) -> None:
    peer = Peer([says(VALID)])
    civil = ask(settings, peer)
    assert (civil.family_name, civil.usage_name, str(civil.birthdate)) == ("Lefèvre-Œuvrard", None, "1988-05-17")
    head, _, body = peer.asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/check ") and b"Bearer " + b"t" * 40 in head
    assert json.loads(body) == vars(QUERY)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("lost", "document_reported"),
        ("stolen", "document_reported"),
        ("cancelled", "document_reported"),
        ("deceased", "holder_deceased"),
        ("unknown", "document_unknown"),
        ("in doubt", "registry_unavailable"),
        (None, "registry_unavailable"),
    ],
)
def test_what_the_state_refuses_has_its_name(settings: Registry, status: str | None, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        ask(settings, Peer([says({"status": status, "civil_status": CIVIL})]))
    assert refused.value.reason.name == reason


AWAY = {
    "hangs": hangs,
    "hangs up": hangs_up,
    "breaks off": breaks_off,
    "drips": drips,
    "503": says({}, 503),
    "500": says(b"<html>", 500),
    "429": says({}, 429),
}


@pytest.mark.parametrize("temper", AWAY.values(), ids=AWAY)
def test_who_is_away_is_asked_three_times_and_closes_the_door_in_time(settings: Registry, temper: Talk) -> None:
    peer = Peer([temper])
    begun = asyncio.new_event_loop().time()
    with pytest.raises(Refused) as refused:
        ask(settings, peer)
    assert refused.value.reason.name == "registry_unavailable" and not refused.value.reason.counts_as_try
    assert len(peer.asked) == 3
    assert asyncio.new_event_loop().time() - begun < 3 * settings.timeout_seconds + 1


@pytest.mark.parametrize("temper", AWAY.values(), ids=AWAY)
def test_who_comes_back_is_believed(settings: Registry, temper: Talk) -> None:
    assert ask(settings, Peer([temper, temper, says(VALID)])).given_names == "Zoë-Anaïs Marie"


def test_nobody_there(settings: Registry) -> None:
    client = RegistryClient(replace(settings, url="http://127.0.0.1:9"), PAUSE)
    with pytest.raises(Refused, match="registry_unavailable"):
        asyncio.run(client.check(QUERY))


WRONG = {
    "token refused": says({"error": "token_refused"}, 401),
    "malformed": says({"error": "malformed_request", "member": "kind"}, 400),
    "redirected": says({}, 302, "Location: http://127.0.0.1:9/\r\n"),
    "not JSON": says(b"\xff\xfe"),
    "nested too deep": says(b"[" * 10_000),
    "a list": says([VALID]),
    "pours": pours,
    "too large": says(b" " * 20_000 + json.dumps(VALID).encode()),
    "a number for a name": says({"status": "valid", "civil_status": CIVIL | {"given_names": 7}}),
    "an endless name": says({"status": "valid", "civil_status": CIVIL | {"family_name": "a" * 257}}),
    "no name": says({"status": "valid", "civil_status": CIVIL | {"family_name": ""}}),
    "no civil status": says({"status": "valid", "civil_status": None}),
    "another gender": says({"status": "valid", "civil_status": CIVIL | {"gender": "x"}}),
    "a list for a gender": says({"status": "valid", "civil_status": CIVIL | {"gender": ["female"]}}),
    "no such day": says({"status": "valid", "civil_status": CIVIL | {"birthdate": "1988-02-31"}}),
    "another form of date": says({"status": "valid", "civil_status": CIVIL | {"birthdate": "17/05/1988"}}),
    "a code too long": says({"status": "valid", "civil_status": CIVIL | {"birthcountry_cog": "991000"}}),
}


@pytest.mark.parametrize("temper", WRONG.values(), ids=WRONG)
def test_who_answers_otherwise_than_agreed_is_asked_once(settings: Registry, temper: Talk) -> None:
    peer = Peer([temper])
    with structlog.testing.capture_logs() as told, pytest.raises(Refused, match="registry_unavailable"):
        ask(settings, peer)
    assert len(peer.asked) == 1
    assert told[-1]["log_level"] == "error" and "Lefèvre" not in str(told) and QUERY.number not in str(told)


def test_what_is_logged_of_those_away_names_nobody(settings: Registry) -> None:
    with structlog.testing.capture_logs() as told, pytest.raises(Refused):
        ask(settings, Peer([hangs_up]))
    assert [line["log_level"] for line in told] == ["warning"] * 3
    assert all(line.keys() <= {"event", "log_level", "call", "outcome", "said", "seconds"} for line in told)


def test_a_letter_that_is_asked_again_is_the_same_letter(settings: Registry) -> None:
    peer = Peer([hangs_up, says({}, 503), says({"letter": "accepted"}, 202)])
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    ask(settings, peer, lambda client: client.write_to_holder(QUERY, "r" * 32, at))
    bodies = [json.loads(one.partition(b"\r\n\r\n")[2]) for one in peer.asked]
    assert bodies == [vars(QUERY) | {"reference": "r" * 32, "notice": "enrolled", "at": "2026-11-22T12:00:00Z"}] * 3


def test_a_letter_to_nobody(settings: Registry) -> None:
    with pytest.raises(Refused, match="registry_unavailable"):
        ask(
            settings,
            Peer([says({"error": "holder_unknown"}, 404)]),
            lambda client: client.write_to_holder(QUERY, "r" * 32, datetime.now(UTC)),
        )


@dataclass(frozen=True)
class Authority:
    """Makes certificates in a folder, PEM."""

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def certificate(self, subject: str, key: ec.EllipticCurvePrivateKey, ca: bool) -> Path:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        )
        file = self.folder / f"{self.name} {subject}.pem"
        file.write_bytes(builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM))
        return file

    def itself(self) -> Path:
        return self.certificate(self.name, self.key, ca=True)

    def leaf(self, subject: str) -> tuple[Path, Path]:
        """The certificate's file and its key's."""
        key = ec.generate_private_key(ec.SECP256R1())
        file = self.folder / f"{self.name} {subject}.key"
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return self.certificate(subject, key, ca=False), file


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def over_tls(settings: Registry, state: Authority, callers: Authority) -> Any:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=callers.itself())
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*state.leaf("registry"))

    async def run() -> Any:
        async with Peer([says(VALID)]).open(context) as port:
            client = RegistryClient(replace(settings, url=f"https://127.0.0.1:{port}", timeout_seconds=2), PAUSE)
            try:
                return await client.check(QUERY)
            finally:
                await client.close()

    return asyncio.run(run())


def test_over_tls_each_shows_the_other_who_it_is(settings: Registry, tmp_path: Path) -> None:
    state, callers, stranger = (Authority(tmp_path, name) for name in ("state", "callers", "stranger"))
    certificate, key = callers.leaf("alicem")
    known = replace(settings, authority_file=state.itself(), certificate_file=certificate, certificate_key_file=key)
    assert over_tls(known, state, callers).birthplace_cog == "29019"
    others_certificate, others_key = stranger.leaf("alicem")
    for wrong in (
        replace(known, authority_file=stranger.itself()),
        replace(known, authority_file=None),
        replace(known, certificate_file=None),
        replace(known, certificate_file=others_certificate, certificate_key_file=others_key),
    ):
        with pytest.raises(Refused, match="registry_unavailable"):
            over_tls(wrong, state, callers)


@pytest.mark.parametrize("flaw", ["missing", "nonsense"])
def test_certificates_that_cannot_be_read_are_told_at_start(settings: Registry, tmp_path: Path, flaw: str) -> None:
    file = tmp_path / "pem"
    if flaw == "nonsense":
        file.write_text("nonsense")
    with pytest.raises(SettingsError, match="certificates"):
        RegistryClient(replace(settings, url="https://127.0.0.1:1", certificate_file=file))

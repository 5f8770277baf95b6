"""`alicem check` names what makes a machine unfit, with what to do about it; `alicem status` says how a provider stands."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner, Result

from alicem import cli, keys
from alicem.demo.specimen import SpecimenState
from alicem.keys.file import write as write_ring
from alicem.settings import Settings, load
from alicem.store import Store, upgrade
from free_ports import free_ports
from warm_python import WarmPython

MASTER = b"m" * 32
SOUND = """
[service]
profile = "production"
origin = "https://alicem.example"
listen = "127.0.0.1:0"
roles = ["web", "enrolment", "provider"]
[database]
url = "sqlite:///data/alicem.db"
[keys]
file = "keys.bin"
master_key_file = "master.key"
[trust]
folder = "trust"
[registry]
url = "https://registry.invalid"
token_file = "token"
[mail]
host = "mail.example"
port = 587
sender = "no-reply@alicem.example"
"""


def write(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o600)


def make_keys(folder: Path, days: int = 0, *, authority: bool = False) -> None:
    """A ring made so many days ago; without the key that certified it, which an operator has elsewhere."""
    file, at = folder / "keys.bin", datetime.now(UTC) - timedelta(days=days)
    file.unlink(missing_ok=True)
    ring = keys.create(file, MASTER, now=at, rng=os.urandom, host="localhost")
    if not authority:
        kept = tuple(key for key in ring.signing_keys if key.purpose != "authority")
        write_ring(file, MASTER, replace(ring, signing_keys=kept), os.urandom)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A provider fit for people, as far as a folder can be."""
    write(tmp_path / "alicem.toml", SOUND)
    write(tmp_path / "token", "t" * 32)
    write(tmp_path / "clients.toml", "")
    write(tmp_path / "master.key", base64.b64encode(MASTER).decode())
    (tmp_path / "data").mkdir(mode=0o700)
    make_keys(tmp_path)
    SpecimenState.make(datetime.now(UTC), os.urandom).save_trust(tmp_path / "trust")
    store = Store(f"sqlite:///{tmp_path}/data/alicem.db")
    upgrade(store.engine)
    store.close()
    (tmp_path / "data" / "alicem.db").chmod(0o600)
    return tmp_path


def run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.build(words[0]), [*words, "--config", str(folder / "alicem.toml")])


def check(folder: Path, *words: str) -> tuple[int, dict[str, bool]]:
    """Exit status, and each sentence with whether it is grave."""
    result = run(folder, "check", "--json", *words)
    found = json.loads(result.stdout)
    assert all(one["fix"] for one in found)
    return result.exit_code, {one["text"]: one["grave"] for one in found}


def of_the_folder(found: dict[str, bool]) -> dict[str, bool]:
    """Without what this machine's kernel lacks."""
    return {text: grave for text, grave in found.items() if not text.startswith("session processes lack")}


def test_a_fit_provider(folder: Path) -> None:
    status, found = check(folder, "--offline")
    assert of_the_folder(found) == {}
    assert status == int(any(found.values()))


def _no_keys(folder: Path) -> None:
    (folder / "keys.bin").unlink()


def _another_master_key(folder: Path) -> None:
    write(folder / "master.key", base64.b64encode(b"n" * 32).decode())


def _empty_trust(folder: Path) -> None:
    for file in (folder / "trust").iterdir():
        file.unlink()


def _old_schema(folder: Path) -> None:
    store = Store(f"sqlite:///{folder}/data/alicem.db")
    with store.engine.execution_options(alicem_writes=True).begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '0001'")
    store.close()


def _setting(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        write(folder / "alicem.toml", SOUND.replace(old, new))

    return change


FLAWS: dict[str, tuple[Callable[[Path], None], bool]] = {
    "keys.file:": (_no_keys, True),
    "does not open": (_another_master_key, True),
    "key ended on": (lambda folder: make_keys(folder, 400), True),
    "key ends on": (lambda folder: make_keys(folder, 350), False),
    "the authority's key is in it": (lambda folder: make_keys(folder, authority=True), True),
    "no authority of any State": (_empty_trust, True),
    "trust.folder: cannot be read": (lambda folder: write(folder / "trust" / "index.json", "{"), True),
    "its schema is 0001": (_old_schema, True),
    "is not there": (lambda folder: (folder / "data" / "alicem.db").unlink(), False),
    "is open to others": (lambda folder: (folder / "data").chmod(0o755), True),
    "its file is readable by others": (lambda folder: (folder / "data" / "alicem.db").chmod(0o644), True),
    "service.clients": (lambda folder: write(folder / "clients.toml", "[a]\nname = 1\n"), True),
    "face.networks": (_setting("[mail]", '[face]\nnetworks = "none.toml"\n[mail]'), True),
    ("keys.file: the token" if find_spec("pkcs11") else "keys.token wants requirements/pkcs11.txt"): (
        _setting("[trust]", '[keys.token]\nmodule = "/no/such.so"\nlabel = "alicem"\npin_file = "token"\n[trust]'),
        True,
    ),
    "log.level is debug": (_setting("[mail]", '[log]\nlevel = "debug"\n[mail]'), True),
    "does not answer": (_setting("sqlite:///data/alicem.db", "postgresql+psycopg://alicem@127.0.0.1:1/alicem"), True),
}


@pytest.mark.parametrize(("sentence", "flaw"), FLAWS.items())
def test_each_flaw_is_named(folder: Path, sentence: str, flaw: tuple[Callable[[Path], None], bool]) -> None:
    make, grave = flaw
    make(folder)
    status, found = check(folder, "--offline")
    named = {text: serious for text, serious in found.items() if sentence in text}
    assert named and set(named.values()) == {grave}, found
    if grave:
        assert status == 1


def test_a_person_reads_each_with_what_to_do(folder: Path) -> None:
    _empty_trust(folder)
    result = run(folder, "check", "--offline")
    assert result.exit_code == 1
    assert "trust.folder: no authority of any State is in it\n    `alicem trust import`" in result.stdout


def test_settings_that_cannot_be_read_are_said(folder: Path) -> None:
    write(folder / "alicem.toml", "[service]\ncolour = 1\n")
    assert run(folder, "check").exit_code == 3


@pytest.fixture
def registry() -> Iterator[Callable[..., str]]:
    """A registry whose clock is out by so much; its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(out: timedelta, status: int = 200) -> str:
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), _answering(status, out)))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()


@pytest.mark.parametrize(("minutes", "named"), [(0, False), (10, True), (-10, True)])
def test_a_clock_that_is_out(folder: Path, registry: Callable[[timedelta], str], minutes: int, named: bool) -> None:
    url = registry(timedelta(minutes=minutes))
    write(folder / "alicem.toml", SOUND.replace("https://registry.invalid", url))
    _, found = check(folder)
    assert any("this clock and the registry's differ" in text for text in found) is named


def test_a_proxy_that_answers_for_a_registry_is_no_answer(folder: Path, registry: Callable[..., str]) -> None:
    write(folder / "alicem.toml", SOUND.replace("https://registry.invalid", registry(timedelta(), 502)))
    _, found = check(folder)
    assert any(text.startswith("registry.url: does not answer") for text in found)


def test_a_registry_that_is_away_is_a_word_to_the_wise(folder: Path) -> None:
    _, found = check(folder)
    assert {grave for text, grave in found.items() if text.startswith("registry.url: does not answer")} == {False}


@pytest.mark.parametrize(("tls", "named"), [("none", False), ("starttls", True), ("tls", True)])
def test_a_relay_that_speaks_no_tls(folder: Path, tls: str, named: bool) -> None:
    port = free_ports()
    relay = Controller(Sink(), hostname="127.0.0.1", port=port)
    relay.start()
    try:
        text = SOUND.replace("mail.example", "127.0.0.1").replace("587", str(port))
        write(folder / "alicem.toml", f'{text}tls = "{tls}"\n')
        _, found = check(folder)
    finally:
        relay.stop()
    assert any(text.startswith("mail.host: no letter would leave") for text in found) is named


def test_status(folder: Path) -> None:
    result = run(folder, "status")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    settings: Settings = load(folder / "alicem.toml")
    assert told["worker"] == {"name": "w1", "roles": list(settings.service.roles)}
    assert told["accounts"] == {} and told["keys"] == []
    assert told["journal"] == {"sealed": 0, "unsealed": 0, "unsealed_seconds": 0}
    assert told["schema"].isdecimal()


def _answering(status: int, out: timedelta = timedelta()) -> type[BaseHTTPRequestHandler]:
    """`out`: by how much its clock is."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(datetime.now(UTC) + out, usegmt=True)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    return Answer


@contextmanager
def _own_authority(folder: Path) -> Iterator[tuple[str, Path]]:
    """A registry whose certificate no machine believes by itself: its address, and that certificate."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "State")])
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 1, now - timedelta(hours=1), now + timedelta(days=1)
    )
    itself = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    pem = itself.sign(key, SHA256()).public_bytes(Encoding.PEM)
    (folder / "state.pem").write_bytes(pem)
    (folder / "state.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _answering(200))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "state.pem", folder / "state.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"https://localhost:{server.server_address[1]}", folder / "state.pem"
    finally:
        server.shutdown()


@pytest.mark.parametrize("believed", [True, False])
def test_the_registry_is_asked_under_the_certificates_that_the_settings_name(folder: Path, believed: bool) -> None:
    with _own_authority(folder) as (url, itself):
        named = f'"{url}"\nauthority_file = "{itself.name}"' if believed else f'"{url}"'
        write(folder / "alicem.toml", SOUND.replace('"https://registry.invalid"', named))
        _, found = check(folder)
    assert any(text.startswith("registry.url: does not answer") for text in found) is not believed


def _newer_schema(folder: Path) -> None:
    store = Store(f"sqlite:///{folder}/data/alicem.db")
    with store.engine.execution_options(alicem_writes=True).begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    store.close()


def test_a_newer_program_s_database_is_not_to_be_upgraded(folder: Path) -> None:
    _newer_schema(folder)
    result = run(folder, "check", "--offline")
    assert result.exit_code == 1 and "its schema is 9999, a newer program's\n    install the program" in result.stdout


TAKEN = socket.create_server(("127.0.0.1", 0))
ADDRESS = f"127.0.0.1:{TAKEN.getsockname()[1]}"
UNSTARTABLE: dict[str, Callable[[Path], None]] = {
    "9999": _newer_schema,
    "the database: ": _setting("sqlite:///data/alicem.db", "postgresql+psycopg://alicem@127.0.0.1:1/alicem"),
    "/no/such/folder/alicem.log": _setting("[mail]", '[log]\nfile = "/no/such/folder/alicem.log"\n[mail]'),
    "does not open": _another_master_key,
    f"{ADDRESS}: Address already in use": _setting("127.0.0.1:0", ADDRESS),
    f"{ADDRESS}: Address already": _setting("[mail]", f'[metrics]\nlisten = "{ADDRESS}"\n[mail]'),
    "no.such.invalid:8000: ": _setting("127.0.0.1:0", "no.such.invalid:8000"),
    "a production profile refuses": _setting('host = "mail.example"', 'host = "127.0.0.1"'),
}


@pytest.mark.parametrize(("sentence", "flaw"), UNSTARTABLE.items(), ids=map(str, range(len(UNSTARTABLE))))
def test_a_server_that_cannot_start_says_why_in_a_sentence(
    folder: Path, warm: WarmPython, sentence: str, flaw: Callable[[Path], None]
) -> None:
    flaw(folder)
    ended = warm.alicem("serve", "--config", str(folder / "alicem.toml"), folder=folder)
    assert ended.returncode == 3 and "Traceback" not in ended.stderr
    assert sentence in " ".join(ended.stderr.split())

"""`alicem registry conform`: the simulated registry keeps every promise of its contract; one that breaks a promise is told which."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from registry_and_provider import ALICEM, ZOE, Registry
from typer.testing import CliRunner, Result

from alicem.cli import build

DOCUMENT = f'issuer = "FRA"\nkind = "passport"\nnumber = "{ZOE}"\nbirth_date = "880517"\nexpiry_date = "341102"\n'


def conform(folder: Path, url: str, *more: str) -> Result:
    settings = folder / "caller.toml"
    settings.write_text(ALICEM.format(port=8000, folder=folder).replace("http://127.0.0.1:9", url))
    return CliRunner().invoke(build("registry"), ["registry", "conform", "--config", str(settings), *more])


@contextmanager
def spoiled(url: str, path: str, word: bytes, by: bytes) -> Iterator[str]:
    """The registry at `url`, but for one word of its answers to `path`."""

    class Between(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            given = {"authorization": self.headers["authorization"]} if "authorization" in self.headers else {}
            answer = httpx.request(self.command, url + self.path, content=body, headers=given, trust_env=False)
            content = answer.content.replace(word, by) if self.path == path else answer.content
            self.send_response(answer.status_code)
            if "www-authenticate" in answer.headers:
                self.send_header("WWW-Authenticate", answer.headers["www-authenticate"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self.headers["content-length"] = "0"
            self.do_POST()

        def log_message(self, *_words: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Between)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def document(tmp_path: Path) -> str:
    file = tmp_path / "document.toml"
    file.write_text(DOCUMENT)
    return str(file)


def test_the_simulated_registry_keeps_its_contract(registry: Registry, document: str) -> None:
    registry.start()
    told = conform(registry.folder, f"http://127.0.0.1:{registry.listen}", "--document", document)
    assert told.exit_code == 0, told.output
    assert told.output.count("kept  ") == len(told.output.splitlines()) == 15
    assert ZOE not in told.output


@pytest.mark.parametrize(
    ("path", "word", "by", "broken"),
    [
        ("/v1/check", b"token_refused", b"go_away", {"refuses a caller without a token", "refuses a caller with another token"}),
        ("/v1/check", b'"member":"number"', b'"member":"kind"', {"names the member that is missing"}),
        ("/v1/check", b'"civil_status":null', b'"civil_status":{}', {"knows no document of a number that does not exist"}),
        ("/v1/check", b'"female"', b'"woman"', {"says valid, with the civil status", "says the same again"}),
        ("/v1/letters", b"holder_unknown", b"unknown", {"writes to nobody"}),
    ],
)  # fmt: skip
def test_a_broken_promise_is_named(
    registry: Registry, document: str, path: str, word: bytes, by: bytes, broken: set[str]
) -> None:
    registry.start()
    with spoiled(f"http://127.0.0.1:{registry.listen}", path, word, by) as url:
        told = conform(registry.folder, url, "--document", document, "--json")
    assert told.exit_code == 1
    found = {one["name"] for one in json.loads(told.output) if not one["kept"]}
    assert broken <= found and len(found) <= len(broken) + 2


def test_nobody_there_breaks_every_promise(registry: Registry) -> None:
    told = conform(registry.folder, "http://127.0.0.1:9")
    assert told.exit_code == 1 and told.output.count("BROKEN") == len(told.output.splitlines()) == 11

"""Two workers on one PostgreSQL behind the reverse proxy of `deploy/`: one enrols and goes, the other signs in who the first enrolled."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

import postgres
from alicem.demo import headless, personas
from alicem.demo.headless import Report
from alicem.demo.town import Town, found
from free_ports import free_ports
from running_town import in_background
from warm_python import WarmPython
from wire import SUBPROTOCOL

NGINX = Path(__file__).parents[2] / "deploy" / "nginx.conf"
WORKERS = ("w1", "w2")


@dataclass(frozen=True)
class Pair(Town):
    """A demonstration whose provider is two processes; what it is in `alicem` is the address of the proxy."""

    ports: tuple[int, int] = (0, 0)

    @property
    def parts(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        others = tuple(part for part in super().parts if part[0] != "alicem")
        return (*others, *((name, self.worker(name), self._command(name)) for name in WORKERS))

    def worker(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[WORKERS.index(name)]}"

    def _command(self, name: str) -> tuple[str, ...]:
        return ("-m", "alicem", "serve", "--config", f"{self.provider_folder}/{name}.toml")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, cluster: postgres.Cluster) -> Iterator[Pair]:
    if shutil.which("nginx") is None:
        pytest.skip("nginx is missing; please type:  sudo apt-get install nginx-light")
    pair = Pair(tmp_path_factory.mktemp("pair"), free_ports(), ports=(_port(), _port()))
    found(pair, tuple(personas.load().values()))
    text = (pair.provider_folder / "alicem.toml").read_text()
    url = cluster.url(cluster.create())
    for name, port in zip(WORKERS, pair.ports, strict=True):
        (pair.folder / name).mkdir()
        own = text.replace(f'listen = "127.0.0.1:{pair.base}"', f'listen = "127.0.0.1:{port}"\nworker = "{name}"')
        own = own.replace("[database]", 'trusted_proxies = ["127.0.0.1"]\n[database]')
        own = own.replace("sqlite:///alicem.db", url).replace("alicem.log", f"{name}.log")
        (pair.provider_folder / f"{name}.toml").write_text(own)
    with _proxy(pair), in_background(pair):
        yield pair


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _proxy(pair: Pair) -> Iterator[None]:
    """The file an operator installs, with the addresses of this test and without TLS: the phone of the tests knows no certificate of ours."""
    text = NGINX.read_text()
    plain = text[: text.index("server {")] + text[text.index("server {", text.index("server {") + 1) :]
    plain = re.sub(r"\n    (ssl_|listen \[::\]|listen 443).*", "", plain).replace(
        "server_name alicem.example;", f"server_name localhost;\n    listen 127.0.0.1:{pair.base};"
    )
    plain = plain.replace("/var/log/nginx", str(pair.folder))
    for name, port in zip(("8001", "8002"), pair.ports, strict=True):
        plain = plain.replace(f"127.0.0.1:{name}", f"127.0.0.1:{port}")
    temporary = "".join(f"{kind}_temp_path {pair.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
    file = pair.folder / "nginx.conf"
    file.write_text(f"daemon off;\npid {pair.folder}/pid;\nevents {{}}\nhttp {{\n{temporary}{plain}\n}}\n")
    server = subprocess.Popen(["nginx", "-c", str(file), "-e", f"{pair.folder}/nginx.error"])
    try:
        yield
    finally:
        server.terminate()
        server.wait(10)


def way_in(pair: Pair, who: str) -> Report:
    return asyncio.run(headless.way_in(pair, personas.load()[who], "", lambda *_: None, pair.folder / f"phone-{who}"))


def sign_in_again(pair: Pair, who: str) -> Report:
    """With the phone that was enrolled before."""

    async def run() -> Report:
        report, persona = Report(), personas.load()[who]
        clock = headless.Clock(report, lambda *_: None)
        async with headless.phone_of(pair, persona, "", clock, pair.folder / f"phone-{who}") as phone:
            await headless._sign_in(pair.service, phone, report)
        return report

    return asyncio.run(run())


def log(pair: Pair, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (pair.provider_folder / f"{name}.log").read_text().splitlines()]


def enrolled(pair: Pair, name: str) -> int:
    return sum(line["event"] == "enrolment ended" and line["outcome"] == "done" for line in log(pair, name))


def test_enrolments_and_sign_ins_through_the_proxy_while_workers_come_and_go(pair: Pair, warm: WarmPython) -> None:
    first = way_in(pair, "zoe")
    assert first.service is not None, first
    (holder,) = [name for name in WORKERS if enrolled(pair, name)]
    (other,) = {*WORKERS} - {holder}
    assert httpx.get(f"{pair.alicem}/ready", trust_env=False).status_code == 404
    assert {httpx.get(f"{pair.worker(name)}/ready", trust_env=False).status_code for name in WORKERS} == {200}

    command = subprocess.run(["pgrep", "-f", f"{holder}.toml"], capture_output=True, text=True, check=True)
    os.kill(int(command.stdout.split()[0]), signal.SIGTERM)
    until = time.monotonic() + 15
    with contextlib.suppress(httpx.HTTPError):
        while time.monotonic() < until:
            httpx.get(f"{pair.worker(holder)}/live", trust_env=False)
            time.sleep(0.1)
    second = way_in(pair, "camille")
    assert second.service is not None, second
    again = sign_in_again(pair, "zoe")
    assert again.service == first.service, again
    assert (enrolled(pair, holder), enrolled(pair, other)) == (1, 1)

    config = ("--config", f"{pair.provider_folder}/w2.toml")
    verified = warm.alicem("journal", "verify", "--json", *config, folder=pair.folder)
    assert verified.returncode == 0, verified.stderr
    status = json.loads(warm.alicem("status", *config, folder=pair.folder).stdout)
    assert status["accounts"] == {"active": 2} and status["worker"]["name"] == "w2"


def test_an_enrolment_comes_back_to_its_worker(pair: Pair) -> None:
    answers = [httpx.post(f"{pair.alicem}/enrolment", json={}, trust_env=False) for _ in range(4)]
    for answer in answers:
        name = answer.json()["url"].split("/")[2]
        assert answer.cookies["worker"] == name
        address = f"{pair.alicem}/enrolment/{name}/{answer.json()['session']}"
        upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "eA" * 11 + "==", "sec-websocket-protocol": SUBPROTOCOL}  # fmt: skip
        with httpx.stream("GET", address, headers=upgrade, trust_env=False) as opened:
            assert opened.status_code == 101


def test_the_address_that_limits_count_is_the_proxys_word_alone(pair: Pair) -> None:
    """The proxy says who asks; what the other side claims is not handed on. However many workers answer, they count together."""
    claimed = {"X-Forwarded-For": "198.51.100.7"}
    name = next(name for name in WORKERS if _lives(pair, name))
    for _ in range(10):
        httpx.post(f"{pair.alicem}/suspend", data={"code": "x"}, headers=claimed, trust_env=False)
    assert httpx.post(f"{pair.alicem}/suspend", data={"code": "x"}, trust_env=False).status_code == 429
    straight = httpx.post(f"{pair.worker(name)}/suspend", data={"code": "x"}, headers=claimed, trust_env=False)
    assert straight.status_code == 404  # from the proxy's address, it is believed


def _lives(pair: Pair, name: str) -> bool:
    try:
        return httpx.get(f"{pair.worker(name)}/live", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False

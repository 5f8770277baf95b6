"""A worker answers what its roles say, needs no networks where nobody enrols, and believes of an address what its settings name."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from alicem import keys
from alicem.settings import Service
from alicem.web.server import config_of
from free_ports import free_ports

SETTINGS = """
[service]
profile = "development"
origin = "http://localhost:{port}"
listen = "127.0.0.1:{port}"
roles = {roles}
trusted_proxies = {proxies}
[database]
url = "sqlite:///alicem.db"
[keys]
file = "keys.bin"
[trust]
folder = "trust"
[registry]
url = "http://127.0.0.1:9"
token_file = "token"
[mail]
host = "127.0.0.1"
port = 9
sender = "a@b.example"
[limits]
suspensions_per_hour_and_address = 1
"""
MASTER = b"m" * 32
HEAVY = ("cv2", "onnxruntime")
ADDRESSES = {"web": "/help", "provider": "/.well-known/openid-configuration", "enrolment": "/enrolment"}
"""One address of each role; that of enrolments takes POST alone."""


@contextmanager
def serving(folder: Path, roles: list[str], proxies: list[str] | None = None) -> Iterator[tuple[str, int]]:
    """Address and process of a server on a machine without networks."""
    port = free_ports()
    (folder / "alicem.toml").write_text(SETTINGS.format(port=port, roles=roles, proxies=proxies or []))
    (folder / "token").write_text("t")
    (folder / "clients.toml").write_text("")
    keys.create(folder / "keys.bin", MASTER, now=datetime.now(UTC), rng=os.urandom, host="localhost")
    environment = {
        **os.environ,
        "ALICEM_MASTER_KEY": base64.b64encode(MASTER).decode(),
        "ALICEM_CACHE": str(folder / "no networks"),
    }
    command = [sys.executable, "-m", "alicem", "serve", "--config", str(folder / "alicem.toml")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stderr=log)
    address, until = f"http://127.0.0.1:{port}", time.monotonic() + 30
    try:
        while time.monotonic() < until and server.poll() is None:
            try:
                httpx.get(f"{address}/live", trust_env=False)
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield address, server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(15)


@pytest.mark.parametrize("roles", [["web"], ["provider"], ["web", "provider"]], ids=" and ".join)
def test_a_worker_answers_what_its_roles_say(tmp_path: Path, roles: list[str]) -> None:
    with serving(tmp_path, roles) as (address, _):
        ready = httpx.get(f"{address}/ready", trust_env=False)
        assert (ready.status_code, ready.json()["roles"]) == (200, dict.fromkeys(roles, True))
        for role, path in ADDRESSES.items():
            status = httpx.get(address + path, trust_env=False).status_code
            assert (status == 200) is (role in roles) and (role in roles or status == 404), role


@pytest.mark.parametrize("roles", [["provider"], ["web", "provider"]], ids=" and ".join)
def test_a_worker_without_enrolments_is_small(tmp_path: Path, roles: list[str]) -> None:
    """What it weighs once it serves, and that neither the networks' runtime nor the library of pictures is mapped into it."""
    with serving(tmp_path, roles) as (address, process):
        assert httpx.get(f"{address}/ready", trust_env=False).status_code == 200
        of_process = Path(f"/proc/{process}")
        if not of_process.exists():
            pytest.skip("no /proc here")
        resident = int((of_process / "status").read_text().split("VmRSS:")[1].split()[0]) / 1024
        mapped = (of_process / "maps").read_text()
    assert "sqlalchemy" in mapped
    assert [library for library in HEAVY if f"/{library}" in mapped] == []
    assert resident < 150, f"{resident:.0f} MB"


def test_the_list_of_commands_loads_none_of_them() -> None:
    said = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "alicem", "--help"], capture_output=True, text=True, check=True
    )
    assert "serve" in said.stdout
    assert "alicem.cli" in said.stderr
    assert [
        name for name in (*HEAVY, "alicem.app", "sqlalchemy") if f"| {name}\n" in said.stderr.replace("  ", "")
    ] == []


def test_networks_are_wanted_where_people_enrol(tmp_path: Path) -> None:
    with serving(tmp_path, ["enrolment"]) as (address, _), pytest.raises(httpx.HTTPError):
        httpx.get(f"{address}/live", trust_env=False)
    assert "alicem face models build" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(("proxies", "believed"), [([], False), (["127.0.0.0/8"], True), (["10.0.0.0/8"], False)])
def test_whose_word_an_address_is(tmp_path: Path, proxies: list[str], believed: bool) -> None:
    """Two suspensions by two addresses, if the header is believed; else by one, which has used its one try."""
    with serving(tmp_path, ["web"], proxies) as (address, _):
        statuses = [
            httpx.post(
                f"{address}/suspend", data={"code": "x"}, headers={"X-Forwarded-For": who}, trust_env=False
            ).status_code
            for who in ("198.51.100.7", "198.51.100.8")
        ]
    assert statuses == ([404, 404] if believed else [404, 429])


def test_nobody_is_believed_unless_named() -> None:
    config = config_of(Starlette(), Service("production", "https://alicem.example"))
    assert not config.proxy_headers and config.forwarded_allow_ips == []

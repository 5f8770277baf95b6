"""The two servers of bench/login, each pinned to one core: `alicem serve` with people enrolled, and npm oidc-provider."""

from __future__ import annotations

import base64
import contextlib
import os
import platform
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "provider"))

from provider_world import CALLBACK, SECRET, World, enrol, make_world  # noqa: E402

from alicem.store import Store, upgrade  # noqa: E402
from bench.login_load import LOAD_CORES, SERVER_CORE, Server  # noqa: E402

PEER = "oidc-provider@9.13.3"
_NODE = f"node-linux-{'arm64' if platform.machine() == 'aarch64' else 'x64'}"
_RUNTIME = f"{_NODE}@22.23.3"
"""The version the peer is made for."""
_SETTINGS = """
[service]
profile = "development"
origin = "{origin}"
listen = "{listen}"
roles = ["provider"]
[database]
url = "sqlite:///alicem.db"
[keys]
file = "keys.bin"
master_key_file = "master.key"
levels = {{ software = "substantial" }}
[trust]
folder = "trust"
specimen = true
[registry]
url = "http://127.0.0.1:9"
token_file = "secret"
[mail]
host = "127.0.0.1"
port = 9
sender = "alicem@example.org"
tls = "none"
[log]
file = "alicem.log"
[sign_in]
chip = false
{limits}
"""


@contextmanager
def ours(people: int, **limits: int) -> Iterator[Server]:
    """`alicem serve` as an operator runs it for sign-ins, with so many people enrolled: their phones are `folder/phoneN`."""
    with tempfile.TemporaryDirectory(prefix="alicem-bench-") as name:
        folder = Path(name)
        world = _enrolled(folder, people)
        listen = f"127.0.0.1:{world.origin.rpartition(':')[2]}"
        told = "\n".join(["[limits]", *(f"{limit} = {number}" for limit, number in limits.items())])
        (folder / "alicem.toml").write_text(_SETTINGS.format(origin=world.origin, listen=listen, limits=told))
        command = [sys.executable, "-m", "alicem", "serve", "--config", str(folder / "alicem.toml")]
        with _running(command, listen) as pid:
            yield Server(f"http://{listen}", pid, folder)


def _enrolled(folder: Path, people: int) -> World:
    master = secrets.token_bytes(32)
    (folder / "trust").mkdir()
    (folder / "master.key").write_text(base64.b64encode(master).decode())
    (folder / "master.key").chmod(0o600)
    store = Store(f"sqlite:///{folder / 'alicem.db'}")
    upgrade(store.engine)
    store.close()
    world = make_world(folder, master=master)
    for _ in range(people):
        enrol(world)
    world.close()
    return world


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
            listen = f"127.0.0.1:{listener.getsockname()[1]}"
        shutil.copy(ROOT / "bench" / "login_peer.mjs", folder)
        node = folder / "node_modules" / _NODE / "bin" / "node"
        command = [str(node), str(folder / "login_peer.mjs"), listen.rpartition(":")[2], SECRET, CALLBACK]
        with _running(command, listen) as pid:
            yield Server(f"http://{listen}", pid, folder)


def _installed(folder: Path) -> bool:
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    try:
        done = subprocess.run(
            ["npm", "install", *options, PEER, _RUNTIME], cwd=folder, capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@contextmanager
def _running(command: list[str], listen: str) -> Iterator[int]:
    """Its process number, once it listens. It has one core for itself, and the load the others."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, SERVER_CORE)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        os.sched_setaffinity(0, LOAD_CORES)
        try:
            _wait(listen, process)
            yield process.pid
        finally:
            os.sched_setaffinity(0, before)
            process.terminate()


def _wait(listen: str, process: subprocess.Popen[bytes]) -> None:
    host, _, port = listen.rpartition(":")
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection((host, int(port))):
            return
        time.sleep(0.05)
    raise RuntimeError("the server did not start")

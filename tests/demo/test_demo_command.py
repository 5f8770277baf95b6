"""`alicem demo` as typed: what it prints, what it says when it cannot, and that nothing is left when it ends."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from free_ports import free_ports

ALICEM = [sys.executable, "-m", "alicem"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ALICEM, *arguments], capture_output=True, text=True, timeout=120, check=False, env=os.environ | environment
    )


def test_a_port_in_use_is_named_with_a_way_round(tmp_path: Path) -> None:
    base = free_ports()
    with contextlib.closing(socket.socket()) as other:
        other.bind(("127.0.0.1", base + 2))
        other.listen()
        done = run("demo", "--headless", "--port", str(base))
    assert done.returncode == 3
    assert f"port {base + 2} is used by another program" in " ".join(done.stderr.split())
    assert f"--port {base + 1000}" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--persona", "nobody"), "no such persona"),
        (("--wrong", "shoe"), "--wrong is one of"),
        (("--service", "shoe"), "--service is one of"),
        (("--provider-only",), "it needs them all"),
        (("--port", "80"), ""),
    ],
)
def test_usage_is_exit_status_two(arguments: tuple[str, ...], said: str) -> None:
    done = run("demo", "--headless", *arguments)
    assert done.returncode == 2 and said in done.stderr


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    done = run("demo", "--headless", "--folder", str(tmp_path))
    assert "name another folder, or remove this one" in " ".join(done.stderr.split())
    assert done.returncode == 2 and [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_no_network_is_said_with_what_failed_and_how_to_try_again(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9/"
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere)
    done = run(
        "demo",
        "--headless",
        ALICEM_CACHE=str(tmp_path),
        npm_config_registry=nowhere,
        npm_config_fetch_retries="0",
        PIP_INDEX_URL=nowhere,
        **proxies,
    )
    said = " ".join(done.stderr.split())
    assert done.returncode == 3
    assert "@vladmandic/human" in said and "alicem face models build" in said


def test_one_address_is_printed_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    base = free_ports()
    environment = os.environ | {"TMPDIR": str(tmp_path), "SSH_CONNECTION": "192.0.2.1 50000 192.0.2.7 22"}
    with subprocess.Popen(
        [*ALICEM, "demo", "--port", str(base)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as demo:
        address = f"http://127.0.0.1:{base + 3}/"
        for _ in range(300):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(address, trust_env=False).status_code == 200:
                    break
            time.sleep(0.1)
        time.sleep(1)  # the address is printed when every process answers
        demo.send_signal(signal.SIGINT)
        _, said = demo.communicate(timeout=30)
    assert demo.returncode == 0
    assert said.count("Open  http://") == 1 and address in said and "ends it and erases it" in said
    assert f"ssh -L {base}:127.0.0.1:{base} " in said and said.count("192.0.2.7") == 1
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(address, trust_env=False)


def test_the_report_is_json_on_standard_output_and_a_refusal_is_exit_status_one() -> None:
    done = run("demo", "--headless", "--json", "--persona", "leo", "--port", str(free_ports()))
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert (report["ok"], report["refused_because"], report["service"]) == (False, "holder_is_minor", None)
    assert set(report) == {"ok", "refused_because", "steps", "chip", "face", "receipt", "service", "store"}
    assert [step["name"] for step in report["steps"]] == ["choose", "contact", "document", "chip"]
    assert report["chip"]["round_trips"] == 3 and report["face"] == {}
    assert report["store"]["identity_found"] == []
    assert report["store"]["rows"]["accounts"] == []
    assert [row["event"] for row in report["store"]["rows"]["journal"]] == ["enrolment_refused"]


def test_a_developer_gets_the_provider_alone(tmp_path: Path) -> None:
    base = free_ports()
    with subprocess.Popen(
        [*ALICEM, "demo", "--provider-only", "--port", str(base), "--folder", str(tmp_path / "demo")],
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stderr is not None
        said = ""
        for line in demo.stderr:
            said += line
            if "docs/integrate.md" in line:
                break
        issuer = f"http://localhost:{base}"
        found = httpx.get(f"{issuer}/.well-known/openid-configuration", trust_env=False).json()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{base + 1}/live", trust_env=False)
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=30)
    assert demo.returncode == 0 and found["issuer"] == issuer
    assert f"{tmp_path}/demo/alicem/clients.toml" in "".join(said.split("\n"))

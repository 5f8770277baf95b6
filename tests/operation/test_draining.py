"""Told to end, a worker takes no new enrolment, lets those under way come to their end, and says so at `/ready`; its proxy brings each back to it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from alicem.demo import personas
from alicem.demo.town import Town, found
from free_ports import free_ports
from running_town import ENROLMENT_ALONE, in_background
from wire import Wire


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """One whose provider is told to end."""
    town = Town(tmp_path, free_ports(), ENROLMENT_ALONE)
    _founded(town, drain_seconds=60)
    with in_background(town):
        yield town


def _founded(town: Town, drain_seconds: int) -> None:
    """As it was founded, but that enrolments under way are waited for."""
    found(town, (personas.load()["zoe"],))
    file = town.provider_folder / "alicem.toml"
    text = file.read_text()
    assert text.count("drain_seconds = 0") == 1
    file.write_text(text.replace("drain_seconds = 0", f"drain_seconds = {drain_seconds}"))


def provider_of(town: Town) -> int:
    """The process that serves."""
    config = f"{town.provider_folder}/alicem.toml"
    found = subprocess.run(
        ["pgrep", "-f", f"alicem serve --config {config}"], capture_output=True, text=True, check=True
    )
    return int(found.stdout.split()[0])


def ended(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{process}/stat") as stat:  # noqa: PTH123 - not reaped yet, by the test's own process
        return stat.read().rpartition(")")[2].split()[0] == "Z"


def until_ended(process: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not ended(process):
        time.sleep(0.1)
    return ended(process)


def test_an_enrolment_under_way_goes_on_and_no_other_begins(town: Town) -> None:
    wire, process = Wire(town), provider_of(town)
    cookie = wire.http.cookies.jar
    assert [(one.name, one.value, one.path) for one in cookie] == [("worker", "w1", "/credential")]
    assert wire.session["url"].startswith("/enrolment/w1/")
    with wire.connected():
        wire.choose()
        os.kill(process, signal.SIGTERM)
        time.sleep(1.2)
        ready = httpx.get(f"{town.alicem}/ready", trust_env=False)
        assert ready.status_code == 503 and ready.json()["checks"]["accepting"] is False
        assert ready.json()["roles"] == {"web": False, "enrolment": False, "provider": False}
        other = httpx.post(f"{town.alicem}/enrolment", json={}, trust_env=False)
        assert (other.status_code, other.json()["reason"]) == (503, "busy")
        assert httpx.get(f"{town.alicem}/live", trust_env=False).status_code == 200
        wire.contact("zoe@courriel.example")  # it goes on to its third step
        assert not ended(process)
        wire.say("cancel")
        assert wire.closed() == 4403
    assert until_ended(process, 10)


def test_a_worker_with_nothing_under_way_ends_at_once_and_a_second_signal_does_not_wait(town: Town) -> None:
    wire, process = Wire(town), provider_of(town)
    with wire.connected():
        wire.choose()
        os.kill(process, signal.SIGTERM)
        time.sleep(0.5)
        assert not ended(process)
        os.kill(process, signal.SIGTERM)
        assert until_ended(process, 10)


def test_what_never_ends_is_waited_for_as_long_as_the_settings_say(tmp_path: Path) -> None:
    town = Town(tmp_path, free_ports(), ENROLMENT_ALONE)
    _founded(town, drain_seconds=2)
    with in_background(town):
        wire, process = Wire(town), provider_of(town)
        with wire.connected():
            wire.choose()
            os.kill(process, signal.SIGTERM)
            time.sleep(1)
            assert not ended(process)
            assert until_ended(process, 10)

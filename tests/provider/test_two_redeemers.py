"""One code, two processes on one database, many at once: one winner, and the token it got is dead since the others replayed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from provider_world import CALLBACK, SECRET, Browser, World, enrol, sign_in, userinfo
from second_worker import MASTER

from alicem.keys.file import write

WORKER = Path(__file__).parent / "second_worker.py"


@pytest.fixture
def second(own_world: World) -> Iterator[str]:
    """The origin of another process beside the world's."""
    write(own_world.folder / "ring", MASTER, own_world.ring, os.urandom)  # type: ignore[arg-type]
    database = own_world.settings.database.url
    process = subprocess.Popen(
        [sys.executable, str(WORKER), str(own_world.folder), database, own_world.origin],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    process.terminate()
    process.wait(10)
    process.stdout.close()


def test_of_many_redemptions_in_two_processes_one_wins(own_world: World, second: str) -> None:
    person = enrol(own_world)
    for _ in range(3):
        code = sign_in(person, Browser(own_world))["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        form |= {"client_id": "fc-plus", "client_secret": SECRET}
        with ThreadPoolExecutor(12) as pool:
            origins = [own_world.origin, second] * 6
            answers = list(
                pool.map(lambda origin, form=form: httpx.post(f"{origin}/token", data=form, timeout=30), origins)
            )
        winners = [one for one in answers if one.status_code == 200]
        assert len(winners) == 1
        assert all(one.json()["error"] == "invalid_grant" for one in answers if one not in winners)
        assert userinfo(own_world, winners[0].json()["access_token"]).status_code == 401


def test_a_replay_at_another_process_kills_the_token_and_its_answer(own_world: World, second: str) -> None:
    code = sign_in(enrol(own_world), Browser(own_world))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    secret = {"client_id": "fc-plus", "client_secret": SECRET}
    token = httpx.post(f"{own_world.origin}/token", data={**form, **secret}).json()["access_token"]
    assert httpx.post(f"{second}/token", data={**form, **secret}).json()["error"] == "invalid_grant"
    for origin in (own_world.origin, second):
        answer = httpx.get(f"{origin}/userinfo", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401

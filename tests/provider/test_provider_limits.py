"""How often an address, a client and an account may ask, with two workers behind one name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from provider_world import (
    Browser,
    Person,
    World,
    approve,
    enrol,
    fresh_device,
    make_app,
    make_world,
    redeem,
    request,
    serve,
    values,
)

from alicem import jose
from alicem.reasons import Refused
from alicem.store import Store
from alicem.web.server import listening_at

Make = Callable[..., World]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Make]:
    """A world whose clock stands still, so that nothing ends by itself."""
    worlds = []

    def make(**limits: int) -> World:
        worlds.append(make_world(tmp_path / "w", **limits))
        worlds[-1].clock.hold()
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@contextmanager
def second_worker(world: World) -> Iterator[str]:
    """Where another process of the same provider would answer: a store of its own, the same database and keys."""
    store = Store(world.settings.database.url)
    (listener,) = listening_at("127.0.0.1:0")
    server, thread = serve(make_app(world.settings, store, world.ring, world.clock), listener)
    yield f"http://localhost:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    store.close()


def error_of(answer: httpx.Response) -> str | None:
    return values(answer.headers["location"]).get("error") if answer.status_code == 303 else None


def begin(origin: str, **changes: str | None) -> httpx.Response:
    return httpx.get(f"{origin}/authorize", params=request(**changes), trust_env=False)


def test_an_address_has_one_count_at_all_workers(made: Make) -> None:
    world = made(sign_ins_per_minute_and_address=4)
    with second_worker(world) as other:
        answers = [begin(origin) for origin in (world.origin, other) * 4]
        assert [error_of(one) for one in answers] == [None] * 4 + ["temporarily_unavailable"] * 4
        back = values(answers[-1].headers["location"])
        assert len(back["state"]) == 64 and back["iss"] == world.origin
        world.clock.advance(61)
        assert begin(other).status_code == 200


def test_a_client_has_one_count_and_takes_nothing_from_another(made: Make) -> None:
    world = made(sign_ins_per_minute_and_client=3)
    with second_worker(world) as other:
        answers = [error_of(begin(origin)) for origin in (world.origin, other) * 3]
        assert answers == [None] * 3 + ["temporarily_unavailable"] * 3
        assert begin(other, client_id="fc").status_code == 200


@pytest.mark.parametrize("path", ["/phone/challenge", "/phone/instruction", "/suspend"])
def test_phones_are_told_when_to_come_back(made: Make, path: str) -> None:
    world = made(instructions_per_minute_and_address=2, suspensions_per_hour_and_address=2)
    with second_worker(world) as other:
        answers = [httpx.post(f"{origin}{path}", trust_env=False) for origin in (world.origin, other) * 2]
    assert [one.status_code == 429 for one in answers] == [False, False, True, True]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= (3600 if path == "/suspend" else 60)


@pytest.mark.parametrize(("method", "path"), [("GET", "/signin/request/none.0.none"), ("POST", "/signin/response")])
def test_so_are_they_at_a_sign_in(made: Make, method: str, path: str) -> None:
    world = made(instructions_per_minute_and_address=2)
    with second_worker(world) as other:
        origins = (world.origin, other) * 2
        answers = [httpx.request(method, f"{origin}{path}", trust_env=False) for origin in origins]
    assert [one.status_code == 429 for one in answers] == [False, False, True, True]
    assert answers[-1].json() == {"outcome": "rate_limited"} and 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_a_client_whose_secrets_fail_is_not_listened_to_any_more(made: Make) -> None:
    world = made(token_failures_per_minute_and_client=3)
    code = jose.b64(bytes(32))
    wrong = [redeem(world, code, client_secret="x" * 40) for _ in range(4)]
    assert [one.status_code for one in wrong] == [401] * 4
    late = redeem(world, code)
    assert (late.status_code, late.json()["error"]) == (429, "temporarily_unavailable")
    assert 1 <= int(late.headers["retry-after"]) <= 60
    assert redeem(world, code, client_id="fc").json()["error"] == "invalid_grant"  # another client, the same address
    world.clock.advance(61)
    assert redeem(world, code).json()["error"] == "invalid_grant"


def test_a_client_that_is_right_is_never_counted(made: Make) -> None:
    world = made(token_failures_per_minute_and_client=1)
    codes = [redeem(world, jose.b64(bytes(32))).json()["error"] for _ in range(5)]
    assert codes == ["invalid_grant"] * 5


def test_an_account_approves_so_often_and_its_neighbour_as_well(made: Make) -> None:
    world = made(approvals_per_hour_and_account=3)
    angela, other = enrol(world), enrol(world)
    assert [outcome(angela) for _ in range(4)] == ["done"] * 3 + ["too_many_approvals"]
    assert outcome(other) == "done"
    world.clock.advance(3601)
    assert outcome(angela) == "done"


def test_the_browser_of_one_approval_too_many_goes_back(made: Make) -> None:
    world = made(approvals_per_hour_and_account=1)
    angela, browser = enrol(world), Browser(world)
    assert outcome(angela) == "done"
    browser.open()
    assert approve(angela, browser) == "too_many_approvals"
    assert browser.finish()["error"] == "temporarily_unavailable"


def outcome(person: Person) -> str:
    async def instruct() -> str:
        device = fresh_device(person)
        try:
            await device.instruct(person.code, "approve", os.urandom(32))
        except Refused as refused:
            return refused.reason.name
        finally:
            await device.http.aclose()
        return "done"

    return asyncio.run(instruct())


def test_a_browser_that_is_refused_began_nothing(made: Make) -> None:
    world = made(sign_ins_per_minute_and_address=1)
    assert Browser(world).open().status_code == 200
    assert "set-cookie" not in Browser(world).open().headers

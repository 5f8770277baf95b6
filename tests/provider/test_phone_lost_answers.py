"""The Python phone when answers are lost on the way: what it sent is sent again, unchanged, and settled before anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from provider_world import CODE, Person, World, enrol, fresh_device

from alicem.phone import manage
from alicem.phone.instruct import AccountClosed, Device, WrongCode
from alicem.reasons import Refused

NEW = "731906"


class Losing(httpx.AsyncHTTPTransport):
    """Loses the answers (or, `before`, the requests) of instructions, as often as told."""

    def __init__(self, times: int, *, before: bool = False) -> None:
        super().__init__()
        self.times, self.before, self.sent = times, before, []

    sent: list[bytes]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/phone/instruction":
            return await super().handle_async_request(request)
        self.sent.append(await request.aread())
        loses = self.times > 0
        self.times -= loses
        if loses and self.before:
            raise httpx.ConnectError("lost")
        answer = await super().handle_async_request(request)
        if loses:
            await answer.aclose()
            raise httpx.ReadError("lost")
        return answer


def with_losses(person: Person, losing: Losing) -> Device:
    device = fresh_device(person)
    device.http = httpx.AsyncClient(base_url=device.phone.origin, transport=losing)
    return device


def run(work: Any) -> Any:
    return asyncio.run(work)


def test_one_lost_answer_is_asked_for_again_and_costs_nothing(world: World) -> None:
    person, losing = enrol(world), Losing(1)
    assert run(manage.open_identity(with_losses(person, losing), CODE))["credential"]
    assert len(losing.sent) == 2 and losing.sent[0] == losing.sent[1]


def test_a_wrong_code_whose_answer_was_lost_is_one_try(world: World) -> None:
    person = enrol(world)
    with pytest.raises(WrongCode) as first:
        run(manage.open_identity(with_losses(person, Losing(1)), "204961"))
    assert first.value.tries_left == 3


def test_what_stays_pending_is_settled_before_the_next(world: World) -> None:
    person, losing = enrol(world), Losing(2)
    with pytest.raises(httpx.TransportError):
        run(manage.suspend(with_losses(person, losing), CODE))
    later = Losing(0)
    with pytest.raises(Refused) as refused:
        run(manage.open_identity(with_losses(person, later), CODE))
    assert refused.value.reason.name == "account_suspended"
    assert later.sent[0] == losing.sent[0]


def test_a_code_whose_adoption_was_not_answered_is_the_code(world: World) -> None:
    person = enrol(world)

    class OnTheThird(Losing):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if len(self.sent) == 2:  # open, change; then adopt, twice
                self.times = 2
            return await super().handle_async_request(request)

    with pytest.raises(httpx.TransportError):
        run(manage.change_code(with_losses(person, OnTheThird(0)), CODE, NEW))
    assert fresh_device(person).phone.next_salt is not None
    assert run(manage.open_identity(fresh_device(person), NEW))["credential"]
    assert fresh_device(person).phone.next_salt is None


@pytest.mark.parametrize("what", ["finished with the new code", "left as it was"])
def test_a_change_cut_between_its_phases_is(world: World, what: str) -> None:
    person = enrol(world)

    class NoAdoption(Losing):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if len(self.sent) >= 2 and request.url.path == "/phone/challenge":
                raise httpx.ConnectError("lost")
            return await super().handle_async_request(request)

    with pytest.raises(httpx.TransportError):
        run(manage.change_code(with_losses(person, NoAdoption(0)), CODE, NEW))
    if what == "left as it was":
        manage.keep_code(fresh_device(person))
        assert run(manage.open_identity(fresh_device(person), CODE))
        return
    run(manage.finish_change(fresh_device(person), NEW))
    assert run(manage.open_identity(fresh_device(person), NEW))


def test_without_a_change_there_is_none_to_finish(world: World) -> None:
    with pytest.raises(manage.NoChange):
        run(manage.finish_change(fresh_device(enrol(world)), NEW))


def closed_in_the_dark(world: World, losing: Losing) -> Person:
    person = enrol(world)
    with pytest.raises(httpx.TransportError):
        run(manage.delete(with_losses(person, losing), CODE))
    return person


def test_a_closing_that_was_done_erases_the_phone(world: World) -> None:
    person = closed_in_the_dark(world, Losing(2))
    with pytest.raises(AccountClosed):
        run(manage.open_identity(fresh_device(person), CODE))
    assert not person.device.storage.enrolled()


def test_a_closing_that_never_arrived_in_time_is_not_taken_for_done(own_world: World) -> None:
    person = closed_in_the_dark(own_world, Losing(2, before=True))
    own_world.clock.advance(61)
    assert run(manage.open_identity(fresh_device(person), CODE))["credential"]
    assert person.device.storage.enrolled()


def test_history_is_kept_read_and_erased_on_the_phone_alone(world: World) -> None:
    person = enrol(world)
    read: Callable[..., Any] = manage.history
    assert run(read(fresh_device(person), CODE)) == []
    assert run(read(fresh_device(person), CODE, erase=True)) == []
    assert run(manage.open_identity(fresh_device(person), CODE))["history"] == []

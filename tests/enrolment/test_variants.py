"""What a person chooses beforehand (movements to leave out, no colours), and what an operator switches on, through the whole product."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from alicem.demo import personas
from alicem.demo.person import Person
from alicem.demo.town import Town, found
from alicem.face.challenge import kind
from alicem.phone.enrol import Enrolled, Enrolment
from alicem.phone.instruct import Device
from alicem.phone.state import Storage, new_phone
from alicem.reasons import Refused
from free_ports import free_ports
from running_town import ENROLMENT_ALONE, in_background

CAMILLE = personas.load()["camille"]
pytestmark = pytest.mark.timeout(200)
Heard = list[dict[str, Any]]


class Enough(Exception):
    """The message that was waited for has come."""


async def enrol(town: Town, folder: Path, heard: Heard, until: str = "", **chosen: Any) -> Enrolled:
    """`until`: a reason at whose refusal nothing more is waited for. `chosen`: of the holder."""

    def observe(who: str, message: dict[str, Any]) -> None:
        if who == "server":
            heard.append(message)
            if until and message.get("reason") == until:
                raise Enough

    async with httpx.AsyncClient(base_url=town.alicem, timeout=20, trust_env=False) as http:
        phone = new_phone(town.alicem, "fr", secrets.token_bytes)
        device = Device(Storage(folder), http, lambda: datetime.now(UTC), secrets.token_bytes, phone)
        person = Person(CAMILLE, device, town.stage, "", observe)
        return await Enrolment(device, replace(person.holder(), **chosen), observe).run()


@contextmanager
def town_where(folders: pytest.TempPathFactory, before: str, after: str) -> Iterator[Town]:
    """A town whose provider has another setting."""
    town = Town(folders.mktemp("other"), free_ports(), ENROLMENT_ALONE)
    found(town, (CAMILLE,))
    settings = town.provider_folder / "alicem.toml"
    text = settings.read_text("utf-8")
    assert before in text
    settings.write_text(text.replace(before, after), "utf-8")
    with in_background(town):
        yield town


def told(heard: Heard, kind_: str, member: str) -> list[str]:
    return [message[member] for message in heard if message["type"] == kind_ and message[member] != "none"]


def test_who_cannot_smile_and_wants_no_colours_is_asked_the_rest_and_one_more(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    heard: Heard = []
    with town_where(tmp_path_factory, "actor = true", 'actor = true\ncolours = "offered"') as town:
        enrolled = asyncio.run(enrol(town, tmp_path, heard, without="smile", colours=False))
    actions = told(heard, "action", "action")
    assert {kind(action) for action in actions} == {"turn", "blink"} and len(actions) == 4
    assert told(heard, "light", "colour") == []
    assert enrolled.measurements["scores"]["same_person"] > 3


def test_eyes_are_asked_for_with_closed_lids_alone_and_colours_come_first(town: Town, tmp_path: Path) -> None:
    heard: Heard = []
    enrolled = asyncio.run(enrol(town, tmp_path, heard))
    actions = [message for message in heard if message["type"] == "action"]
    assert {message["action"] for message in actions if "eyes" in message} == {"blink"}
    kinds = [message["type"] for message in heard if message["type"] in ("light", "action")]
    assert kinds == ["action", *["light"] * 5, *kinds[6:]] and "light" not in kinds[6:]
    assert len(told(heard, "light", "colour")) == 4
    assert enrolled.measurements["scores"]["reflection"] > 0.5


@pytest.mark.parametrize("without", ["turn", "frown", ["smile"], {}])
def test_what_may_not_be_left_out_is_a_fault_of_the_phone(town: Town, tmp_path: Path, without: Any) -> None:
    with pytest.raises(Refused, match="session_expired"):
        asyncio.run(enrol(town, tmp_path, [], without=without))


def test_colours_that_are_required_are_not_refused_in_silence(town: Town, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="session_expired"):
        asyncio.run(enrol(town, tmp_path, [], colours=False))


def test_a_camera_that_is_a_program_is_refused_where_this_is_switched_on(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    switched = ("virtual_camera_signs = false", "virtual_camera_signs = true")
    with town_where(tmp_path_factory, *switched) as strict, pytest.raises(Enough):
        asyncio.run(enrol(strict, tmp_path, [], until="face_attack"))

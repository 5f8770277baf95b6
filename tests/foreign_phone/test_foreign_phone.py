"""A phone built from docs/protocols/ alone lives a whole life with the real server; whatever it said is said again."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from foreign_enrolment import FIRST_CONTACT
from foreign_jose import jwk_of, pin_key, unb64, unverified
from foreign_person import Holder

from alicem.demo import personas
from alicem.demo.town import Town
from alicem.demo.visitor import Visited, VisitFailed, visit
from phone import Forgotten, Phone, Refused, TrivialCode, Unanswered, refuse_trivial

CODE, NEW_CODE, WRONG_CODE = "358206", "902847", "358207"
VECTORS = Path(__file__).parents[2] / "docs" / "protocols" / "pin-key-vector.json"
NOT_KNOWN = (401, "instruction_refused")


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text())["vectors"], ids=lambda vector: vector["code"])
def test_the_pin_key_of_the_page(vector: dict[str, str]) -> None:
    point = jwk_of(pin_key(vector["code"], bytes.fromhex(vector["salt"])))
    assert [unb64(point[name]).hex() for name in "xy"] == [vector["x"], vector["y"]]


@pytest.mark.parametrize(
    "code", ["111111", "123456", "987654", "890123", "210987", "121212", "123123", "230701", "010723", "072301"]
)
def test_a_trivial_code_is_refused_by_the_phone(code: str) -> None:
    with pytest.raises(TrivialCode):
        refuse_trivial(code, "010723")


def test_any_other_code_is_not_trivial() -> None:
    refuse_trivial("358206", "010723")


def test_the_first_contact_of_the_page_is_whole() -> None:
    assert len(FIRST_CONTACT) == 10


@pytest.mark.timeout(300)
def test_a_life_from_the_pages_alone(town: Town, tmp_path: Path) -> None:
    asyncio.run(_life(town, tmp_path))


async def _life(town: Town, folder: Path) -> None:
    wire = Wire()
    async with httpx.AsyncClient(trust_env=False, transport=wire) as http:
        world = World(town, folder, wire, http)
        first = world.phone("first")
        enrolled = await first.enrol(world.holder("camille", slips_after=4), CODE)
        sub = await signs_in(world, first, CODE)
        await lends_its_folder_to_the_phone_of_the_product(world, first)
        await has_its_document_read_again(world, first)
        await says_no(world, first)
        await types_another_number(world, first)
        await mistypes(world, first)
        first = await changes_the_code_over_a_bad_line(world, first)
        suspension = await draws_another_suspension_code(world, first, enrolled.suspension_code)
        await is_made_to_wait(world, first)
        await suspends_from_the_website(world, first, suspension)

        second = world.phone("second")
        again = await second.enrol(
            world.holder("camille", tunnels=("chip_batch", "code", "confirmation", "receipt")), CODE
        )
        assert again.account == enrolled.account
        assert again.earlier == {"state": "suspended", "phones": 1, "may_keep": False}
        assert await signs_in(world, second, CODE) == sub
        assert await _refused(first.open(NEW_CODE)) == NOT_KNOWN
        await keeps_a_second_phone_then_removes_it(world, second, enrolled.account)
        await reads_what_is_known(second, enrolled.account)

        renewed = await second.enrol(world.holder("camille_renewed"), CODE, renewing=CODE)
        assert (renewed.account, renewed.earlier) == (enrolled.account, None)
        assert await signs_in(world, second, CODE) == sub
        await is_copied(world, second)
        await ends(world, second)


@dataclass
class Wire(httpx.AsyncHTTPTransport):
    """Everything the phones sent and heard; an answer can be lost on its way."""

    sent: list[tuple[httpx.Request, httpx.Response]] = field(default_factory=list)
    loses: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises `httpx.ReadError` where the answer is to be lost: the server has had the request."""
        answer = await super().handle_async_request(request)
        while answer.status_code == 429 and request.url.path.startswith(
            "/phone/"
        ):  # nothing is known: it is sent again
            await asyncio.sleep(2)
            answer = await super().handle_async_request(request)
        await answer.aread()
        self.sent.append((request, answer))
        if self.loses and request.url.path == self.loses:
            self.loses = ""
            raise httpx.ReadError("lost on its way")
        return answer

    def instructions(self) -> list[tuple[httpx.Request, httpx.Response]]:
        return [(request, answer) for request, answer in self.sent if request.url.path == "/phone/instruction"]


@dataclass
class World:
    """A town, its phones, and what passed between them."""

    town: Town
    folder: Path
    wire: Wire
    http: httpx.AsyncClient

    def phone(self, name: str) -> Phone:
        return Phone(self.folder / name, self.town.alicem, self.http)

    def holder(self, name: str, slips_after: int | None = None, tunnels: Sequence[str] = ()) -> Holder:
        return Holder(personas.load()[name], self.town.stage, slips_after, list(tunnels))

    async def again(self, request: httpx.Request) -> tuple[int, Any]:
        """Status and outcome of a captured request that is sent once more."""
        kept = {name: request.headers[name] for name in ("content-type", "authorization") if name in request.headers}
        async with httpx.AsyncClient(trust_env=False, transport=Wire()) as anyone:
            answer = await anyone.request(request.method, request.url, content=request.content, headers=kept)
        return answer.status_code, _outcome(answer)

    async def suspend(self, code: str) -> int:
        """The status of the website's answer."""
        return (await self.http.post(f"{self.town.alicem}/suspend", data={"code": code})).status_code


async def _refused(asked: Awaitable[Any]) -> tuple[int, str]:
    """What the server refuses with."""
    with pytest.raises(Refused) as refused:
        await asked
    return refused.value.status, refused.value.outcome


def _outcome(answer: httpx.Response) -> Any:
    body = answer.json() if "json" in answer.headers["content-type"] else {}
    return body.get("outcome", body.get("error"))


async def reads_what_is_known(phone: Phone, account: str) -> None:
    """The account's own rows, and no one's name."""
    told = await phone.known(CODE)
    tables = told["tables"]
    assert [row["number"] for row in tables["accounts"]] == [account]
    assert [row["id"] for row in tables["phones"]] == [told["phone"]]
    assert "account_reactivated" in [row["event"] for row in tables["journal"]]
    assert {len(tables[name]) for name in ("accounts", "phones")} == {1}
    names = dict(personas.load()["camille"].expected)
    assert not [name for name in ("family_name", "birthdate") if names[name] in json.dumps(told, ensure_ascii=False)]


async def signs_in(world: World, phone: Phone, code: str) -> str:
    """At the sample service; its pseudonym of the person. All that was sent is then sent again."""

    async def approve(link: str, number: str) -> None:
        request = await phone.look(link)
        assert (request.asker, request.level) == ("FranceConnect", "eidas2")
        assert "preferred_username" not in await phone.approve(request, number, code)

    visited: Visited = await visit(world.town.service, approve)
    assert visited.claims == dict(personas.load()["camille"].expected)
    await everything_is_sent_again(world)
    vault, _ = await phone.open(code)
    assert [use["outcome"] for use in vault["history"]] == ["done"]
    return visited.sub


async def everything_is_sent_again(world: World) -> None:
    """The latest of each kind. The newest instruction has its outcome again, whatever is older or spent has none."""
    newest, _ = world.wire.instructions()[-1]
    latest = {_kind(request): (request, answer) for request, answer in world.wire.sent}
    for request, answer in latest.values():
        path = request.url.path
        if request is newest:
            expected: tuple[int, Any] = (answer.status_code, _outcome(answer))
        elif path.startswith("/signin/request/"):
            expected = (404, "signin_expired")
        elif path in SPENT:
            expected = SPENT[path]
        else:
            continue
        assert await world.again(request) == expected, path


SPENT: dict[str, tuple[int, Any]] = {
    "/phone/instruction": NOT_KNOWN,
    "/signin/response": (400, "signin_expired"),
    "/credential/token": (400, "invalid_grant"),
    "/credential/nonce": (200, None),
    "/credential/credential": (401, "invalid_token"),
}


async def lends_its_folder_to_the_phone_of_the_product(world: World, phone: Phone) -> None:
    """One record and one vault, written and read by two programs that share nothing but the page."""
    (world.folder / "code").write_text(CODE)
    history = ("phone", "history", "--erase", "--state", str(phone.folder), "--code-file", str(world.folder / "code"))
    before, _ = await phone.open(CODE)
    command = [sys.executable, "-m", "alicem", *history]
    printed = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True, timeout=60)
    assert json.loads(printed.stdout) == before["history"] != []
    after, _ = await phone.open(CODE)
    assert after == {**before, "history": []}


async def has_its_document_read_again(world: World, phone: Phone) -> None:
    """At the bank: the document slips once, and the line is lost once."""

    async def approve(link: str, number: str) -> None:
        request = await phone.look(link)
        assert (request.level, request.chip) == ("eidas3", True)
        holder = world.holder("camille", slips_after=14, tunnels=("chip_batch",))
        assert "chip_key" in await phone.approve(request, number, CODE, holder)
        assert (holder.slips_after, holder.tunnels) == (None, [])

    visited = await visit(f"{world.town.services}/banque", approve)
    assert visited.acr == "eidas3" and "chip_key" not in visited.claims


async def says_no(world: World, phone: Phone) -> None:
    async def decline(link: str, number: str) -> None:
        await phone.refuse(await phone.look(link), not_mine=True)

    with pytest.raises(VisitFailed):
        await visit(world.town.service, decline)


async def types_another_number(world: World, phone: Phone) -> None:
    async def approve(link: str, number: str) -> None:
        other = str(10 + (int(number) - 9) % 90)
        with pytest.raises(Refused, match="number_wrong"):
            await phone.approve(await phone.look(link), other, CODE)
        with pytest.raises(Refused, match="signin_expired"):
            await phone.look(link)

    with pytest.raises(VisitFailed):
        await visit(world.town.service, approve)


async def mistypes(world: World, phone: Phone) -> None:
    """A wrong code costs one try, however often its instruction is sent; the right code gives the tries back."""
    world.wire.loses = "/phone/instruction"
    with pytest.raises(Unanswered):
        await phone.open(WRONG_CODE)
    for _ in range(2):
        assert await world.again(world.wire.instructions()[-1][0]) == (403, "code_wrong")
    with pytest.raises(Refused) as refused:
        await phone.settle()
    assert refused.value.body == {"outcome": "code_wrong", "tries_left": 3, "pause_seconds": 0}
    _, phones = await phone.open(CODE)
    assert phones == 1
    world.wire.loses = "/phone/instruction"
    with pytest.raises(Unanswered):
        await phone.open(CODE)
    done = await phone.settle()
    assert done is not None and done.share is not None
    assert done.share == (await phone.instruct(CODE, "open", "")).share


async def changes_the_code_over_a_bad_line(world: World, phone: Phone) -> Phone:
    """The answer of each phase is lost, and the phone started anew in between; at every moment one code is right."""
    with pytest.raises(TrivialCode):
        await phone.change_code(CODE, "010723", "010723")
    world.wire.loses = "/phone/instruction"
    with pytest.raises(Unanswered):
        await phone.change_code(CODE, NEW_CODE, "010723")
    phone = world.phone("first")
    assert phone.record.pending is not None and phone.record.next_salt is not None
    await phone.settle()
    world.wire.loses = "/phone/instruction"
    with pytest.raises(Unanswered):
        await phone.adopt(NEW_CODE)
    phone = world.phone("first")
    await phone.adopt(NEW_CODE)
    assert phone.record.next_salt is None
    await phone.open(NEW_CODE)
    assert await _refused(phone.open(CODE)) == (403, "code_wrong")
    await phone.open(NEW_CODE)
    return phone


async def draws_another_suspension_code(world: World, phone: Phone, earlier: str) -> str:
    drawn = await phone.draw_suspension_code(NEW_CODE)
    assert await world.suspend(earlier) == 404
    await phone.open(NEW_CODE)
    return drawn


async def is_made_to_wait(world: World, phone: Phone) -> None:
    """Four wrong codes, then a minute in which not even the right one is looked at."""
    for left in (3, 2, 1, 0):
        with pytest.raises(Refused, match="code_wrong") as refused:
            await phone.open(WRONG_CODE)
        assert refused.value.body["tries_left"] == left
    assert refused.value.body["pause_seconds"] == 60
    assert await _refused(phone.open(NEW_CODE)) == (403, "code_paused")
    assert await world.again(world.wire.instructions()[-1][0]) == NOT_KNOWN


async def suspends_from_the_website(world: World, phone: Phone, code: str) -> None:
    """Typed as people type: small letters, in groups, O for 0. Said again, it is so still."""
    typed = " ".join(code[start : start + 4] for start in range(0, 20, 4)).lower().replace("0", "o")
    assert [await world.suspend(typed) for _ in range(2)] == [200, 200]
    assert await _refused(phone.open(NEW_CODE)) == (403, "account_suspended")
    assert await world.again(world.wire.instructions()[-1][0]) == NOT_KNOWN


async def keeps_a_second_phone_then_removes_it(world: World, phone: Phone, account: str) -> None:
    kept = world.phone("kept")
    enrolled = await kept.enrol(world.holder("camille"), NEW_CODE, keep=True)
    assert enrolled.account == account
    assert enrolled.earlier == {"state": "active", "phones": 1, "may_keep": True}
    assert [(await kept.open(NEW_CODE))[1], (await phone.open(CODE))[1]] == [2, 2]
    await phone.instruct(CODE, "remove_others", "remove_others")
    assert await _refused(kept.open(NEW_CODE)) == NOT_KNOWN
    assert (await phone.open(CODE))[1] == 1


async def is_copied(world: World, phone: Phone) -> None:
    """A copy of the phone's folder uses the number the phone has used: nobody signs in any more."""
    shutil.copytree(phone.folder, world.folder / "copy")
    copy = world.phone("copy")
    await phone.open(CODE)
    assert await _refused(copy.open(CODE)) == (403, "clone_suspected")
    assert await world.again(world.wire.instructions()[-1][0]) == NOT_KNOWN
    for one in (phone, copy):
        assert await _refused(one.open(CODE)) == (403, "account_suspended")


async def ends(world: World, phone: Phone) -> None:
    """The answer to the deletion is lost; the phone asks again, hears twice that it is a stranger, and forgets everything."""
    world.wire.loses = "/phone/instruction"
    with pytest.raises(Unanswered):
        await phone.close(CODE)
    assert await _refused(phone.close(CODE)) == NOT_KNOWN
    assert list(phone.folder.iterdir()) == []
    with pytest.raises(Forgotten):
        await phone.open(CODE)
    one_of_each = {_kind(request): request for request, _ in world.wire.instructions()}
    assert len(one_of_each) == 10
    for request in one_of_each.values():
        assert await world.again(request) == NOT_KNOWN


def _kind(request: httpx.Request) -> str:
    """The path, or an instruction's purpose: the server limits how much one address may say in a minute."""
    if request.url.path != "/phone/instruction":
        return request.url.path
    inner = unverified(json.loads(request.content)["instruction"])[1].decode()
    return str(json.loads(unverified(inner)[1])["purpose"])

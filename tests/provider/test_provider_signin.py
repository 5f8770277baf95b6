"""Between browser and phone: what a phone may answer, who may go on, and how a sign-in ends."""

from __future__ import annotations

import asyncio
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from provider_world import (
    CODE,
    Browser,
    Flaws,
    Person,
    World,
    answer,
    enrol,
    fresh_device,
    make_app,
    make_world,
    redeem,
    serve,
    set_state,
    sign_in,
    values,
)
from sqlalchemy import select

from alicem import jose, keys
from alicem.evidence import Level
from alicem.journal.records import journal
from alicem.keys import Keys
from alicem.phone import approve as phone_approve
from alicem.phone.state import open_vault
from alicem.web.server import listening_at


def ends(browser: Browser, reason: str) -> None:
    """The browser goes back to the client with an error, state and iss; the cookie is gone."""
    there = browser.get("/signin/continue")
    assert there.status_code == 303
    back = values(there.headers["location"])
    assert back.keys() == {"error", "error_description", "state", "iss"}
    assert (back["error"], back["error_description"]) == ("access_denied", reason)
    assert "Max-Age=0" in there.headers["set-cookie"]


other_key = ec.generate_private_key(ec.SECP256R1())

FLAWS: list[tuple[str, Flaws]] = [
    ("number_wrong", Flaws(approves=False)),
    ("credential_malformed", Flaws(vp_token={"identity": ["no"], "other": ["no"]})),
    ("credential_malformed", Flaws(vp_token={"identity": []})),
    ("credential_malformed", Flaws(vp_token={"identity": [1]})),
    ("credential_malformed", Flaws(vp_token=["identity"])),
    ("credential_malformed", Flaws(vp_token={"identity": ["a~b~c"]})),
    ("credential_claims", Flaws(names=frozenset({"given_name"}))),
    ("credential_claims", Flaws(names=frozenset())),
    ("key_binding_wrong", Flaws(binding={"nonce": "another"})),
    ("key_binding_wrong", Flaws(binding={"aud": "x509_hash:other"})),
    ("key_binding_wrong", Flaws(binding={"iat": int(time.time()) - 600})),
    ("key_binding_wrong", Flaws(binding={"sd_hash": "A" * 43})),
    ("key_binding_wrong", Flaws(binding={"transaction_data_hashes": []})),
    ("key_binding_wrong", Flaws(binding_key=other_key)),
]


@pytest.mark.parametrize(("reason", "flaws"), FLAWS)
def test_an_answer_that_is_not_right_ends_the_sign_in(
    world: World, angela: Person, browser: Browser, reason: str, flaws: Flaws
) -> None:
    browser.open()
    assert answer(angela, browser, flaws) == (400, reason)
    assert answer(angela, browser) == (404, "signin_expired")
    ends(browser, reason)


def test_more_disclosed_than_asked_is_refused(world: World, angela: Person, browser: Browser) -> None:
    browser.open(scope="openid email")
    assert answer(angela, browser, Flaws(names=frozenset({"email", "sex"}))) == (400, "credential_claims")


def test_a_wrong_number_ends_the_sign_in(world: World, angela: Person, browser: Browser) -> None:
    browser.open()
    wrong = str((int(browser.number) - 9) % 90 + 10)
    assert answer(angela, browser, Flaws(number=wrong)) == (400, "number_wrong")
    ends(browser, "number_wrong")


@pytest.mark.parametrize(
    "flaws",
    [
        Flaws(kid="A" * 22),
        Flaws(kid="x" * 3000),
        Flaws(state="A" * 22 + "." + "B" * 16),
        Flaws(state="nonsense"),
        Flaws(plaintext=b"not json"),
        Flaws(plaintext=b"[]"),
        Flaws(plaintext=b"[" * 100_00),
    ],
)
def test_an_answer_to_nothing_ends_nothing(world: World, angela: Person, browser: Browser, flaws: Flaws) -> None:
    browser.open()
    status, outcome = answer(angela, browser, flaws)
    assert status == 400 and outcome in ("wire_malformed", "signin_expired")
    assert answer(angela, browser) == (200, "done")
    assert "code" in browser.finish()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"response=",
        b"response=abc",
        b"response=a.b.c.d.e",
        b"response=e30.a.b.c.d",
        b"response=W10.a.b.c.d",
        b"%ff",
        b"a&" * 50,
    ],
)
def test_garbage_is_malformed(world: World, content: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    told = httpx.post(f"{world.origin}/signin/response", content=content, headers=headers)
    assert (told.status_code, told.json()) == (400, {"outcome": "wire_malformed"})


def test_an_answer_too_long_is_not_read(world: World) -> None:
    told = httpx.post(f"{world.origin}/signin/response", data={"response": "a" * 70_000})
    assert told.status_code == 400


def test_a_credential_of_another_phone_is_refused(world: World, angela: Person, browser: Browser) -> None:
    """Angela approves, but shows what was stolen from Bruno together with his key."""
    bruno = enrol(world, email="bruno@courriel.example")
    browser.open()
    share = asyncio.run(_share(bruno))
    stolen = open_vault(bruno.device.storage.load(), share, bruno.device.storage.load_vault())["credential"]
    flaws = Flaws(credential=stolen, binding_key=bruno.device.phone.device_key)
    assert answer(angela, browser, flaws) == (400, "key_binding_wrong")


async def _share(person: Person) -> bytes:
    device = fresh_device(person)
    try:
        return (await device.instruct(CODE, "open", b"")).share
    finally:
        await device.http.aclose()


@pytest.mark.parametrize(
    ("state", "reason"),
    [("suspended", "account_suspended"), ("locked", "account_locked"), ("enrolled", "account_not_active")],
)
def test_an_account_that_stops_between_approval_and_answer(own_world: World, state: str, reason: str) -> None:
    """The database is read at the answer: a suspension counts on the very next request."""
    person, browser = enrol(own_world), Browser(own_world)
    browser.open()
    device = fresh_device(person)

    async def approve_then_stop() -> tuple[int, str]:
        asked = await phone_approve.fetch(device, browser.link)
        about = f"{asked.token}.{browser.number}".encode()
        share = (await device.instruct(CODE, "approve", about)).share
        await own_world.store.write(lambda c: set_state(c, person.account, state))
        stored = open_vault(device.phone, share, device.storage.load_vault())["credential"]
        shown = phone_approve.present(device, stored, asked)
        body = json.dumps({"vp_token": {"identity": [shown]}, "state": asked.state}).encode()
        sealed = jose.encrypt_to(asked.encryption_key, body, kid=asked.encryption_kid)
        told = await device.http.post("/signin/response", data={"response": sealed})
        return told.status_code, told.json()["outcome"]

    assert asyncio.run(approve_then_stop()) == (400, reason)
    ends(browser, reason)


def test_an_expired_credential_is_refused(own_world: World) -> None:
    person, browser = enrol(own_world, lifetime=timedelta(seconds=-1)), Browser(own_world)
    browser.open()
    assert answer(person, browser) == (400, "credential_expired")


def test_a_specimen_is_refused_where_specimens_are_not_trusted(own_world: World) -> None:
    settings = own_world.settings
    own_world.restart(replace(settings, trust=replace(settings.trust, specimen=False)))
    person, browser = enrol(own_world, specimen=True), Browser(own_world)
    browser.open()
    assert answer(person, browser) == (400, "credential_untrusted")


def test_a_client_taken_off_the_list_gets_nothing(own_world: World) -> None:
    person, browser = enrol(own_world), Browser(own_world)
    browser.open()
    file = own_world.settings.service.clients
    file.write_text(file.read_text().replace("[fc-plus]", "[renamed]"))
    own_world.restart()
    assert answer(person, browser) == (400, "client_unknown")


def test_keys_turn_while_people_sign_in(own_world: World) -> None:
    """What began under the old keys ends well; subjects stay; both signing keys are published, old logout hints hold."""
    person, before, across = enrol(own_world), Browser(own_world), Browser(own_world)
    old = redeem(own_world, sign_in(person, before)["code"]).json()
    across.open()
    answered, coded = Browser(own_world), Browser(own_world)
    for browser in (answered, coded):
        browser.open()
        answer(person, browser)
    code = coded.finish()["code"]
    own_world.restart(ring=turned(own_world))
    assert answer(person, across) == (200, "done")
    subjects = {jose.unpack(old["id_token"], "JWT").json()["sub"]}
    kids = {jose.unpack(old["id_token"], "JWT").header["kid"]}
    for one in (code, across.finish()["code"], answered.finish()["code"], sign_in(person, Browser(own_world))["code"]):
        token = jose.unpack(redeem(own_world, one).json()["id_token"], "JWT")
        subjects.add(token.json()["sub"])
        kids.add(token.header["kid"])
    assert len(subjects) == 1
    assert {key["kid"] for key in httpx.get(f"{own_world.origin}/jwks").json()["keys"]} == kids and len(kids) == 2
    given = {"id_token_hint": old["id_token"]}
    assert httpx.get(f"{own_world.origin}/end_session", params=given).status_code == 200


def turned(world: World) -> Keys:
    """The ring with one more key in use of each purpose that turns."""
    purposes = ("signing", "issuer", "status", "verifier", "journal", "at_rest", "fingerprint", "transaction")
    return keys.rotated(world.ring, purposes, world.clock(), os.urandom, "localhost", at_once=True)


def test_the_level_is_the_lowest_of_credential_key_and_server(tmp_path: Path) -> None:
    own = make_world(tmp_path / "w", level_of_keys={"software": "low", "keystore": "high"})
    try:
        weak, strong = enrol(own), enrol(own, key_kind="keystore", level=Level.HIGH)
        removed = enrol(own, key_kind="webcrypto")
        for person, asked, expected in (
            (weak, "eidas2", (400, "level_not_reachable")),
            (weak, "eidas1", (200, "done")),
            (strong, "eidas2", (200, "done")),
            (removed, "eidas1", (400, "level_not_reachable")),
        ):
            browser = Browser(own)
            browser.open(acr_values=asked)
            assert answer(person, browser) == expected
    finally:
        own.close()


@pytest.mark.parametrize(("not_mine", "reason"), [(False, "signin_refused"), (True, "signin_not_mine")])
def test_the_person_refuses_in_one_tap(
    world: World, angela: Person, browser: Browser, not_mine: bool, reason: str
) -> None:
    browser.open()
    device = fresh_device(angela)

    async def refuse() -> None:
        asked = await phone_approve.fetch(device, browser.link)
        await phone_approve.refuse(device, asked, not_mine=not_mine)
        await device.http.aclose()

    asyncio.run(refuse())
    ends(browser, reason)


def test_a_refusal_without_the_requests_state_ends_nothing(world: World, angela: Person, browser: Browser) -> None:
    browser.open()
    for state in ("", browser.signin, browser.signin + "." + "A" * 16):
        told = httpx.post(f"{world.origin}/signin/response", data={"error": "access_denied", "state": state})
        assert (told.status_code, told.json()["outcome"]) == (400, "signin_expired")
    assert answer(angela, browser) == (200, "done")


def test_back_to_the_client_by_choice(world: World, angela: Person, browser: Browser) -> None:
    browser.open(state="kept")
    assert browser.get("/signin/cancel").status_code == 400
    assert browser.get("/signin/cancel?t=" + "A" * 22).status_code == 400
    there = browser.get(f"/signin/cancel?t={browser.signin}")
    assert values(there.headers["location"]) == {
        "error": "access_denied",
        "error_description": "cancelled",
        "state": "kept",
        "iss": world.origin,
    }
    assert answer(angela, browser) == (404, "signin_expired")


def test_time_is_over_after_five_minutes(own_world: World) -> None:
    person, browser = enrol(own_world), Browser(own_world)
    browser.open()
    own_world.clock.advance(301)
    assert answer(person, browser) == (404, "signin_expired")
    assert browser.get("/signin").headers["location"] == "/signin/continue"
    ends(browser, "signin_expired")


def test_an_approval_not_fetched_in_time_gives_nothing(own_world: World) -> None:
    person, browser = enrol(own_world), Browser(own_world)
    browser.open()
    assert answer(person, browser) == (200, "done")
    own_world.clock.advance(301)
    ends(browser, "signin_expired")


def test_a_reference_lives_to_the_end_of_the_next_slot(own_world: World) -> None:
    own_world.clock.hold()
    browser = Browser(own_world)
    browser.open()
    first = browser.link.partition("#")[2]
    page = f"{own_world.origin}/signin/request/{first}"
    assert httpx.get(page).headers["content-type"] == "application/oauth-authz-req+jwt"
    own_world.clock.advance(30)
    assert httpx.get(page).status_code == 200
    own_world.clock.advance(30)
    assert httpx.get(page).status_code == 404
    assert httpx.get(f"{own_world.origin}/signin/qr/{first}.svg").status_code == 404
    browser.read(browser.get("/signin"))
    fresh = browser.link.partition("#")[2]
    assert fresh != first
    assert httpx.get(f"{own_world.origin}/signin/qr/{fresh}.svg").headers["content-type"] == "image/svg+xml"


def test_a_reference_cannot_be_made_up(world: World, browser: Browser) -> None:
    browser.open()
    signin, slot, tag = browser.link.partition("#")[2].split(".")
    forged = [
        f"{signin}.{slot}.{'A' * 16}",
        f"{signin}.{int(slot) + 1}.{tag}",
        f"{'A' * 22}.{slot}.{tag}",
        f"{signin}.{slot}",
        f"{signin}.-1.{tag}",
        f"{signin}.{slot}.{tag}.x",
        "x" * 4000,
    ]
    for reference in forged:
        assert httpx.get(f"{world.origin}/signin/request/{reference}").status_code == 404
        assert httpx.get(f"{world.origin}/signin/qr/{reference}.svg").status_code == 404


def test_only_the_browser_that_began_goes_on(world: World, angela: Person, browser: Browser) -> None:
    browser.open()
    answer(angela, browser)
    thief = Browser(world, cookie=f"{browser.signin}.{'A' * 43}")
    for cookie in (thief.cookie, "", "nonsense", browser.signin, browser.cookie[:-1] + "!"):
        thief.cookie = cookie
        for path in ("/signin", "/signin/continue", f"/signin/cancel?t={browser.signin}"):
            assert thief.get(path).status_code == 400
    assert "code" in browser.finish()
    assert browser.get("/signin/continue").status_code == 400


def test_the_cookie_is_kept_from_others(world: World, browser: Browser) -> None:
    cookie = browser.open().headers["set-cookie"]
    assert cookie.startswith("__Host-signin=")
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"secure", "httponly", "path=/", "samesite=lax"} <= attributes
    assert not any(one.startswith("domain") for one in attributes)


def test_continue_waits_for_the_phone(world: World, browser: Browser) -> None:
    browser.open()
    assert browser.get("/signin/continue").headers["location"] == "/signin"
    assert browser.get("/signin/continue?t=" + "A" * 22).status_code == 400


def events(browser: Browser, path: str, most: int, origin: str | None = None) -> list[tuple[str, dict[str, str]]]:
    """The first events of a stream."""
    found: list[tuple[str, dict[str, str]]] = []
    headers = {"Cookie": f"__Host-signin={browser.cookie}"}
    with httpx.stream("GET", (origin or browser.world.origin) + path, headers=headers, timeout=10) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            if line.startswith("data: "):
                found.append((name, json.loads(line[6:])))
                if len(found) == most:
                    break
    return found


def test_the_page_is_told_what_happens(own_world: World) -> None:
    person, browser = enrol(own_world), Browser(own_world)
    browser.open()
    path = f"/signin/events?t={browser.signin}"
    [(name, data)] = events(browser, path, 1)
    assert name == "reference" and data["link"].startswith(f"{own_world.origin}/phone/approve#")
    assert httpx.get(own_world.origin + data["qr"]).status_code == 200
    answer(person, browser)
    assert events(browser, path, 1) == [("approved", {"url": f"/signin/continue?t={browser.signin}"})]
    second = Browser(own_world, cookie=browser.cookie)
    second.open()
    assert events(second, path, 1) == [("replaced", {"url": "/signin"})]
    own_world.clock.advance(400)
    [(name, data)] = events(second, f"/signin/events?t={second.signin}", 1)
    assert (name, data["reason"]) == ("refused", "signin_expired")


def test_a_waiting_page_is_woken_at_once(own_world: World) -> None:
    person, browser = enrol(own_world), Browser(own_world)
    browser.open()
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(events, browser, f"/signin/events?t={browser.signin}", 2)
        time.sleep(0.3)
        answer(person, browser)
        assert told.result(5)[1][0] == "approved"


def test_a_page_at_another_worker_is_told_too(own_world: World) -> None:
    """The phone's answer reaches one worker, the browser listens at another: the database is what they share."""
    (listener,) = listening_at("127.0.0.1:0")
    second = f"http://localhost:{listener.getsockname()[1]}"
    server, thread = serve(make_app(own_world.settings, own_world.store, own_world.ring, own_world.clock), listener)
    person, browser = enrol(own_world), Browser(own_world)
    browser.open()
    try:
        with ThreadPoolExecutor(1) as pool:
            told = pool.submit(events, browser, f"/signin/events?t={browser.signin}", 2, second)
            time.sleep(0.3)
            answer(person, browser)
            assert told.result(8)[1][0] == "approved"
    finally:
        server.should_exit = True
        thread.join(10)


def test_one_sign_in_has_few_streams(own_world: World) -> None:
    browser = Browser(own_world)
    browser.open()
    path = f"{own_world.origin}/signin/events?t={browser.signin}"
    headers = {"Cookie": f"__Host-signin={browser.cookie}"}
    with ExitStack() as open_streams:
        streams = [open_streams.enter_context(httpx.stream("GET", path, headers=headers)) for _ in range(5)]
        assert [stream.status_code for stream in streams] == [200] * 4 + [503]


def test_the_journal_says_that_not_who(own_world: World) -> None:
    person = enrol(own_world)
    first, second = Browser(own_world), Browser(own_world)
    first.open()
    answer(person, first)
    second.open()
    answer(person, second, Flaws(binding={"nonce": "x"}))
    query = select(journal).where(journal.c.event.in_(["signed_in", "sign_in_refused"])).order_by(journal.c.number)
    rows = own_world.do(lambda c: c.execute(query).all())
    assert [(row.event, row.account, json.loads(row.content)) for row in rows] == [
        ("signed_in", None, {"level": "eidas2"}),
        ("sign_in_refused", None, {"reason": "key_binding_wrong"}),
    ]

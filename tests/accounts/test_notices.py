"""Notices of the State's registry: what they suspend, what they leave alone, and that their answer tells neither (docs/protocols/registry.md)."""

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from account_world import ORIGIN, Clock, TestPhone, World
from starlette.applications import Starlette
from structlog.testing import capture_logs

from alicem.accounts import notices, records
from alicem.keys import KeyRing, document_fingerprints
from alicem.settings import Database, Keys, Mail, Registry, Service, Settings, SettingsError, Trust

TOKEN = "n" * 40
NUMBER, OTHER = "24AB12345", "99ZZ99999"
STOLEN = {
    "reference": "r" * 22,
    "issuer": "FRA",
    "kind": "passport",
    "number": NUMBER,
    "notice": "stolen",
    "at": "2026-11-21T09:00:00Z",
}
ACCEPTED = (202, {"notice": "accepted"})


def settings_of(folder: Path, token: str | None = TOKEN) -> Settings:
    if token is not None:
        (folder / "notices.token").write_text(token)
    return Settings(
        Service("development", ORIGIN),
        Database(f"sqlite:///{folder}/alicem.db"),
        Keys(folder / "keys.bin"),
        Trust(folder),
        Registry("http://127.0.0.1:9", folder / "none", notices_token_file=token and folder / "notices.token"),  # type: ignore[arg-type]
        Mail("127.0.0.1", 9, "alicem@example.org"),
    )


class Provider:
    """The one address of notices, over ASGI, beside the accounts of `world`."""

    def __init__(self, world: World, folder: Path, ring: KeyRing | None = None, token: str | None = TOKEN) -> None:
        settings = settings_of(folder, token)
        routes = notices.routes(settings, world.store, ring or world.ring, world.clock, secrets.token_bytes)
        self.app = Starlette(routes=routes)

    def post(self, body: Mapping[str, Any] | bytes = STOLEN, authorization: str = f"Bearer {TOKEN}") -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=ORIGIN) as client:
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                return await client.post("/registry/notices", content=content, headers={"authorization": authorization})

        return asyncio.run(send())


@pytest.fixture
def provider(world: World, tmp_path: Path) -> Provider:
    return Provider(world, tmp_path)


def enrol(world: World, number: str = NUMBER, ring: KeyRing | None = None) -> TestPhone:
    """Somebody whose account has this document, and who signs in with it."""
    phone = world.enrol(number, suspension_code=secrets.token_hex(10))
    name = document_fingerprints(ring or world.ring, "FRA", "passport", number, world.clock())[0]
    account = world.row(phone).account
    world.do(lambda c: records.set_fingerprint(c, account, name))
    return phone


def contents(world: World) -> list[tuple[str, Any]]:
    rows = world.do(lambda c: c.exec_driver_sql("select event, content from journal order by number").all())
    return [(row.event, json.loads(row.content or b"null")) for row in rows]


@pytest.mark.parametrize("notice", ["lost", "stolen", "cancelled", "deceased"])
def test_a_notice_suspends_from_the_next_request_on(world: World, provider: Provider, notice: str) -> None:
    phone, neighbour = enrol(world), enrol(world, OTHER)
    assert phone.instruct().status == 200
    answer = provider.post(STOLEN | {"notice": notice})
    assert (answer.status_code, answer.json()) == ACCEPTED
    refused = phone.instruct()
    assert (refused.status, refused.body["outcome"]) == (403, "account_suspended")
    assert neighbour.instruct().status == 200
    assert contents(world)[-1] == ("account_suspended", {"by": "registry", "notice": notice})


def test_nobody_learns_who_has_an_account(world: World, provider: Provider) -> None:
    enrol(world)
    asked = {
        "an account": STOLEN,
        "a suspended account": STOLEN,
        "no account": STOLEN | {"number": OTHER},
        "another State's document": STOLEN | {"issuer": "D"},
        "another kind": STOLEN | {"kind": "residence_permit"},
        "a notice that was overtaken": STOLEN | {"at": "2026-10-31T23:59:59Z"},
    }
    seen = {}
    for name, body in asked.items():
        begun = time.monotonic()
        answer = provider.post(body)
        seen[name] = (answer.status_code, answer.content, sorted(answer.headers.items()))
        assert time.monotonic() - begun >= notices.ANSWER_SECONDS, name
    assert len(set(map(str, seen.values()))) == 1, seen


@pytest.mark.parametrize(
    ("at", "state"),
    [
        ("2026-10-31T23:59:59Z", "active"),  # the month before the identity check, at which the document was valid
        ("2026-11-01T00:00:00Z", "suspended"),
        ("2026-11-23T08:59:59.999+00:00", "suspended"),  # the registry's clock may be ahead, by two days
    ],
)
def test_a_notice_that_the_identity_check_overtook_changes_nothing(
    world: World, provider: Provider, at: str, state: str
) -> None:
    phone = enrol(world)
    answer = provider.post(STOLEN | {"at": at})
    assert (answer.status_code, answer.json()) == ACCEPTED
    assert world.state(phone) == state


def test_a_document_is_found_under_every_live_key(world: World, tmp_path: Path) -> None:
    (older,) = world.ring.secret_all("fingerprint")
    newer = replace(older, kid="fingerprint-newer", value=b"n" * 32, used_from=world.clock())
    turned = replace(world.ring, secret_keys=(newer, *world.ring.secret_keys))
    of_old, of_new = enrol(world), enrol(world, OTHER, turned)
    provider = Provider(world, tmp_path, turned)
    provider.post(STOLEN)
    provider.post(STOLEN | {"number": OTHER})
    assert (world.state(of_old), world.state(of_new)) == ("suspended", "suspended")


def test_the_same_notice_again_leaves_the_account_as_it_is(world: World, provider: Provider) -> None:
    phone = enrol(world)
    assert [provider.post().status_code for _ in range(3)] == [202] * 3
    assert world.state(phone) == "suspended"


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer", TOKEN])
def test_without_the_token_nothing_is_done_or_said(world: World, provider: Provider, authorization: str) -> None:
    phone = enrol(world)
    for body in (STOLEN, b"not even JSON", b" " * 10_000):
        answer = provider.post(body, authorization)
        assert (answer.status_code, answer.json()) == (401, {"error": "token_refused"})
        assert answer.headers["www-authenticate"] == "Bearer"
    assert world.state(phone) == "active"


@pytest.mark.parametrize(
    ("body", "member"),
    [
        (b"", "at"),
        (b"[]", None),
        (b"[" * 3000, None),
        (json.dumps(STOLEN).encode()[:-1], None),
        (b"\xff" * 10, None),
        *((json.dumps({k: v for k, v in STOLEN.items() if k != name}).encode(), name) for name in STOLEN),
        *((json.dumps(STOLEN | {name: 7}).encode(), name) for name in STOLEN),
        (json.dumps(STOLEN | {"reference": "short"}).encode(), "reference"),
        (json.dumps(STOLEN | {"issuer": "FRAN"}).encode(), "issuer"),
        (json.dumps(STOLEN | {"kind": "identity_card"}).encode(), "kind"),
        (json.dumps(STOLEN | {"number": "24ab12345"}).encode(), "number"),
        (json.dumps(STOLEN | {"number": "24AB12345\n"}).encode(), "number"),
        (json.dumps(STOLEN | {"number": "A" * 23}).encode(), "number"),
        (json.dumps(STOLEN | {"notice": "found"}).encode(), "notice"),
        (json.dumps(STOLEN | {"notice": "valid"}).encode(), "notice"),
        (json.dumps(STOLEN | {"at": "2026-11-21"}).encode(), "at"),
        (json.dumps(STOLEN | {"at": "2026-99-21T22:00:00Z"}).encode(), "at"),
        (json.dumps(STOLEN | {"at": "0000-01-01T00:00:00Z"}).encode(), "at"),
        (json.dumps(STOLEN | {"at": "2026-11-21T22:00:00+02:00"}).encode(), "at"),
        (json.dumps(STOLEN | {"at": "2026-11-23T09:00:01Z"}).encode(), "at"),
        (json.dumps(STOLEN | {"at": "9999-12-31T23:59:59Z"}).encode(), "at"),
        (json.dumps(STOLEN | {"birth_date": "880517"}).encode(), "birth_date"),
        (json.dumps(STOLEN | {"\ud800": "…"}).encode(), None),
    ],
)
def test_a_malformed_notice_is_named_and_does_nothing(
    world: World, provider: Provider, body: bytes, member: str | None
) -> None:
    phone = enrol(world)
    answer = provider.post(body)
    expected = {"error": "malformed_request"} | ({"member": member} if member else {})
    assert (answer.status_code, answer.json()) == (400, expected)
    assert world.state(phone) == "active"


def test_a_long_notice_is_refused(provider: Provider) -> None:
    answer = provider.post(b" " * 5000)
    assert (answer.status_code, answer.json()) == (413, {"error": "too_large"})


def test_the_number_stays_in_memory(world: World, provider: Provider) -> None:
    enrol(world)
    marked = STOLEN | {"number": "77QQ77777", "reference": "reference-of-this-notice"}
    with capture_logs() as logs:
        provider.post(marked)
        provider.post(marked | {"kind": "77QQ77777"})
        provider.post()
    kept = json.dumps(logs) + world.dump() + repr(notices.read_notice(marked, Clock()()))
    assert "registry notice" in kept
    assert "77QQ77777" not in kept
    assert "reference-of-this" not in kept
    assert "24AB12345" not in json.dumps(logs)


def test_without_a_token_file_there_is_no_such_address(world: World, tmp_path: Path) -> None:
    assert Provider(world, tmp_path, token=None).post().status_code == 404


def test_a_short_token_is_refused_at_start(world: World, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="notices_token_file"):
        Provider(world, tmp_path, token="t" * 31)

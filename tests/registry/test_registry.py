"""The registry over real HTTP: what docs/protocols/registry.md says."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alicem.registry import (
    CivilStatus,
    Document,
    HolderUnknown,
    Person,
    RegistryError,
    RegistrySettings,
    add,
    declare,
)
from alicem.registry.app import VERSIONS, app, open_store
from alicem.registry.records import metadata
from alicem.settings import Database, SettingsError
from alicem.store import Store, upgrade
from alicem.web.server import listening_at

TOKEN = "t" * 40
STATUS = CivilStatus("Lefèvre-Œuvrard", "Zoë-Anaïs Marie", None, "female", "1988-05-17", "29019", "99100")
DOCUMENT = Document("FRA", "passport", "24AB12345", "880517", "341102")
ZOE = Person(STATUS, "1 rue de la Paix\n29200 Brest", (DOCUMENT,))
ASKED = {"issuer": "FRA", "kind": "passport", "number": "24AB12345", "birth_date": "880517", "expiry_date": "341102"}
LETTER = ASKED | {"reference": "r" * 22, "notice": "enrolled", "at": "2026-11-21T22:00:00Z"}

Serve = Callable[[Starlette], str]


def state_declares(connection: Connection, number: str, word: str) -> None:
    declare(connection, number, word, at=datetime(2026, 11, 21, tzinfo=UTC), rng=secrets.token_bytes)


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(application: Starlette) -> str:
        (listener,) = listening_at("127.0.0.1:0")
        server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        servers.append((server, thread))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for server, _ in servers:
        server.should_exit = True
    for _, thread in servers:
        thread.join(10)


@pytest.fixture
def settings(tmp_path: Path) -> RegistrySettings:
    (tmp_path / "token").write_text(TOKEN)
    return RegistrySettings(Database(f"sqlite:///{tmp_path}/registry.db"), token_file=tmp_path / "token")


@pytest.fixture
def store(settings: RegistrySettings) -> Iterator[Store]:
    """As the commands open it, beside the running application."""
    store = open_store(settings)
    with store.engine.begin() as connection:
        add(connection, ZOE)
    yield store
    store.close()


@pytest.fixture
def client(serve: Serve, settings: RegistrySettings, store: Store) -> httpx.Client:
    return httpx.Client(base_url=serve(app(settings)), headers={"authorization": f"Bearer {TOKEN}"})


def test_a_valid_document_brings_the_civil_status(client: httpx.Client) -> None:
    answer = client.post("/v1/check", json=ASKED)
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "valid",
        "civil_status": {
            "family_name": "Lefèvre-Œuvrard",
            "given_names": "Zoë-Anaïs Marie",
            "usage_name": None,
            "gender": "female",
            "birthdate": "1988-05-17",
            "birthplace_cog": "29019",
            "birthcountry_cog": "99100",
        },
    }


@pytest.mark.parametrize(
    "change",
    [
        {"number": "24AB12346"},
        {"birth_date": "880518"},
        {"expiry_date": "351102"},
        {"issuer": "D"},
        {"kind": "residence_permit"},
    ],
    ids=lambda one: next(iter(one)),
)
def test_one_wrong_member_is_an_unknown_document(client: httpx.Client, change: dict[str, str]) -> None:
    assert client.post("/v1/check", json=ASKED | change).json() == {"status": "unknown", "civil_status": None}
    assert client.post("/v1/letters", json=LETTER | change).status_code == 404


@pytest.mark.parametrize("declared", ["lost", "stolen", "cancelled", "deceased"])
def test_what_is_declared_is_answered(client: httpx.Client, store: Store, declared: str) -> None:
    with store.engine.begin() as connection:
        state_declares(connection, "24AB12345", declared)
    assert client.post("/v1/check", json=ASKED).json() == {"status": declared, "civil_status": None}


def test_a_document_found_again_is_valid(client: httpx.Client, store: Store) -> None:
    for declared in ("lost", "found"):
        with store.engine.begin() as connection:
            state_declares(connection, "24AB12345", declared)
    assert client.post("/v1/check", json=ASKED).json()["status"] == "valid"


def test_what_cannot_be_declared(store: Store) -> None:
    with store.engine.connect() as connection:
        with pytest.raises(HolderUnknown):
            state_declares(connection, "00AA00000", "lost")
        with pytest.raises(RegistryError):
            state_declares(connection, "24AB12345", "eaten")
        with pytest.raises(RegistryError):
            add(connection, ZOE)


@pytest.mark.parametrize(
    "changes",
    [
        {"birthplace_cog": ""}, {"birthplace_cog": "Brest"}, {"birthcountry_cog": "FRA"}, {"gender": "F"}, {"family_name": ""},
        {"birthdate": "1988-00-17"}, {"birthdate": "1988-02-30"}, {"birthcountry_cog": "99350"},
    ],
    ids=str,
)  # fmt: skip
def test_a_civil_status_is_well_formed(changes: dict[str, Any]) -> None:
    with pytest.raises(RegistryError):
        CivilStatus(**STATUS.__dict__ | changes)


@pytest.mark.parametrize("token", [None, "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer"])
@pytest.mark.parametrize("path", ["/v1/check", "/v1/letters"])
def test_without_the_token_nothing_is_said(client: httpx.Client, path: str, token: str | None) -> None:
    headers = {"authorization": token} if token else {}
    answer = httpx.post(client.base_url.join(path), json=ASKED, headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"error": "token_refused"})
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("body", "member"),
    [
        (b"", None),
        (b"[]", None),
        (b"[" * 3000, None),
        (json.dumps(ASKED).encode()[:-1], None),
        (json.dumps(ASKED | {"number": "24ab"}).encode(), "number"),
        (json.dumps(ASKED | {"number": 24}).encode(), "number"),
        (json.dumps(ASKED | {"number": "A" * 23}).encode(), "number"),
        (json.dumps(ASKED | {"birth_date": "1988-05-17"}).encode(), "birth_date"),
        (json.dumps(ASKED | {"expiry_date": "34<<<<"}).encode(), "expiry_date"),
        (json.dumps(ASKED | {"portrait": "…"}).encode(), "portrait"),
        (json.dumps(ASKED | {"\ud800": "…"}).encode(), None),
        (json.dumps({k: v for k, v in ASKED.items() if k != "kind"}).encode(), "kind"),
    ],
)
def test_a_malformed_request_is_named(client: httpx.Client, body: bytes, member: str | None) -> None:
    answer = client.post("/v1/check", content=body)
    expected = {"error": "malformed_request"} | ({"member": member} if member else {})
    assert (answer.status_code, answer.json()) == (400, expected)


def test_a_long_request_is_refused(client: httpx.Client) -> None:
    answer = client.post("/v1/check", content=b" " * 5000)
    assert (answer.status_code, answer.json()) == (413, {"error": "too_large"})


@pytest.mark.parametrize(
    "change", [{"reference": "short"}, {"notice": "hello"}, {"at": "2026-99-21T22:00:00Z"}, {"at": "now"}]
)
def test_a_malformed_letter_is_named(client: httpx.Client, change: dict[str, str]) -> None:
    answer = client.post("/v1/letters", json=LETTER | change)
    assert answer.json() == {"error": "malformed_request", "member": next(iter(change))}


def test_a_letter_is_carried_once(serve: Serve, settings: RegistrySettings, store: Store) -> None:
    carried: list[dict[str, str]] = []
    refuse = [True]

    async def carrier(request: Request) -> Response:
        if refuse:
            refuse.clear()
            return Response(status_code=503)
        carried.append(await request.json())
        return Response(status_code=204)

    post = serve(Starlette(routes=[Route("/paper", carrier, methods=["POST"])]))
    origin = serve(app(RegistrySettings(settings.database, token_file=settings.token_file, carrier=f"{post}/paper")))
    for _ in range(2):
        answer = httpx.post(f"{origin}/v1/letters", json=LETTER, headers={"authorization": f"Bearer {TOKEN}"})
        assert (answer.status_code, answer.json()) == (202, {"letter": "accepted"})
    deadline = time.monotonic() + 15
    while not carried and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    [letter] = carried
    assert letter["kind"] == "paper"
    assert letter["to"] == "Zoë-Anaïs Marie Lefèvre-Œuvrard"
    assert letter["address"].endswith("29200 Brest")
    assert "21/11/2026 à 23:00" in letter["text"]


def test_it_is_alive_without_a_token(client: httpx.Client) -> None:
    assert httpx.get(client.base_url.join("/live")).json() == {"status": "up"}


def test_the_migrations_make_the_schema(store: Store) -> None:
    upgrade(store.engine, VERSIONS)
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_short_token_is_refused(tmp_path: Path, settings: RegistrySettings) -> None:
    (tmp_path / "token").write_text("short")
    with pytest.raises(SettingsError):
        app(settings)

"""Alicem, a broker before it, two services behind it: what Alicem is sent, keeps and writes down is the same for both."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from broker_peers import Provider, Serve, Service, free_port, hidden, query
from provider_world import Browser, World, answer, enrol, make_world
from sqlalchemy import select
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs

from alicem import jose, log
from alicem.broker import BrokerSettings
from alicem.broker.app import app as application
from alicem.store import metadata

CLIENT = """
[{client}]
name = "FranceConnect"
profile = "franceconnect_plus"
secret_file = "plain"
encryption_alg = "ECDH-ES"
jwks_uri = "{broker}/client/keys"
redirect_uris = ["{broker}/callback/alicem"]
post_logout_redirect_uris = ["{broker}/logged-out/alicem"]
sector = "franceconnect"
scopes = ["openid", "profile", "email", "birth", "preferred_username"]
"""

FROM_THE_BROKER = {"/.well-known/openid-configuration", "/jwks", "/authorize", "/token", "/userinfo"}
SIGNINS = {"signins", "codes", "access_tokens"}
"""Tables whose lengths tell too: what is in the others is of the phone, whose signatures vary by a byte or two."""

RANDOM = re.compile(r"[A-Za-z0-9_+/=-]{16,}")


@dataclass
class Seen:
    """What Alicem was asked, held at three moments, and logged."""

    requests: list[Any] = field(default_factory=list)
    held: list[Any] = field(default_factory=list)
    logged: list[Any] = field(default_factory=list)


def plain(value: Any) -> Any:
    """Without what is another at each sign-in: random values by their length, times, ports, the two digits of the page."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, bytes | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, int | float) and value > 1_000_000_000:
        return "time"
    if isinstance(value, float):
        return "duration"
    if not isinstance(value, str):
        return value
    if value.count(".") == 2 and value.startswith("eyJ"):
        return {"jws": plain(json.loads(jose.unb64(value.split(".")[1])))}
    value = re.sub(r":[0-9]{4,5}\b", ":port", value)
    return RANDOM.sub(lambda found: f"<{len(found[0])}>", value)


def rows(world: World) -> dict[str, Any]:
    """Every row of every table."""
    with world.store.engine.connect() as connection:
        return {
            table.name: sorted((_row(table.name, dict(row._mapping)) for row in found), key=str)
            for table in metadata.sorted_tables
            if (found := connection.execute(select(table)).all())
        }


def _row(table: str, row: dict[str, Any]) -> Any:
    if table in SIGNINS:
        return plain({**row, "number": 0})
    return plain({name: "bytes" if isinstance(one, bytes) else one for name, one in row.items()})


class Recorder:
    """Writes down what reaches Alicem."""

    def __init__(self, app: ASGIApp, seen: Seen) -> None:
        self.app, self.seen = app, seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in FROM_THE_BROKER:
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            asked = dict(parse_qsl(scope["query_string"].decode()))
            self.seen.requests.append(plain({"path": scope["path"], "query": asked, "headers": headers}))
        await self.app(scope, receive, send)


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[list[World]]:
    made: list[World] = []
    yield made
    for world in made:
        world.close()


def through(
    serve: Serve, settings: BrokerSettings, folder: Path, worlds: list[World], name: str, scope: str, client: str
) -> Seen:
    """One person's first sign-in, at an Alicem of their own."""
    world, seen = make_world(folder / client / name), Seen()
    worlds.append(world)
    clients = world.settings.service.clients
    clients.write_text(clients.read_text() + CLIENT.format(client=client, broker=settings.origin))
    world.restart()
    assert world.served.app is not None
    world.served.app = Recorder(world.served.app, seen)
    (settings.providers / "alicem.toml").write_text(
        f'title = "Alicem"\nissuer = "{world.origin}"\nclient_id = "{client}"\nsecret_file = "{world.folder}/plain"\n'
        'encryption_alg = "ECDH-ES"\nlevels = ["eidas2"]\n'
    )
    person = enrol(world)
    service = Service(serve(application(settings), int(settings.origin.rsplit(":", 1)[1])), name, scope)
    with capture_logs() as logged:
        _walk(world, person, service, seen)
    seen.logged = [plain(one) for one in logged if one["event"] in log.EVENTS and one["event"] != "library"]
    return seen


def _walk(world: World, person: Any, service: Service, seen: Seen) -> None:
    to_alicem = service.post("/depart", sign_in=service.begin(), provider="alicem")
    parts, browser = urlsplit(to_alicem.headers["location"]), Browser(world)
    browser.read(browser.get(f"{parts.path}?{parts.query}"))
    seen.held.append(rows(world))
    assert answer(person, browser) == (200, "done")
    back = browser.get("/signin/continue").headers["location"]
    seen.held.append(rows(world))
    page = service.get(service.get(back).headers["location"])
    assert page.url.path == "/information", page.text
    token = service.redeem(
        query(service.post("/decide", sign_in=hidden(page), decision="continue", consent="yes"))["code"]
    )
    assert service.userinfo(token.json()["access_token"]).status_code == 200
    seen.held.append(rows(world))


def test_alicem_cannot_tell_which_service_it_was(
    serve: Serve, settings: BrokerSettings, provider: Provider, tmp_path: Path, worlds: list[World]
) -> None:
    del provider
    taken = [
        through(serve, settings_of(settings, number), tmp_path, worlds, name, scope, client)
        for number, (name, scope, client) in enumerate(
            (
                ("town", "openid profile birth email", "broker"),
                ("private", "openid given_name", "broker"),
                ("town", "openid profile birth email", "somebody-else"),
            )
        )
    ]
    town, private, other = taken
    assert town.requests and all(town.held) and town.logged, "something was sent, kept and logged"
    assert town == private
    assert (town.requests != other.requests) and (town.held != other.held), "and a difference would be seen"


def settings_of(settings: BrokerSettings, number: int) -> BrokerSettings:
    """The same broker on a port of its own."""
    database = replace(settings.database, url=settings.database.url.replace("broker.db", f"broker{number}.db"))
    return replace(settings, origin=f"http://127.0.0.1:{free_port()}", database=database)

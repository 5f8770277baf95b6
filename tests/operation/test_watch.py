"""Readiness, counts and traces by themselves: bounded, cached, closed; loaded where they are asked for and nowhere else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alicem.settings import Database, Keys, Mail, Metrics, Registry, Service, Settings, Traces, Trust
from alicem.watch import Listener, Readiness, Watched, WatchedStore
from alicem.watch import metrics as counts
from alicem.watch.traces import Traces as Spans

CHECKS = ("accepting", "database", "keys", "session_processes", "journal", "registry")
ROLES = ("web", "enrolment", "provider")


class Ticks:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def readiness(
    roles: tuple[str, ...] = ROLES, clock: Callable[[], float] | None = None, **looks: Callable[[], Awaitable[bool]]
) -> Readiness:
    async def well() -> bool:
        return True

    return Readiness({name: looks.get(name, well) for name in CHECKS}, roles, clock or Ticks())


async def ill() -> bool:
    return False


def ask(one: Readiness, query: str = "") -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=one.routes()))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(f"/ready{query}")

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("wrong", "served"),
    [
        ("registry", {*ROLES}),
        ("journal", {*ROLES}),
        ("session_processes", {"web", "provider"}),
        ("keys", {"web"}),
        ("database", set()),
        ("accepting", set()),
    ],
)
def test_what_is_wrong_closes_the_roles_that_need_it_and_no_other(wrong: str, served: set[str]) -> None:
    one = readiness(**{wrong: ill})
    answer = ask(one)
    assert answer.json()["checks"] == {name: name != wrong for name in CHECKS}
    assert {role for role, well in answer.json()["roles"].items() if well} == served
    assert (answer.status_code, answer.json()["ready"]) == ((200, True) if served else (503, False))
    for role in ROLES:
        assert ask(one, f"?role={role}").status_code == (200 if role in served else 503)


def test_a_role_it_does_not_have_is_not_ready() -> None:
    assert ask(readiness(("web",)), "?role=provider").status_code == 503
    assert ask(readiness(("web",)), "?role=cook").status_code == 503
    assert ask(readiness(("web",))).json()["roles"] == {"web": True}


def test_a_database_that_is_away_or_hangs_is_not_ready_in_bounded_time() -> None:
    async def away() -> bool:
        raise OperationalError("select", {}, Exception("gone"))

    async def hangs() -> bool:
        await asyncio.sleep(60)
        return True

    assert ask(readiness(database=away)).status_code == 503
    began = time.monotonic()
    assert ask(readiness(database=hangs)).status_code == 503
    assert time.monotonic() - began < 4


def test_many_who_ask_cost_one_look() -> None:
    looks, clock = [], Ticks()

    async def look() -> bool:
        looks.append(1)
        await asyncio.sleep(0.01)
        return True

    one = readiness(clock=clock, database=look)

    async def crowd() -> None:
        await asyncio.gather(*(one.look() for _ in range(100)))

    asyncio.run(crowd())
    assert len(looks) == 1
    clock.now = 0.9
    asyncio.run(one.look())
    clock.now = 1.1
    asyncio.run(one.look())
    assert len(looks) == 2


@pytest.mark.parametrize("value", ["24AB12345", None, 7, "Zoë"])
def test_a_label_that_is_none_of_ours_is_other(value: object) -> None:
    one = counts.Metrics()
    for counted in counts.COUNTED:
        one.event(counted.event, dict.fromkeys(counted.labels, value) | {"seconds": 1.0})
    one.event("no such event", {"outcome": value})
    page = one.page({}).decode()
    assert "24AB12345" not in page and "Zoë" not in page and '"7"' not in page


async def _hello(_request: Request) -> Response:
    return Response("hello")


async def _breaks(_request: Request) -> Response:
    raise ValueError("24AB12345")


def requests(app: Starlette, *asked: tuple[str, str, dict[str, str]]) -> None:
    async def run() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for method, path, headers in asked:
                await client.request(method, path, headers=headers)

    asyncio.run(run())


def watched(*watchers: Any) -> Starlette:
    routes = [Route("/people/{number}", _hello), Route("/broken/{number}", _breaks)]
    middleware = [Middleware(Watched, watchers=watchers, rng=bytes), *(Middleware(one.middleware) for one in watchers)]
    return Starlette(routes=routes, middleware=middleware)


def test_requests_are_told_by_template() -> None:
    one = counts.Metrics()
    app = watched(one)
    requests(
        app, ("GET", "/people/24AB12345?name=Zoe", {}), ("GET", "/broken/24AB12345", {}), ("GET", "/24AB12345", {})
    )
    page = one.page({}).decode()
    assert 'alicem_requests_total{method="GET",route="/people/{number}",status="2xx"} 1.0' in page
    assert 'alicem_requests_total{method="GET",route="/broken/{number}",status="5xx"} 1.0' in page
    assert 'alicem_requests_total{method="GET",route="unmatched",status="4xx"} 1.0' in page
    assert "24AB12345" not in page and "Zoe" not in page


def test_a_trace_begins_here_and_says_route_and_status() -> None:
    exporter = InMemorySpanExporter()
    spans = Spans("http://127.0.0.1:9/v1/traces", 1.0, "w1", SimpleSpanProcessor(exporter))
    theirs = "0af7651916cd43dd8448eb211c80319c"
    header = {"traceparent": f"00-{theirs}-b7ad6b7169203331-01", "user-agent": "24AB12345"}
    requests(watched(spans), ("GET", "/people/24AB12345?name=Zoe", header), ("GET", "/broken/24AB12345", header))
    first, second = exporter.get_finished_spans()
    assert (first.name, second.name) == ("GET /people/{number}", "GET /broken/{number}")
    assert first.parent is None and f"{first.context.trace_id:032x}" != theirs
    assert dict(first.attributes or {}) == {"http.route": "/people/{number}", "http.response.status_code": 200}
    assert second.events == () and not second.status.is_ok
    assert "24AB12345" not in first.to_json() + second.to_json()


def test_a_collector_that_is_down_or_silent_costs_nothing() -> None:
    async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def run() -> tuple[float, float]:
        server = await asyncio.start_server(silence, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        spans = Spans(f"http://127.0.0.1:{port}/v1/traces", 1.0, "w1")
        began = time.monotonic()
        for _ in range(20_000):  # ten times what the queue holds
            spans.transaction("write", 0.001)
        told = time.monotonic() - began
        began = time.monotonic()
        await asyncio.to_thread(spans.close)
        return told / 20_000, time.monotonic() - began

    each, end = asyncio.run(run())
    assert each < 0.001 and end < 4


def test_a_store_that_is_watched_tells_kinds_and_times(sqlite_url: str) -> None:
    one = counts.Metrics()
    store = WatchedStore(sqlite_url, (one,))

    async def run() -> None:
        await store.write(lambda c: c.exec_driver_sql("select 1"))
        await store.read(lambda c: c.exec_driver_sql("select 1"))
        await store.look_up(lambda c: c.exec_driver_sql("select 1"))

    asyncio.run(run())
    assert store.waiting == 0
    store.close()
    page = one.page({}).decode()
    for kind in ("write", "read", "look_up"):
        assert f'alicem_transaction_seconds_count{{kind="{kind}"}} 1.0' in page


def test_the_listener_answers_one_page_and_bounds_who_asks() -> None:
    async def page() -> bytes:
        return b"alicem 1\n"

    async def run() -> list[bytes]:
        listener = Listener("127.0.0.1:0", page)
        await listener.start()
        assert listener._server is not None
        port = listener._server.sockets[0].getsockname()[1]
        answers = []
        for said in (b"GET /metrics HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"x" * 20_000, b"\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            try:
                answers.append(await asyncio.wait_for(reader.read(), 10))
            except ConnectionResetError:
                answers.append(b"")
            writer.close()
        await listener.close()
        return answers

    told, other, flood, nothing = asyncio.run(run())
    assert told.endswith(b"\r\n\r\nalicem 1\n") and b"200 OK" in told
    assert b"404" in other and flood == b"" and b"404" in nothing


def test_libraries_that_watch_are_loaded_where_they_are_asked_for_and_nowhere_else() -> None:
    code = "import sys, alicem.cli.operate; print(*sorted(name for name in sys.modules if name.split('.')[0] in ('prometheus_client', 'opentelemetry', 'requests')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_nobody_watches_unless_the_settings_say_so(tmp_path: Path) -> None:
    from alicem.app import watchers_of  # noqa: PLC0415

    settings = Settings(
        service=Service(profile="development", origin="http://localhost"),
        database=Database("sqlite://"),
        keys=Keys(tmp_path),
        trust=Trust(tmp_path),
        registry=Registry("http://localhost", tmp_path),
        mail=Mail("localhost", 25, "a@b.example"),
    )
    assert watchers_of(settings) == ()
    (one,) = watchers_of(replace(settings, metrics=Metrics("127.0.0.1:9100")))
    assert isinstance(one, counts.Metrics)
    (other,) = watchers_of(replace(settings, traces=Traces("http://127.0.0.1:9/v1/traces")))
    assert isinstance(other, Spans)
    other.close()

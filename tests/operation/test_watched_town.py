"""A provider with everything on that watches: somebody enrols and signs in, and counts, spans and log know steps and outcomes, never a person."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from starlette.routing import Mount, Route, WebSocketRoute

from alicem import app, log
from alicem.demo import headless, personas
from alicem.demo.headless import Report
from alicem.demo.town import Town, found
from alicem.settings import load
from alicem.watch import metrics, readiness, requests, traces
from free_ports import free_ports
from running_town import in_background

STRANGER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
"""A `traceparent` (W3C Trace Context §3.2) that somebody sends."""


@dataclass
class Collector:
    """An OTLP collector: every span it was sent."""

    spans: list[Any] = field(default_factory=list)
    resources: list[Any] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(resource.resource)
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]


@dataclass
class Watched:
    town: Town
    metrics: str
    collector: Collector
    report: Report
    routes: set[str]

    def samples(self) -> dict[str, list[Any]]:
        page = httpx.get(f"{self.metrics}/metrics", trust_env=False).raise_for_status().text
        return {family.name: family.samples for family in text_string_to_metric_families(page)}

    def value(self, name: str, **labels: str) -> float:
        families = self.samples()
        found = (one for family in families.values() for one in family if one.name == name and one.labels == labels)
        return next(found).value

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.town.provider_folder / "alicem.log").read_text().splitlines()]


@pytest.fixture(scope="module")
def collector() -> Iterator[tuple[Collector, int]]:
    collector = Collector()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield collector, server.server_address[1]
    server.shutdown()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, collector: tuple[Collector, int]) -> Iterator[Watched]:
    town = Town(tmp_path_factory.mktemp("watched"), free_ports())
    people = personas.load()
    found(town, tuple(people.values()))
    spans, port = collector
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    file = town.provider_folder / "alicem.toml"
    more = f'access = true\n[metrics]\nlisten = "{listen}"\n[traces]\nendpoint = "http://127.0.0.1:{port}/v1/traces"\nsample = 1\n'
    file.write_text(file.read_text() + more)
    with in_background(town):
        httpx.get(f"{town.alicem}/nowhere/{'24AB12345'}?name=Lefevre", headers={"traceparent": STRANGER})
        httpx.request("PROPFIND", f"{town.alicem}/help", headers={"user-agent": "Lefevre"})
        httpx.post(f"{town.alicem}/suspend", data={"code": "Lefevre"})
        httpx.post(f"{town.alicem}/phone/instruction", content=b"{24AB12345")
        httpx.get(f"{town.alicem}/status/47110815471108")
        nonsense(town.base)
        report = asyncio.run(headless.way_in(town, people["zoe"], "", lambda *_: None, town.folder / "phone"))
        time.sleep(6)  # spans leave every five seconds
        yield Watched(town, f"http://{listen}", spans, report, _routes(file))


def nonsense(port: int) -> None:
    """What is no HTTP, and a WebSocket that is broken off in the middle of a frame."""
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: Lefevre\r\n"
    said = (
        b"\x16\x03\x01Lefevre\r\n\r\n",
        b"GET /Lefevre HTTP/9.9\r\nHost: 24AB12345\r\n\r\n",
        b"POST /phone/instruction HTTP/1.1\r\nHost: x\r\nContent-Length: Lefevre\r\n\r\n",
        f"GET /enrolment/w1/Lefevre HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n".encode() + b"\x81\xfe\xff\xffLefevre",
    )
    for one in said:
        with socket.create_connection(("127.0.0.1", port), 5) as line:
            line.sendall(one)
            line.settimeout(2)
            with contextlib.suppress(OSError):
                line.recv(1000)


def _routes(file: Path) -> set[str]:
    parts = app.build(load(file))
    try:
        routes = [one for one in parts.app.routes if isinstance(one, (Route, WebSocketRoute, Mount))]
        return {one.path for one in routes}
    finally:
        parts.store.close()


def test_the_way_in_was_counted(watched: Watched) -> None:
    assert watched.report.service is not None, watched.report
    assert watched.value("alicem_enrolments_total", outcome="done") == 1
    assert watched.value("alicem_enrolments_asked_total", outcome="begun") == 1
    assert watched.value("alicem_enrolment_steps_total", step="confirmation") == 1
    assert watched.value("alicem_face_tries_total", outcome="accept", reason="none") >= 1
    assert watched.value("alicem_letters_total", outcome="sent") == 1
    assert watched.value("alicem_registry_calls_total", call="check", outcome="answered") == 1
    assert watched.value("alicem_registry_calls_total", call="letters", outcome="answered") == 1
    assert watched.value("alicem_sign_ins_total", outcome="begun") == 1
    assert watched.value("alicem_sign_ins_total", outcome="done") == 1
    assert watched.value("alicem_instructions_total", outcome="done") >= 2
    assert watched.value("alicem_instructions_total", outcome="instruction_refused") == 1
    assert watched.value("alicem_suspensions_total", outcome="not_found") == 1
    assert watched.value("alicem_requests_total", route="unmatched", method="GET", status="4xx") == 1
    assert watched.value("alicem_requests_total", route="/help", method="other", status="4xx") == 1
    assert watched.value("alicem_requests_total", route="/phone/instruction", method="POST", status="4xx") == 1
    assert watched.value("alicem_transaction_seconds_count", kind="write") > 5
    assert watched.value("alicem_session_places") == 3
    assert watched.value("alicem_journal_unsealed_seconds") <= 5
    assert watched.value("alicem_key_use_by_seconds", purpose="signing") > 300 * 86_400
    assert watched.value("alicem_check", check="database") == 1


def test_every_label_is_of_a_closed_list(watched: Watched) -> None:
    known = {
        "route": {*watched.routes, requests.UNMATCHED},
        "method": {*requests.METHODS, "WEBSOCKET", "other"},
        "status": {*metrics.STATUSES},
        "kind": {"write", "read", "look_up"},
        "check": {"accepting", "database", "keys", "session_processes", "journal", "registry"},
        "purpose": {*_purposes()},
    }
    for one in metrics.COUNTED:
        for label, values in one.labels.items():
            known.setdefault(label, set()).update(values)
    for family in watched.samples().values():
        for sample in family:
            for label, value in sample.labels.items():
                if label == "le":
                    float(value)
                else:
                    assert value in known[label], f"{sample.name}: {label}={value}"


def _purposes() -> set[str]:
    from alicem.keys.purposes import PURPOSES  # noqa: PLC0415

    return set(PURPOSES)


def test_metrics_have_an_address_of_their_own_alone(watched: Watched) -> None:
    assert httpx.get(f"{watched.town.alicem}/metrics", trust_env=False).status_code == 404
    assert httpx.get(f"{watched.metrics}/ready", trust_env=False).status_code == 404
    assert httpx.post(f"{watched.metrics}/metrics", trust_env=False).status_code == 404


def test_spans_have_names_and_attributes_of_closed_lists(watched: Watched) -> None:
    spans = watched.collector.spans
    roots = [span for span in spans if span.kind == 2]
    names = {f"{method} {route}" for method in (*requests.METHODS, "WEBSOCKET", "other") for route in watched.routes}
    names |= {"GET unmatched", *traces.EVENTS, *(f"transaction {kind}" for kind in ("write", "read", "look_up"))}
    assert {span.name for span in spans} <= names
    assert {"POST /phone/instruction", "registry asked", "letter", "transaction write"} <= {span.name for span in spans}
    allowed = {"http.route", "http.response.status_code", "call", "outcome"}
    assert {one.key for span in spans for one in span.attributes} <= allowed
    assert all(not span.events and not span.links for span in spans)
    assert {one.key for resource in watched.collector.resources for one in resource.attributes} == {
        "service.name",
        "service.instance.id",
    }
    assert all(not span.parent_span_id for span in roots)
    assert STRANGER.split("-")[1] not in {span.trace_id.hex() for span in spans}
    of_requests = {span.trace_id for span in roots}
    assert {span.trace_id for span in spans if span.name in ("registry asked", "letter")} <= of_requests


def test_the_log_is_json_of_listed_events(watched: Watched) -> None:
    for line in watched.log():
        names = line.keys() - {"event", "level", "timestamp", "request", "exception"}
        assert names <= {*log.EVENTS[line["event"]]}, line
    libraries = [line for line in watched.log() if line["event"] == "library"]
    assert "Invalid HTTP request received." in {line["text"] for line in libraries}
    of_access = [line for line in watched.log() if line["event"] == "request"]
    assert {line["route"] for line in of_access} <= {*watched.routes, requests.UNMATCHED}
    assert len({line["request"] for line in of_access}) == len(of_access)


def test_nothing_of_a_person_or_a_stranger_is_in_any_of_it(watched: Watched) -> None:
    page = httpx.get(f"{watched.metrics}/metrics", trust_env=False).text
    everything = page + "".join(map(str, watched.collector.spans)) + json.dumps(watched.log(), ensure_ascii=False)
    persona = personas.load()["zoe"]
    for value in (
        "Lefevre",
        "47110815471108",
        "24AB12345",
        "traceparent",
        "courriel",
        persona.shown_name,
        "FranceConnect",
    ):
        assert value not in everything, value


def test_ready_names_each_check_and_is_looked_at_once_a_second(watched: Watched) -> None:
    answer = httpx.get(f"{watched.town.alicem}/ready", trust_env=False)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "ready": True,
            "roles": {"web": True, "enrolment": True, "provider": True},
            "checks": dict.fromkeys(
                ("accepting", "database", "keys", "session_processes", "journal", "registry"), True
            ),
        },
    )
    assert answer.headers["cache-control"] == "no-store"
    writes = watched.value("alicem_transaction_seconds_count", kind="write")
    with httpx.Client(trust_env=False) as client:
        for _ in range(200):
            client.get(f"{watched.town.alicem}/ready")
    assert watched.value("alicem_transaction_seconds_count", kind="write") - writes < 40
    assert readiness.SECONDS == 1

"""Spans by OpenTelemetry, sent by OTLP over HTTP: requests, transactions, calls to the registry, letters. Never a path, a query or a number of anything.

Loaded only where `traces.endpoint` is set, and wants the extra `traces`. A trace begins here: what a stranger sends as `traceparent` is not
looked at. Spans wait in a bounded queue for a thread of their own; where nobody takes them they are dropped.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode
from starlette.types import ASGIApp, Receive, Scope, Send

from alicem.watch.requests import STATUS, method_of, route_of
from alicem.watch.watcher import Gauges

EVENTS = {"registry asked": ("call", "outcome"), "letter": ("outcome",), "face try": ("outcome",)}
"""Events that are spans, with the values that are attributes: words of closed lists."""
_MOST_WAITING, _SECONDS = 2048, 2.0


class Traces:
    """A watcher that makes spans. `sample`: share of requests that are traced."""

    def __init__(self, endpoint: str, sample: float, worker: str, processor: SpanProcessor | None = None) -> None:
        # Nothing is taken from the environment: neither its attributes nor its name of this machine.
        resource = Resource({"service.name": "alicem", "service.instance.id": worker})
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(sample)), resource=resource, shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor or _to(endpoint))
        self._tracer = self._provider.get_tracer("alicem")

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """Inside `Watched`: a span for each request, under which the others are."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await app(scope, receive, send)
                return
            with self._tracer.start_as_current_span(
                method_of(scope), Context(), SpanKind.SERVER, record_exception=False, set_status_on_exception=False
            ) as span:
                try:
                    await app(scope, receive, send)
                finally:
                    status = scope.get(STATUS, 500)
                    span.update_name(f"{method_of(scope)} {route_of(scope)}")
                    span.set_attributes({"http.route": route_of(scope), "http.response.status_code": status})
                    if status >= 500:
                        span.set_status(StatusCode.ERROR)

        return traced

    def event(self, name: str, values: Mapping[str, Any]) -> None:
        if name in EVENTS:
            attributes = {key: str(values[key]) for key in EVENTS[name] if values.get(key) is not None}
            self._span(name, float(values.get("seconds", 0.0)), attributes)

    def transaction(self, kind: str, seconds: float) -> None:
        self._span(f"transaction {kind}", seconds, {})

    def request(self, kind: str, route: str, method: str, status: int, seconds: float) -> None:
        """Told by `middleware`, which is there from the beginning of it."""

    def page(self, gauges: Gauges) -> bytes:
        """Nothing is collected."""
        return b""

    def close(self) -> None:
        """Send what waits; who does not take it at once gets the rest no more."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(_SECONDS)

    def _span(self, name: str, seconds: float, attributes: Mapping[str, str]) -> None:
        end = time.time_ns()
        span = self._tracer.start_span(name, attributes=attributes, start_time=end - int(seconds * 1e9))
        span.end(end)


def _to(endpoint: str) -> SpanProcessor:
    return BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=_SECONDS), max_queue_size=_MOST_WAITING)

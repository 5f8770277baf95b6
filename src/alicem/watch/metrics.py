"""Counts for Prometheus. A label's values come from the closed lists of this file and of reasons.toml; whatever is none of them is `other`.

Loaded only where `metrics.listen` is set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import ASGIApp

from alicem import reasons
from alicem.watch.watcher import Gauges

OTHER, NONE = "other", "none"
STEPS = ("choose", "contact", "document", "chip", "document and chip", "face", "code", "confirmation")
REASONS = tuple(reasons.load())
STATUSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


@dataclass(frozen=True)
class Counted:
    """A counter, and a histogram where `seconds` has buckets, of one event of the log. `labels`: with all their values."""

    event: str
    name: str
    help: str
    labels: Mapping[str, tuple[str, ...]]
    seconds: tuple[float, ...] = ()


COUNTED = (
    Counted(
        "enrolment asked",
        "alicem_enrolments_asked",
        "Enrolments asked for.",
        {"outcome": ("begun", "rate_limited", "full", "draining")},
    ),
    Counted("step", "alicem_enrolment_steps", "Steps of enrolment that were passed.", {"step": STEPS}),
    Counted("refused", "alicem_enrolment_refusals", "Enrolments refused.", {"step": STEPS, "reason": REASONS}),
    Counted(
        "enrolment ended",
        "alicem_enrolments",
        "Enrolments that ended.",
        {"outcome": ("done", "refused", "expired", "broken")},
        _SLOW,
    ),
    Counted(
        "face try",
        "alicem_face_tries",
        "Face tries.",
        {"outcome": ("accept", "refuse", "doubtful", "interrupted"), "reason": (NONE, *REASONS)},
    ),
    Counted("letter", "alicem_letters", "Letters with a code.", {"outcome": ("sent", "failed")}, _FAST),
    Counted(
        "instruction",
        "alicem_instructions",
        "Instructions of phones; `done` and `code_wrong` are tries of the code.",
        {"outcome": ("done", *REASONS)},
    ),
    Counted(
        "suspension",
        "alicem_suspensions",
        "Suspension codes typed.",
        {"outcome": ("done", "not_found", "limited")},
    ),
    Counted("sign-in", "alicem_sign_ins", "Sign-ins.", {"outcome": ("begun", "done", *REASONS)}),
    Counted(
        "registry asked",
        "alicem_registry_calls",
        "Calls to the State's registry.",
        {"call": ("check", "letters"), "outcome": ("answered", "timed_out", "away", "wrong")},
        _FAST,
    ),
    Counted(
        "registry notice",
        "alicem_registry_notices",
        "Documents the State declared.",
        {"notice": ("lost", "stolen", "cancelled", "deceased")},
    ),
    Counted("session process died", "alicem_session_processes_died", "Session processes that died.", {}),
    Counted("session process hangs", "alicem_session_processes_hung", "Session processes ended for hanging.", {}),
    Counted(
        "a job failed", "alicem_jobs_failed", "Recurring jobs that failed.", {"job": ("_seal", "_sweep", "_retain")}
    ),
)

GAUGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "alicem_check": ("1 where a check of /ready is well.", ("check",)),
    "alicem_session_places": ("Session processes this worker may have at once.", ()),
    "alicem_session_busy": ("Session processes in use.", ()),
    "alicem_session_waiting": ("People who wait for one.", ()),
    "alicem_enrolments_open": ("Enrolments under way.", ()),
    "alicem_journal_unsealed_rows": ("Rows of the journal no seal covers yet.", ()),
    "alicem_journal_unsealed_seconds": ("Age of the oldest of these.", ()),
    "alicem_key_use_by_seconds": ("Seconds until the key in use is past its last day.", ("purpose",)),
    "alicem_writes_waiting": ("Works that wait for a database writer.", ()),
}
"""What is asked at each collection: name, help, labels."""


class Metrics:
    """A watcher that counts. One registry of its own: libraries add nothing to it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = self._counter("alicem_requests", "Requests.", ("route", "method", "status"))
        self._latencies = self._histogram(
            "alicem_request_seconds", "From request to the end of its answer.", ("route",)
        )
        self._transactions = self._histogram("alicem_transaction_seconds", "Database transactions.", ("kind",))
        self._counters = {one.event: self._counter(one.name, one.help, tuple(one.labels)) for one in COUNTED}
        self._durations = {
            one.event: self._histogram(f"{one.name}_seconds", one.help, (), one.seconds)
            for one in COUNTED
            if one.seconds
        }
        self._labels = {one.event: one.labels for one in COUNTED}
        self._gauges = {
            name: Gauge(name, text, labels, registry=self.registry) for name, (text, labels) in GAUGES.items()
        }

    def event(self, name: str, values: Mapping[str, Any]) -> None:
        counter = self._counters.get(name)
        if counter is None:
            return
        labels = {label: _one_of(known, values.get(label)) for label, known in self._labels[name].items()}
        (counter.labels(**labels) if labels else counter).inc()
        if name in self._durations and "seconds" in values:
            self._durations[name].observe(values["seconds"])

    def transaction(self, kind: str, seconds: float) -> None:
        self._transactions.labels(kind).observe(seconds)

    def request(self, kind: str, route: str, method: str, status: int, seconds: float) -> None:
        self._requests.labels(route, method, f"{status // 100}xx").inc()
        if kind == "http":  # a WebSocket lasts as long as its enrolment
            self._latencies.labels(route).observe(seconds)

    def middleware(self, app: ASGIApp) -> ASGIApp:
        return app

    def close(self) -> None:
        """Nothing waits."""

    def page(self, gauges: Gauges) -> bytes:
        """What Prometheus collects. `gauges`: of `GAUGES`."""
        for name, value in gauges.items():
            if isinstance(value, Mapping):
                for label, number in value.items():
                    self._gauges[name].labels(label).set(number)
            else:
                self._gauges[name].set(value)
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...] = _FAST
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)


def _one_of(known: tuple[str, ...], value: object) -> str:
    if value is None:
        return NONE
    return str(value) if value in known else OTHER

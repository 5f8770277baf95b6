"""The same on PostgreSQL: one way through everything that is stored."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from broker_peers import Clock, Serve, Service

import postgres
from alicem.broker import BrokerSettings, kept, records
from alicem.broker.app import app as application
from alicem.settings import Database
from alicem.store import Store


@pytest.fixture
def url(cluster: postgres.Cluster) -> Iterator[str]:
    name = cluster.create()
    yield cluster.url(name)
    cluster.drop(name)


def test_a_way_through_everything_that_is_stored(
    url: str, serve: Serve, settings: BrokerSettings, clock: Clock
) -> None:
    on_postgresql = replace(settings, database=Database(url))
    origin = serve(application(on_postgresql, clock), int(settings.origin.rsplit(":", 1)[1]))
    service = Service(origin)
    code = service.code()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: service.redeem(code).status_code, range(8)))
    assert sorted(answers) == [200] + [400] * 7
    assert service.other("private").at_information() is not None
    clock.pass_by(minutes=1)
    rows = re.findall(r'name="report" value="(\w{12})"', service.open_history().text)
    assert len(rows) == 2
    assert service.post("/history", report=rows[1]).headers["location"] == f"/history?told={rows[1]}"
    service.post("/history", block="small")
    assert "blocked_by_you" in service.through_provider(service.begin()).text
    store = Store(url)
    later = int(clock().timestamp()) + kept.SIX_MONTHS + 1
    now = int(clock().timestamp())
    for name in ("one", "two"):
        asyncio.run(store.write(lambda connection, name=name: kept.queue(connection, name, now, now + 9, b"sealed")))
    due = [asyncio.run(store.write(lambda c: kept.due(c, now, 10, now + 5))) for _ in range(2)]
    assert (sorted(due[0]), due[1]) == ([("one", 0, b"sealed"), ("two", 0, b"sealed")], []), "each is taken once"
    asyncio.run(store.write(lambda connection: records.expire(connection, later)))
    asyncio.run(store.write(lambda connection: kept.expire(connection, later)))
    assert asyncio.run(store.read(kept.reported)) == []
    store.close()

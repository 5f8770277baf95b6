"""Letters that wait: tried again with growing pauses, given up within a day, sent once; and what the log says of it all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker_peers import ANGELA, Clock, Provider, Service, free_port
from sqlalchemy import func, select
from structlog.testing import capture_logs

from alicem.broker import kept
from alicem.broker.app import VERSIONS
from alicem.broker.post import LIVES, PAUSES, Letter, Post
from alicem.demo.mailbox import MailBox
from alicem.settings import Mail
from alicem.store import Store, upgrade

LETTER = Letter("angela@courriel.example", "Sujet : é", "Bonjour,\n\nÇa va ?\n")
NOW = 1_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/one.db")
    upgrade(made.engine, VERSIONS)
    yield made
    made.close()


def post(port: int) -> Post:
    return Post(Mail("127.0.0.1", port, "broker@courriel.example", tls="none"), b"k" * 32, lambda n: bytes(range(n)))


async def waiting(store: Store) -> list[tuple[int, int]]:
    rows = await store.read(lambda c: c.execute(select(kept.letters.c.tries, kept.letters.c.due)).all())
    return [tuple(row) for row in rows]


def test_pauses_grow_and_end(store: Store) -> None:
    async def run() -> None:
        mine, at = post(free_port()), NOW
        await store.write(lambda connection: mine.put(connection, LETTER, NOW))
        for tries, pause in enumerate(PAUSES, 1):
            await mine.deliver(store, at)
            assert await waiting(store) == [(tries, at + pause)]
            await mine.deliver(store, at + pause - 1)
            assert await waiting(store) == [(tries, at + pause)], "not before its time"
            at += pause
        await mine.deliver(store, at)
        assert await waiting(store) == []
        assert at - NOW < LIVES

    asyncio.run(run())


def test_a_letter_arrives_whole_and_once(store: Store) -> None:
    async def run() -> None:
        box, port = MailBox(), free_port()
        server = await box.listen(f"127.0.0.1:{port}")
        mine = post(port)
        await store.write(lambda connection: mine.put(connection, LETTER, NOW))
        await asyncio.gather(*(mine.deliver(store, NOW) for _ in range(4)))
        [letter] = box.letters(LETTER.to)
        assert (letter.subject, letter.text.replace("\r\n", "\n")) == (LETTER.subject, LETTER.text)
        assert await waiting(store) == []
        server.close()

    asyncio.run(run())


def test_without_a_relay_nothing_is_kept(store: Store) -> None:
    none = Post(None, b"k" * 32, bytes)

    async def run() -> int:
        await store.write(lambda connection: none.put(connection, LETTER, NOW))
        await none.deliver(store, NOW)
        return await store.read(lambda c: c.execute(select(func.count()).select_from(kept.letters)).scalar_one())

    assert asyncio.run(run()) == 0


def test_the_log_names_nobody(timed: str, provider: Provider, clock: Clock) -> None:
    with capture_logs() as logged:
        service = Service(timed)
        service.code()
        provider.claims |= {"photo": "…", "email": "angela"}
        provider.error = "<script>"
        service.through_provider(service.begin(prompt="login"))
        provider.error = None
        service.through_provider(service.begin(prompt="login"))
    told = [one for one in logged if one["event"] in ("sign-in failed", "letter", "settings file not read")]
    assert [one["failure"] for one in told] == ["error_other", "provider_claim_unasked"]
    assert all(one.keys() <= {"event", "log_level", "provider", "failure"} for one in told)
    assert not [value for value in ANGELA.values() if value in str(logged)]

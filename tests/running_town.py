"""A demonstration in the background of a test: its processes run until the test is over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from alicem.demo.town import Town, running

ENROLMENT_ALONE = frozenset({"broker", "services", "identifiant"})
"""What a town does without where nobody signs in."""


@contextmanager
def in_background(town: Town) -> Iterator[Town]:
    """Start what was founded, wait until it answers, stop it at the end."""
    started, stop = threading.Event(), asyncio.Event()
    failure: list[BaseException] = []
    loop = asyncio.new_event_loop()

    async def main() -> None:
        async with running(town):
            started.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(main())
        except BaseException as error:  # noqa: BLE001 - told by whoever started it
            failure.append(error)
            started.set()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    if failure:
        raise failure[0]
    try:
        yield town
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()

"""Rows go with their term, whole segments at a time; their seals stay, and a row of the journal says what went and after how many years."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from alicem.journal import records
from alicem.journal.verify import term
from alicem.store import Store

BATCH = 5_000  # rows a transaction, and as many more as their last segment has
ALWAYS = 100
"""Rows that a run may drop whatever share of the journal they are."""


class TooManyRows(Exception):
    """More of the journal would go at once than a run drops by itself. Nothing was dropped."""

    def __init__(self, due: int, rows: int) -> None:
        super().__init__(f"{due} of {rows} rows of the journal would be dropped at once")
        self.due, self.rows = due, rows


@dataclass(frozen=True)
class Due:
    """Segments `first` to `last` are older than their term, `rows` in all. `ends`: the rows after which a transaction ends."""

    first: int
    last: int
    rows: int
    ends: tuple[int, ...]


async def prune(
    store: Store,
    years: int,
    *,
    now: datetime,
    rng: Callable[[int], bytes],
    most_at_once: float,
    whatever_share: bool = False,
    batch: int = BATCH,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Drop the rows of segments sealed longer ago than the term; how many. Raises `TooManyRows`, unless `whatever_share`.

    It is written down before anything goes: a run that was broken off is gone on with by the next, and the journal verifies in between.
    """
    due, rows = await store.read(lambda c: (_due(c, int((now - term(years)).timestamp()), batch), records.held(c)))
    if due is None:
        return 0
    if due.rows > max(ALWAYS, most_at_once * rows) and not whatever_share:
        raise TooManyRows(due.rows, rows)
    content = {"first": due.first, "last": due.last, "years": years}
    await store.write(lambda c: records.append(c, now, "pruned", rng, content=content))
    dropped = 0
    for end in due.ends:
        progress(dropped, due.rows)
        dropped += await store.write(lambda c, end=end: records.drop(c, end))  # type: ignore[misc]
    progress(dropped, due.rows)
    return dropped


def _due(connection: Connection, before: int, batch: int) -> Due | None:
    """What was sealed before this time and still has rows, up to the first segment that is younger."""
    oldest = records.oldest_row(connection)
    first = records.segment_of(connection, oldest) if oldest is not None else None
    if oldest is None or first is None:
        return None
    ends: list[int] = []
    last = 0
    end = oldest - 1
    for segment in records.segments_from(connection, first):
        if segment.at >= before:
            break
        last, end = segment.number, segment.last
        if end - (ends[-1] if ends else oldest - 1) >= batch:
            ends.append(end)
    return Due(first, last, end - oldest + 1, (*ends, end)) if last else None

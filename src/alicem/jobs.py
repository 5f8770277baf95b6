"""What recurs: each minute what has expired goes, each day what was kept for its term. `alicem jobs run` does both once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime

from alicem import journal, limits, provider
from alicem.accounts import records as accounts_records
from alicem.accounts import retention
from alicem.accounts.retention import Progress, TooMany
from alicem.journal import TooManyRows
from alicem.settings import Retention
from alicem.store import Store

__all__ = ["Progress", "Report", "TooMany", "TooManyRows", "retain", "sweep"]


@dataclass(frozen=True)
class Report(retention.Report):
    """And how many rows of the journal went."""

    journal_rows: int = 0


async def sweep(store: Store, kept: Retention, now: datetime) -> None:
    """Drop challenges, approvals, face tries, sign-ins, codes, tokens and counts that have expired."""
    await store.write(lambda c: accounts_records.expire(c, now, kept.face_try_days))
    await store.write(lambda c: provider.expire(c, now))
    await store.write(lambda c: limits.expire(c, now))


async def retain(
    store: Store,
    kept: Retention,
    *,
    now: datetime,
    rng: Callable[[int], bytes],
    whatever_share: bool = False,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Erase accounts that have outlived a term, then rows of the journal. Raises `TooMany` before anything is erased, `TooManyRows` before
    any row is; neither where `whatever_share`."""
    accounts = await retention.run(store, kept, now=now, rng=rng, whatever_share=whatever_share, progress=progress)
    rows = await journal.prune(
        store,
        kept.journal_years,
        now=now,
        rng=rng,
        most_at_once=kept.most_at_once,
        whatever_share=whatever_share,
        progress=progress,
    )
    return Report(**asdict(accounts), journal_rows=rows)

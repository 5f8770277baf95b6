"""What recurs: each minute what has expired goes, each day what was kept for its term. `alicem jobs run` does both once."""

from __future__ import annotations

from datetime import datetime

from alicem import provider
from alicem.accounts import records as accounts_records
from alicem.accounts.retention import Progress, Report, TooMany
from alicem.accounts.retention import run as retain
from alicem.settings import Retention
from alicem.store import Store

__all__ = ["Progress", "Report", "TooMany", "retain", "sweep"]


async def sweep(store: Store, kept: Retention, now: datetime) -> None:
    """Drop challenges, approvals, face tries, sign-ins, codes and tokens that have expired."""
    await store.write(lambda c: accounts_records.expire(c, now, kept.face_try_days))
    await store.write(lambda c: provider.expire(c, now))

"""Accounts end with their time: years after the identity check, years without use, months unfinished (decree 2022-676).

The database knows months alone. Of the month in which a term ends nobody knows the day, so what is kept for a term goes in the first run
after that month: never early, at most a month late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, case, exists, func, select

from alicem import journal
from alicem.accounts import life
from alicem.accounts.records import remove_waiting_phones
from alicem.accounts.states import Event, Stage, State
from alicem.accounts.tables import accounts, phones
from alicem.credential import Status, set_status
from alicem.settings import Retention
from alicem.store import Store

BATCH = 100  # accounts a transaction, some 50 ms: sign-ins wait for one at most
ALWAYS = 100
"""Accounts that a run may erase whatever share of all they are."""

Random = Callable[[int], bytes]
Progress = Callable[[int, int], None]
"""Told how many accounts are done, and of how many."""
Batch = Callable[[Connection, list[int]], Counter[str]]


class TooMany(Exception):
    """More accounts would go at once than a run erases by itself. Nothing was erased."""

    def __init__(self, due: int, accounts: int) -> None:
        super().__init__(f"{due} of {accounts} accounts would be erased at once")
        self.due, self.accounts = due, accounts


@dataclass(frozen=True)
class Ended:
    """A month (`YYYY-MM`) for each term: what is of an earlier month has outlived it."""

    checked: str
    used: str
    begun: str

    @classmethod
    def at(cls, now: datetime, kept: Retention) -> Ended:
        return cls(
            _months_before(now, 12 * kept.identity_check_years),
            _months_before(now, 12 * kept.idle_years),
            _months_before(now, kept.unfinished_months),
        )


@dataclass(frozen=True)
class Report:
    """How many accounts were erased, by reason, and how many phones that never gave a first right code."""

    identity_check: int = 0
    idle: int = 0
    unfinished: int = 0
    phones: int = 0


async def run(
    store: Store,
    kept: Retention,
    *,
    now: datetime,
    rng: Random,
    whatever_share: bool = False,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Erase what has outlived its term, a batch a transaction. Raises `TooMany`, unless `whatever_share`."""
    ended = Ended.at(now, kept)
    due = await store.read(lambda c: list(c.execute(_due(ended)).scalars()))
    living = await store.read(lambda c: int(c.execute(select(func.count()).select_from(accounts)).scalar_one()))
    if len(due) > max(ALWAYS, kept.most_at_once * living) and not whatever_share:
        raise TooMany(len(due), living)
    erased = await _in_batches(store, due, lambda c, batch: _erase(c, batch, ended, now, rng), progress)
    waiting = await store.read(lambda c: list(c.execute(_waiting(ended)).scalars()))
    removed = await _in_batches(store, waiting, lambda c, batch: _remove(c, batch, ended, now, rng), progress)
    return Report(**erased, **removed)


async def _in_batches(store: Store, numbers: list[int], work: Batch, progress: Progress) -> Counter[str]:
    counts: Counter[str] = Counter()
    for first in range(0, len(numbers), BATCH):
        progress(first, len(numbers))
        batch = numbers[first : first + BATCH]
        counts += await store.write(lambda c, these=batch: work(c, these))  # type: ignore[misc]
    progress(len(numbers), len(numbers))
    return counts


def _due(ended: Ended) -> Select[Any]:
    """Numbers of accounts, each with why it is to go."""
    active_phone = exists().where(phones.c.account == accounts.c.number, phones.c.stage == Stage.ACTIVE)
    reason = case(
        (accounts.c.checked_month < ended.checked, "identity_check"),
        (and_(accounts.c.used_month < ended.used, accounts.c.checked_month < ended.used), "idle"),
        (
            and_(accounts.c.state != State.ACTIVE, accounts.c.checked_month < ended.begun, ~active_phone),
            "unfinished",
        ),
    )
    return select(accounts.c.number, reason.label("reason")).where(reason.is_not(None))


def _waiting(ended: Ended) -> Select[Any]:
    """Accounts with phones that never gave a right code. A phone is of the month of its account's last identity check: each check removes the waiting."""
    outlived = (phones.c.stage != Stage.ACTIVE) & (accounts.c.checked_month < ended.begun)
    return select(accounts.c.number).distinct().select_from(phones.join(accounts)).where(outlived)


def _erase(connection: Connection, numbers: list[int], ended: Ended, now: datetime, rng: Random) -> Counter[str]:
    """Those of `numbers` that are still due."""
    query = _due(ended).where(accounts.c.number.in_(numbers)).with_for_update(of=accounts)
    rows = connection.execute(query).all()
    for row in rows:
        life.apply(connection, row.number, Event.EXPIRE, by=row.reason, now=now, rng=rng)
    return Counter(row.reason for row in rows)


def _remove(connection: Connection, numbers: list[int], ended: Ended, now: datetime, rng: Random) -> Counter[str]:
    counts: Counter[str] = Counter()
    for number in connection.execute(_waiting(ended).where(accounts.c.number.in_(numbers))).scalars().all():
        removed = remove_waiting_phones(connection, number)
        for index in removed:
            set_status(connection, index, Status.REVOKED)
        content = {"by": "unfinished", "phones": len(removed)}
        journal.append(connection, now, "phones_removed", rng, account=number, content=content)
        counts["phones"] += len(removed)
    return counts


def _months_before(now: datetime, months: int) -> str:
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    return f"{max(year, 0):04}-{month + 1:02}"

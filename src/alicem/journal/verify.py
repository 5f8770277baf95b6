"""Verify a journal from beginning to end, part by part: every row, every seal, what is gone and whether the journal says why."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from alicem.jose import BadToken
from alicem.journal.chain import (
    BEFORE_ALL,
    MOST,
    OF_ACCOUNTS,
    SALT,
    SEAL,
    JournalBroken,
    Part,
    PublicKeys,
    Row,
    Segment,
    digest,
    payload,
    public_keys,
    root_of,
    signed,
)
from alicem.journal.checkpoint import Against, Checkpoint
from alicem.journal.records import whole
from alicem.keys import SigningKey

_ERASABLE = frozenset(event.encode() for event in OF_ACCOUNTS)
_ENDS = (b"account_closed", b"account_expired")
_HEARD = frozenset({b"pruned", b"restored", *_ENDS})
_REMEMBERED = 1024  # segments between a backup's last seal and the row that tells of its restoring: ten million rows


def term(years: int) -> timedelta:
    """How long rows are kept. A year has 366 days: nothing goes early."""
    return timedelta(days=366 * years)


@dataclass(frozen=True)
class Findings:
    """What a journal that holds is made of.

    `sealed`: the last row under a seal, `sealed_at`: when that was (Unix time), `sealed_by`: segments by key. `pruned`: segments whose
    rows went with their term. `erased`: rows without content, `ended`: accounts that ended, by closing or expiry. `unsealed`: rows after
    the last seal, the oldest of `oldest_unsealed` (Unix time). `declared`: what restored backups lost, as the journal itself says.
    """

    sealed: int
    sealed_at: int | None
    sealed_by: Mapping[str, int]
    segments: int
    pruned: int
    erased: int
    ended: int
    unsealed: int
    oldest_unsealed: int | None
    declared: tuple[str, ...]


def verify(connection: Connection, keys: Iterable[SigningKey]) -> int:
    """Check the journal of a database; the number of the last row under a seal. Raises `JournalBroken`."""
    return verify_parts(whole(connection), public_keys(keys)).sealed


def verify_parts(
    parts: Iterable[Part],
    keys: PublicKeys,
    *,
    checkpoints: Iterable[Checkpoint] = (),
    since: Checkpoint | None = None,
    years: int = 1,
    progress: Callable[[int], None] = lambda row: None,
) -> Findings:
    """Check a journal, given in order. Raises `JournalBroken`.

    `checkpoints`: made earlier and kept elsewhere. `since`: `parts` begin with the segment of this one, no checkpoint is older, and what
    came before was verified when it was made. `years`: rows that are gone were to be kept at least so long. `progress`: told the last row looked at.
    """
    begun = 1 if since is None else since.segment
    against = Against([*checkpoints, *([] if since is None else [since])])
    reading = _Reading(keys, against, begun, years)
    for segment, rows in parts:
        if segment is None:
            reading.take_loose(rows)
        else:
            reading.take(segment, rows)
        progress(rows[-1].number if rows else reading.last)
    return reading.end()


class _Reading:
    """How far the verification has come: bounded, however long the journal."""

    def __init__(self, keys: PublicKeys, against: Against, begun: int, years: int) -> None:
        self.keys, self.against, self.begun, self.years = keys, against, begun, years
        self.segments = self.pruned = begun - 1
        self.last = self.pruned_at = self.erased = self.ended = self.unsealed = 0
        self.newest_unsealed = 0
        self.oldest_unsealed: int | None = None
        self.sealed_at: int | None = None
        self.sealed_by: Counter[str] = Counter()
        self.previous = BEFORE_ALL
        self.recent: deque[tuple[int, str]] = deque(maxlen=_REMEMBERED)
        self.term_was_over = False

    def take(self, segment: Segment, rows: Sequence[Row]) -> None:
        """A segment and its rows. While there was no row yet they may have been pruned: the journal must say so further on."""
        _check_shape(segment)
        if segment.number == self.begun > 1:
            self.last, self.previous = segment.first - 1, segment.previous  # right where its seal is the checkpoint's
        self._check_place(segment)
        self.sealed_by[_check_seal(segment, self.keys)] += 1
        if rows or self.pruned < self.segments:
            self._check_rows(segment, rows)
        else:
            self.pruned, self.pruned_at = segment.number, max(self.pruned_at, segment.at)
        self.segments, self.last, self.sealed_at = segment.number, segment.last, segment.at
        self.previous = hashlib.sha256(segment.seal).digest()
        self.recent.append((self.last, self.previous.hex()))
        self.against.meet(segment, self.previous)

    def take_loose(self, rows: Sequence[Row]) -> None:
        """Rows that wait for their seal: content and account are bound to each other; order, time and event are not yet."""
        for row in rows:
            if row.number <= max(self.last, self.newest_unsealed):
                raise JournalBroken(f"row {row.number} is out of order", row=row.number)
            self._check_row(row, row.at)
            self.newest_unsealed = row.number
        self.unsealed += len(rows)
        times = [row.at for row in rows]
        self.oldest_unsealed = min(times if self.oldest_unsealed is None else [*times, self.oldest_unsealed])

    def end(self) -> Findings:
        gone = self.pruned - self.begun + 1
        if gone and not self.term_was_over:
            raise JournalBroken(
                f"the rows of segments {self.begun} to {self.pruned} are gone, and no row says that their term was over",
                segment=self.pruned,
            )
        return Findings(
            sealed=self.last,
            sealed_at=self.sealed_at,
            sealed_by=dict(self.sealed_by),
            segments=self.segments,
            pruned=gone,
            erased=self.erased,
            ended=self.ended,
            unsealed=self.unsealed,
            oldest_unsealed=self.oldest_unsealed,
            declared=self.against.end(self.last),
        )

    def _check_place(self, segment: Segment) -> None:
        number, expected = segment.number, self.segments + 1
        if number != expected or self.unsealed:
            said = f"segment {expected} is missing" if number > expected else f"segment {number} is out of order"
            raise JournalBroken(said, segment=min(number, expected))
        if segment.first != self.last + 1 or not 0 <= segment.last - segment.first < MOST:
            raise JournalBroken(f"segment {number}: its rows do not follow row {self.last}", segment=number)
        if segment.previous != self.previous:
            raise JournalBroken(
                f"segment {number} was sealed over another segment {number - 1}, or over none", segment=number
            )

    def _check_rows(self, segment: Segment, rows: Sequence[Row]) -> None:
        if not rows:
            raise JournalBroken(f"segment {segment.number}: its rows are gone", segment=segment.number)
        for number, row in enumerate(rows, segment.first):
            if row.number != number:
                said = f"row {number} is missing" if row.number > number else f"row {row.number} is out of order"
                raise JournalBroken(said, segment=segment.number, row=min(row.number, number))
            self._check_row(row, segment.at)
        if (end := rows[-1].number) != segment.last:
            raise JournalBroken(f"row {end + 1} is missing", segment=segment.number, row=end + 1)
        if root_of(rows) != segment.root:
            said = f"segment {segment.number}: one of rows {segment.first} to {segment.last} was changed"
            raise JournalBroken(said, segment=segment.number)

    def _check_row(self, row: Row, at: int) -> None:
        number, written, event, account, salt, content, said = row
        if type(written) is not int or type(event) is not bytes or type(said) is not bytes or len(said) != 32:
            raise JournalBroken(f"row {number} is not a row of a journal", row=number)
        if salt is None and content is None and account is None:
            if event not in _ERASABLE:
                raise JournalBroken(f"row {number}: its content is gone, and it was about no account", row=number)
            self.erased += 1
        elif type(salt) is not bytes or type(content) is not bytes or len(salt) != SALT:
            raise JournalBroken(f"row {number}: its content was changed, or erased in part", row=number)
        elif (account is not None and type(account) is not int) or digest(salt, account, content) != said:
            raise JournalBroken(f"row {number}: its content or its account was changed", row=number)
        elif event in _HEARD:
            self._hear(row, at)

    def _hear(self, row: Row, at: int) -> None:
        """What the journal says of itself. `at`: when it was sealed, which its own time cannot run ahead of."""
        if row.event == b"pruned":
            last, years = _told(row, "last", "years")
            over = self.pruned_at + term(min(years, 999)).total_seconds() <= at
            self.term_was_over |= last >= self.pruned and years >= max(self.years, 1) and over
        elif row.event == b"restored":
            backup_last, backup_at = _told(row, "backup_last", "backup_at")
            self._check_backup(row, backup_last)
            self.against.restored(row.number, row.at, backup_last, backup_at)
        else:
            self.ended += 1

    def _check_backup(self, row: Row, last: int) -> None:
        seal = json.loads(row.content or b"").get("backup_seal")
        if any(known == last and ended_with != seal for known, ended_with in self.recent):
            said = f"row {row.number} tells of a backup that is not the beginning of this journal"
            raise JournalBroken(said, row=row.number)


def _check_shape(segment: Segment) -> None:
    numbers = (segment.number, segment.first, segment.last, segment.at)
    digests = (segment.root, segment.previous)
    whole_numbers = all(type(one) is int for one in numbers)
    if not whole_numbers or not all(type(one) is bytes and len(one) == 32 for one in digests):
        raise JournalBroken(f"segment {segment.number} is not a segment of a journal")


def _check_seal(segment: Segment, keys: PublicKeys) -> str:
    """Which key sealed it."""
    number = segment.number
    try:
        kid, said = signed(segment.seal, SEAL, keys)
    except (BadToken, AttributeError) as error:
        raise JournalBroken(f"segment {number}: its seal is not by a key of the journal", segment=number) from error
    if said != payload(*segment[:6]).encode():
        raise JournalBroken(f"segment {number}: its seal says something else", segment=number)
    return kid


def _told(row: Row, *members: str) -> list[int]:
    """Whole numbers of a row that speaks of the journal itself."""
    try:
        tree: Any = json.loads(row.content or b"")
        values = [tree[member] for member in members]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise JournalBroken(f"row {row.number} does not say what it should", row=row.number) from error
    if not all(type(value) is int and 0 <= value < 1 << 63 for value in values):
        raise JournalBroken(f"row {row.number} does not say what it should", row=row.number)
    return values

"""A small signed statement of the journal's last segment, to be kept where who runs the provider cannot reach it.

Whoever holds one knows later whether the journal was cut or rolled back: seals alone cannot tell of an end that is missing.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from alicem.jose import BadToken
from alicem.journal import records
from alicem.journal.chain import JournalBroken, PublicKeys, Segment, day, sign, signed
from alicem.keys import SigningKey

TYP = "alicem-journal-checkpoint+jws"
LONGEST = 4096
"""Bytes of a line that are looked at."""


class NotACheckpoint(Exception):
    """A line of a file of checkpoints is none, or no key of the journal signed it."""


@dataclass(frozen=True)
class Checkpoint:
    """`segment` ended with `row`; `seal`: SHA-256 of its seal; `at`: Unix time at which this was said."""

    segment: int
    row: int
    seal: bytes
    at: int


def checkpoint(connection: Connection, key: SigningKey, now: datetime) -> str | None:
    """A compact JWS of `segment`, `row`, `seal` (hexadecimal) and `at`; None while nothing is sealed."""
    last = records.last_segment(connection)
    if last is None:
        return None
    seal = hashlib.sha256(last.seal.encode()).hexdigest()
    said = {"segment": last.number, "row": last.last, "seal": seal, "at": int(now.timestamp())}
    return sign(key, TYP, json.dumps(said, separators=(",", ":")))


def read_checkpoints(lines: Iterable[bytes], keys: PublicKeys) -> Iterator[Checkpoint]:
    """One a line. Raises `NotACheckpoint`."""
    for place, line in enumerate(lines, 1):
        if token := line.strip():
            try:
                yield _parse(signed(token[:LONGEST], TYP, keys)[1])
            except (BadToken, ValueError, TypeError) as error:
                raise NotACheckpoint(f"line {place} is no checkpoint that a key of the journal signed") from error


def _parse(body: bytes) -> Checkpoint:
    tree = json.loads(body)
    if not isinstance(tree, dict) or tree.keys() != {"segment", "row", "seal", "at"}:
        raise ValueError("other members")
    segment, row, at = (tree[name] for name in ("segment", "row", "at"))
    if not all(type(one) is int and 0 < one < 1 << 63 for one in (segment, row, at)):
        raise ValueError("not whole numbers")
    return Checkpoint(segment, row, bytes.fromhex(tree["seal"]), at)


class Against:
    """Checkpoints, held against a journal while it is read."""

    def __init__(self, checkpoints: Iterable[Checkpoint]) -> None:
        self._open: dict[int, list[Checkpoint]] = defaultdict(list)
        for one in checkpoints:
            self._open[one.segment].append(one)
        self._declared: dict[Checkpoint, str] = {}

    def meet(self, segment: Segment, seal: bytes) -> None:
        """`seal`: SHA-256 of the segment's seal, which was verified."""
        if segment.number in self._open:
            others = [one for one in self._open.pop(segment.number) if (one.row, one.seal) != (segment.last, seal)]
            if others:
                self._open[segment.number] = others

    def restored(self, row: int, at: int, backup_last: int, backup_at: int) -> None:
        """The journal says, in this row, that a backup was restored: what came after `backup_last`, and was said before, is lost."""
        said = f"a backup of {day(backup_at)} was restored on {day(at)} (row {row})"
        for one in self._left():
            if backup_last < one.row and one.at <= at:
                self._declared[one] = f"rows from {backup_last + 1} to at least {one.row} were lost: {said}"

    def end(self, last: int) -> tuple[str, ...]:
        """What was lost and is declared. Raises `JournalBroken` for what is not. `last`: the last row under a seal."""
        for one in self._left():
            if one not in self._declared:
                raise JournalBroken(
                    f"cut or rolled back: a checkpoint of {day(one.at)} knows another segment {one.segment}, which ends with "
                    f"row {one.row}; here the last row under a seal is {last}",
                    segment=one.segment,
                )
        return tuple(sorted({self._declared[one] for one in self._left()}))

    def _left(self) -> list[Checkpoint]:
        return [one for among in self._open.values() for one in among]

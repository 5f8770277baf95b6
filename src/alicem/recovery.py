"""Back up database and keys as one file, and bring them back without giving anybody back what they had used up.

What happened between a backup and its restoring is lost, and a backup knows nothing of it. So the safe side is taken (docs/operate.md,
*Backup and restore drill*): each phone is left one try before its account locks, whatever is good once is gone, credentials issued since
count as revoked, and accounts that changed or ended since do so again where an exported journal tells of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, case, select, update

from alicem import journal, keys
from alicem.accounts import life, records
from alicem.accounts.instruction import MOST_TRIES
from alicem.accounts.states import Event, State
from alicem.accounts.tables import phones
from alicem.credential.records import newest_list, open_list, revoke_free
from alicem.journal.chain import OF_ACCOUNTS
from alicem.journal.export import read
from alicem.journal.records import journal as journal_rows
from alicem.keys import Keys
from alicem.keys.file import locked, opened, replacing, write
from alicem.store import backup
from alicem.store.migrate import migrate, version_of
from alicem.store.sealed_file import seal, unseal

ONE_TIME = frozenset(
    {
        "challenges",
        "approvals",
        "pushed_requests",
        "signins",
        "chip_proofs",
        "codes",
        "access_tokens",
        "spent_proofs",
        "limits",
    }
)
"""Tables of what is good once, or counted, for minutes: no backup holds them."""
_LISTS_LEFT_OUT = 16  # of credentials issued since the backup: more than a million each
_AT_ONCE = 500  # rows of an export compared at once
Random = Callable[[int], bytes]
Progress = Callable[[int], None]


class Lost(Exception):
    """The exported journal does not continue the journal of the backup."""


class Unmigrated(Exception):
    """There is no database of ours here."""


class NotEmpty(Exception):
    """There is a database here that would be lost."""


@dataclass(frozen=True)
class Place:
    """Where a provider's database and keys are."""

    engine: Engine
    keys: Path
    master: bytes


@dataclass(frozen=True)
class Restored:
    """What came back: rows by table, Unix time of the backup, its last sealed row, accounts suspended and erased for what the export says."""

    rows: Mapping[str, int]
    backup_at: int
    backup_last: int
    suspended: int
    erased: int


def back_up(place: Place, to: Path, *, now: datetime, rng: Random, progress: Progress = lambda rows: None) -> None:
    """Write a backup of this moment, beside running servers. Raises `KeysError`, `Unmigrated`, `OSError`."""
    snapshot = place.engine
    if snapshot.dialect.name == "postgresql":
        snapshot = snapshot.execution_options(isolation_level="REPEATABLE READ")
    with snapshot.connect() as connection:
        with locked(place.keys):  # no key is made or ended between the moment of the database and that of the keys
            schema = version_of(connection)
            data = place.keys.read_bytes()
        if schema is None:
            raise Unmigrated("the database has no schema; `alicem db upgrade` makes one")
        opened(data, place.master, str(place.keys))
        header = backup.Header(schema, int(now.timestamp()), data)
        with replacing(to) as file:
            seal(file, place.master, backup.dump(connection, header, ONE_TIME, progress), rng)


def restore(
    place: Place,
    source: Path,
    *,
    master: bytes,
    since: Path | None,
    replace: bool,
    tries: int,
    now: datetime,
    rng: Random,
    progress: Progress = lambda rows: None,
) -> Restored:
    """Bring a backup back, all of it or nothing. `master`: of the time of the backup. `since`: a journal exported later.

    `replace`: what is there goes. `tries`: left to each phone before its account locks. Raises `NotABackup`, `UnknownSchema`, `KeysError`,
    `NotEmpty`, `Lost`, `JournalBroken`, `NotAnExport`.
    """
    header = _whole(source, master)
    with place.engine.execution_options(alicem_writes=True).begin() as connection, locked(place.keys):
        if not replace and backup.has_rows(connection, "journal", "accounts"):
            raise NotEmpty("the database here is not empty; --replace drops it")
        ring = _ring(place, opened(header.keys, master, "the key file in the backup"), now, rng)
        with source.open("rb") as file:
            lines = unseal(file, master)
            backup.read_header(lines)
            rows = backup.load(connection, header.schema, lines, progress)
        migrate(connection)
        found = _recover(connection, ring, header, since, tries, now, rng)
        write(place.keys, place.master, ring, rng)
    return Restored(rows, header.at, *found)


def _whole(source: Path, master: bytes) -> backup.Header:
    """The header of a backup every piece of which is right."""
    with source.open("rb") as file:
        lines = unseal(file, master)
        header = backup.read_header(lines)
        for _ in lines:
            pass
    return header


def _ring(place: Place, ours: Keys, now: datetime, rng: Random) -> Keys:
    """The keys to go on with. Challenges and references of before are worth nothing: their key is another."""
    ring = keys.joined(keys.open_ring(place.keys, place.master), ours) if place.keys.exists() else ours
    old = ring.living("transaction")
    ring = keys.rotated(ring, ("transaction",), now, rng, "", at_once=True)
    for key in old:
        ring = keys.retired(ring, key.kid, now, 0, compromised=True)
    return ring


def _recover(
    connection: Connection,
    ring: Keys,
    header: backup.Header,
    since: Path | None,
    tries: int,
    now: datetime,
    rng: Random,
) -> tuple[int, int, int]:
    """The last sealed row of the backup, and how many accounts were suspended and erased."""
    last, ended_with = _sealed(connection)
    changed, erased = (set(), set()) if since is None else _since(connection, ring, since, last, ended_with)
    leave_tries(connection, tries)
    revoke_unknown(connection)
    suspended = [number for number in sorted(changed - erased) if _suspend(connection, number, now, rng)]
    for number in sorted(erased):
        life.apply(connection, number, Event.CLOSE, by="restore", now=now, rng=rng)
    content = {"backup_last": last, "backup_seal": ended_with.hex(), "backup_at": header.at}
    journal.append(connection, now, "restored", rng, content=content)
    return last, len(suspended), len(erased)


def leave_tries(connection: Connection, tries: int) -> None:
    """To each phone at most so many wrong codes before its account locks: what was used since the backup is not known."""
    used = MOST_TRIES - tries
    connection.execute(update(phones).values(used=case((phones.c.used < used, used), else_=phones.c.used)))


def revoke_unknown(connection: Connection) -> None:
    """Credentials issued since the backup: every index that is free in the newest list is revoked, and later lists are left out."""
    newest = newest_list(connection)
    if newest is None:
        return
    revoke_free(connection, newest)
    open_list(connection, newest + _LISTS_LEFT_OUT)


def _sealed(connection: Connection) -> tuple[int, bytes]:
    segment = journal.records.last_segment(connection)
    return (0, bytes(32)) if segment is None else (segment.last, hashlib.sha256(segment.seal.encode()).digest())


def _suspend(connection: Connection, number: int, now: datetime, rng: Random) -> bool:
    if not records.lives(connection, number) or records.state_of(connection, number) == State.SUSPENDED:
        return False
    life.apply(connection, number, Event.SUSPEND, by="restore", now=now, rng=rng)
    return True


def _since(connection: Connection, ring: Keys, file: Path, last: int, ended_with: bytes) -> tuple[set[int], set[int]]:
    """Accounts that an exported journal says changed since, and those that ended. Raises `Lost`, `JournalBroken`, `NotAnExport`."""
    with file.open("rb") as stream:
        journal.verify_parts(read(stream), journal.public_keys(ring.signing_all("journal")))
    changed, erased, continues = set[int](), set[int](), last == 0
    with file.open("rb") as stream:
        for segment, rows in read(stream):
            continues |= (
                segment is not None and segment.last == last and hashlib.sha256(segment.seal).digest() == ended_with
            )
            changed |= {row.account for row in rows if row.number > last and row.account is not None}
            unnamed = [
                row.number
                for row in rows
                if row.number <= last and row.account is None and row.event.decode() in OF_ACCOUNTS
            ]
            erased |= _named_here(connection, unnamed)
    if not continues:
        raise Lost(
            "this journal does not continue the one of the backup: export it anew, or from where the backup was made"
        )
    return changed, erased


def _named_here(connection: Connection, numbers: list[int]) -> set[int]:
    """Accounts that these rows name in the backup, and no more in the export."""
    found = set[int]()
    for first in range(0, len(numbers), _AT_ONCE):
        among = journal_rows.c.number.in_(numbers[first : first + _AT_ONCE])
        query = select(journal_rows.c.account).distinct().where(among, journal_rows.c.account.is_not(None))
        found |= set(connection.execute(query).scalars())
    return found

"""What the State declares of a document or its holder, and telling the provider until it has accepted it.

A notice lies in the database until then: it outlives a restart, and those of one document go out in the order they were declared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import structlog
from sqlalchemy import Column, Connection, ForeignKey, Integer, String, Table, delete, func, insert, or_, select, update
from sqlalchemy.exc import OperationalError

from alicem.registry.records import HolderUnknown, RegistryError, documents, metadata, persons
from alicem.settings import SettingsError, secret
from alicem.store import Int64, Store

notices = Table(
    "notices",
    metadata,
    Column("number", Integer, primary_key=True, comment="rises with each notice of a document"),
    Column("reference", String(64), nullable=False, unique=True, comment="random"),
    Column("document", ForeignKey("documents.row"), nullable=False, index=True),
    Column("notice", String(9), nullable=False, comment="lost, stolen, cancelled or deceased"),
    Column("at", Int64, nullable=False, comment="Unix time of the declaration"),
    Column("refused", Integer, nullable=False, comment="how often the provider called it malformed"),
    Column("due", Int64, nullable=False, comment="Unix time before which it is not sent again"),
)

WORDS = {"lost": "lost", "stolen": "stolen", "cancelled": "cancelled", "found": "valid", "valid": "valid"}
"""What can be declared of a document, and the status it then has. `deceased` is declared of its holder."""

POLL = 1.0  # seconds between looks at the database: the commands that declare are processes of their own
LONGEST = 30.0  # seconds between tries while the provider is away
_ASIDE, _LONGEST_ASIDE = 60, 3600  # seconds before a notice that was called malformed is sent again

log = structlog.get_logger("registry")


@dataclass(frozen=True)
class Provider:
    """`notices` of registry.toml: who is told."""

    url: str
    """The whole address, for instance `https://alicem.example/registry/notices`."""
    token_file: Path
    """The bearer token, at least 32 characters."""

    def __post_init__(self) -> None:
        try:
            address = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise SettingsError(f"notices.url: {error}") from error
        if address.scheme not in ("http", "https") or not address.host:
            raise SettingsError("notices.url: not the address of a web server")

    def token(self) -> str:
        """Raises `SettingsError`."""
        token = secret(self.token_file, "")
        if len(token) < 32:
            raise SettingsError("the token of notices has fewer than 32 characters")
        return token


class Unavailable(Exception):
    """The provider is away, or does not know our token. Nothing was accepted; the message is its status."""


def declare(
    connection: Connection, number: str, word: str, *, at: datetime, rng: Callable[[int], bytes], issuer: str = "FRA"
) -> None:
    """Declare a document `lost`, `stolen`, `cancelled`, `found` or `valid`, or its holder `deceased`; the provider is owed the notice.

    Who is found again is told to nobody, and takes back what of this document was not accepted yet.
    Raises `RegistryError` for another word and `HolderUnknown` where no document of `issuer` has this number.
    """
    if word != "deceased" and word not in WORDS:
        raise RegistryError(f"a document is {', '.join(WORDS)}, or its holder deceased")
    rows = _rows(connection, issuer, number)
    if not rows:
        raise HolderUnknown("no document of this State has this number")
    if word == "deceased":
        rows = _end_of_life(connection, rows)
    else:
        connection.execute(update(documents).where(documents.c.row.in_(rows)).values(status=WORDS[word]))
    if WORDS.get(word) == "valid":
        overtaken = notices.c.document.in_(rows) & (notices.c.notice != "deceased")
        connection.execute(delete(notices).where(overtaken))
    else:
        _owe(connection, rows, word, at, rng)


def _rows(connection: Connection, issuer: str, number: str) -> list[int]:
    query = select(documents.c.row).where(documents.c.issuer == issuer, documents.c.number == number)
    return list(connection.execute(query).scalars())


def _end_of_life(connection: Connection, rows: list[int]) -> list[int]:
    """Every document of the holders of `rows`."""
    holders = list(connection.execute(select(documents.c.person).where(documents.c.row.in_(rows))).scalars())
    connection.execute(update(persons).where(persons.c.number.in_(holders)).values(deceased=True))
    return list(connection.execute(select(documents.c.row).where(documents.c.person.in_(holders))).scalars())


def _owe(connection: Connection, rows: list[int], word: str, at: datetime, rng: Callable[[int], bytes]) -> None:
    owed = {"notice": word, "at": int(at.timestamp()), "refused": 0, "due": 0}
    for row in rows:
        connection.execute(insert(notices).values(document=row, reference=rng(16).hex(), **owed))


def next_due(connection: Connection, now: datetime) -> Any | None:
    """The oldest notice that is due, with its document; one put aside keeps back the later ones of its document alone."""
    at = int(now.timestamp())
    oldest = select(func.min(notices.c.number)).group_by(notices.c.document)
    set_back = notices.c.due > at + _LONGEST_ASIDE  # nothing is put aside for so long: the clock was set back
    query = (
        select(notices, documents.c.issuer, documents.c.kind, documents.c.number.label("document_number"))
        .join(documents, documents.c.row == notices.c.document)
        .where(notices.c.number.in_(oldest), or_(notices.c.due <= at, set_back))
        .order_by(notices.c.number)
        .limit(1)
    )
    return connection.execute(query).first()


def accepted(connection: Connection, reference: str) -> None:
    """The provider has it: nothing is owed."""
    connection.execute(delete(notices).where(notices.c.reference == reference))


def put_aside(connection: Connection, reference: str, refused: int, now: datetime) -> None:
    """The provider called it malformed: those of other documents go on."""
    wait = min(_ASIDE * 2 ** min(refused, 10), _LONGEST_ASIDE)
    values = {"refused": refused + 1, "due": int(now.timestamp()) + wait}
    connection.execute(update(notices).where(notices.c.reference == reference).values(**values))


def compose(row: Any) -> dict[str, str]:
    """The notice of a row of `next_due`, as the provider takes it."""
    return {
        "reference": row.reference,
        "issuer": row.issuer,
        "kind": row.kind,
        "number": row.document_number,
        "notice": row.notice,
        "at": f"{datetime.fromtimestamp(row.at, UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


async def push_forever(store: Store, url: str, token: str, clock: Callable[[], datetime]) -> None:
    """Tell the provider what it is owed; waits twice as long after each round in which it was away, up to `LONGEST`."""
    wait = POLL
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(timeout=5.0, trust_env=False, headers=headers) as client:
        while True:
            try:
                await _push(store, client, url, clock)
                wait = POLL
            except (httpx.HTTPError, OperationalError, Unavailable) as error:
                wait = min(2 * wait, LONGEST)
                said = str(error) if isinstance(error, Unavailable) else None
                log.warning("notices wait", error=type(error).__name__, status=said, seconds=wait)
            await asyncio.sleep(wait)


async def _push(store: Store, client: httpx.AsyncClient, url: str, clock: Callable[[], datetime]) -> None:
    """Everything that is due. Each is read when its turn comes: what was found again meanwhile is not sent.

    Raises `Unavailable`, `httpx.HTTPError`.
    """
    while (row := await store.read(lambda connection: next_due(connection, clock()))) is not None:
        status = (await client.post(url, json=compose(row))).status_code
        await store.write(lambda c, one=row, answer=status: _answered(c, one, answer, clock()))  # type: ignore[misc]
        tell = log.info if status == 202 else log.error
        tell("notice answered", notice=row.notice, reference=row.reference, status=status)


def _answered(connection: Connection, row: Any, status: int, now: datetime) -> None:
    if status == 202:
        accepted(connection, row.reference)
    elif status in (400, 413):
        put_aside(connection, row.reference, row.refused, now)
    else:
        raise Unavailable(str(status))

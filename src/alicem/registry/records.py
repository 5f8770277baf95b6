"""What the State holds: people with their civil status and address, their documents, the letters it owes them.

A database of its own. Every function takes a connection inside a transaction.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    select,
    update,
)

from alicem import cog
from alicem.evidence import civil_name
from alicem.store import Int64

metadata = MetaData()

persons = Table(
    "persons",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("family_name", String(256), nullable=False),
    Column("given_names", String(256), nullable=False),
    Column("usage_name", String(256)),
    Column("gender", String(11), nullable=False),
    Column("birthdate", String(10), nullable=False, comment="YYYY-MM-DD, 00 for unknown parts"),
    Column("birthplace_cog", String(5), nullable=False, comment="empty when born abroad"),
    Column("birthcountry_cog", String(5), nullable=False),
    Column("address", Text, nullable=False, comment="lines of a postal address"),
    Column("deceased", Boolean, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("person", ForeignKey("persons.number"), nullable=False),
    Column("issuer", String(3), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("number", String(22), nullable=False),
    Column("birth_date", String(6), nullable=False, comment="as in the machine-readable zone"),
    Column("expiry_date", String(6), nullable=False, comment="as in the machine-readable zone"),
    Column("status", String(9), nullable=False, comment="valid, lost, stolen or cancelled"),
    UniqueConstraint("issuer", "kind", "number", name="one_document"),
)

letters = Table(
    "letters",
    metadata,
    Column("reference", String(64), primary_key=True, comment="chosen by the caller"),
    Column("person", ForeignKey("persons.number"), nullable=False),
    Column("notice", String(16), nullable=False),
    Column("at", Int64, nullable=False, comment="Unix time of what the letter tells of"),
    Column("carried_at", Int64, comment="Unix time; null until the carrier has it"),
)

DOCUMENT_STATUS = ("valid", "lost", "stolen", "cancelled")


class RegistryError(Exception):
    """What was to be written is not well formed, or names a document that is not there; the message says which."""


class HolderUnknown(RegistryError):
    """No living holder of such a document."""


@dataclass(frozen=True, repr=False)
class CivilStatus:
    """As docs/protocols/registry.md describes it. Raises `RegistryError` for a value of another form."""

    family_name: str
    given_names: str
    usage_name: str | None
    gender: str
    birthdate: str
    birthplace_cog: str
    birthcountry_cog: str

    def __post_init__(self) -> None:
        abroad = self.birthcountry_cog != cog.FRANCE
        rules = {
            "family_name": _name(self.family_name),
            "given_names": self.given_names == "" or _name(self.given_names),
            "usage_name": self.usage_name is None or _name(self.usage_name),
            "gender": self.gender in ("male", "female", "unspecified"),
            "birthdate": _partial_date(self.birthdate),
            "birthcountry_cog": cog.is_country(self.birthcountry_cog),
            "birthplace_cog": self.birthplace_cog == "" if abroad else cog.is_commune(self.birthplace_cog),
        }
        wrong = [name for name, holds in rules.items() if not holds]
        if wrong:
            raise RegistryError(f"civil status: {', '.join(wrong)}")


@dataclass(frozen=True, repr=False)
class Document:
    """A document as its machine-readable zone names it; dates are YYMMDD."""

    issuer: str
    kind: str
    number: str
    birth_date: str
    expiry_date: str
    status: str = "valid"

    def __post_init__(self) -> None:
        for name, form in DOCUMENT_FORMS.items():
            if not re.fullmatch(form, getattr(self, name)):
                raise RegistryError(f"document: {name}")
        if self.status not in DOCUMENT_STATUS:
            raise RegistryError("document: status")


DOCUMENT_FORMS = {
    "issuer": r"[A-Z]{1,3}",
    "kind": r"passport|residence_permit",
    "number": r"[A-Z0-9]{1,22}",
    "birth_date": r"[0-9<]{6}",
    "expiry_date": r"[0-9]{6}",
}


@dataclass(frozen=True)
class Person:
    civil_status: CivilStatus
    address: str = field(repr=False)
    documents: tuple[Document, ...] = ()
    deceased: bool = False


def _name(text: str) -> bool:
    try:
        return civil_name(text) == text
    except ValueError:
        return False


def _partial_date(text: str) -> bool:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    year, month, day = (int(part) for part in text.split("-"))
    try:
        date(year, month or 1, day or 1)
    except ValueError:
        return False
    return bool(month or not day)


def add(connection: Connection, person: Person) -> int:
    """Write a person with their documents; the person's number. Raises `RegistryError` where a document is there already."""
    for one in person.documents:
        if connection.execute(select(documents.c.row).where(_same_number(one))).first() is not None:
            raise RegistryError(f"document {one.issuer} {one.kind} is there already")
    values = asdict(person.civil_status) | {"address": person.address, "deceased": person.deceased}
    number: int = connection.execute(insert(persons).values(**values).returning(persons.c.number)).scalar_one()
    for one in person.documents:
        connection.execute(insert(documents).values(person=number, **asdict(one)))
    return number


def check(connection: Connection, asked: Document) -> dict[str, Any]:
    """The answer of `POST /v1/check`. One wrong date answers as a number that does not exist."""
    row = _held(connection, asked)
    if row is None:
        return {"status": "unknown", "civil_status": None}
    if row.deceased:
        return {"status": "deceased", "civil_status": None}
    if row.status != "valid":
        return {"status": row.status, "civil_status": None}
    members = CivilStatus.__dataclass_fields__
    return {"status": "valid", "civil_status": {name: getattr(row, name) for name in members}}


def owe_letter(connection: Connection, reference: str, asked: Document, notice: str, at: datetime) -> None:
    """Write down that the State owes the holder a letter; a reference seen before changes nothing. Raises `HolderUnknown`."""
    row = _held(connection, asked)
    if row is None or row.deceased:
        raise HolderUnknown("no living holder of such a document")
    if connection.execute(select(letters.c.reference).where(letters.c.reference == reference)).first() is None:
        values = {"reference": reference, "person": row.person, "notice": notice, "at": int(at.timestamp())}
        connection.execute(insert(letters).values(**values))


def owed_letters(connection: Connection, most: int) -> list[Any]:
    """Letters the carrier does not have yet, with the person's names and address."""
    query = (
        select(letters.c.reference, letters.c.notice, letters.c.at, persons)
        .join(persons, persons.c.number == letters.c.person)
        .where(letters.c.carried_at.is_(None))
        .order_by(letters.c.at)
        .limit(most)
    )
    return list(connection.execute(query))


def carried(connection: Connection, reference: str, now: datetime) -> None:
    """The carrier took this letter."""
    values = {"carried_at": int(now.timestamp())}
    connection.execute(update(letters).where(letters.c.reference == reference).values(**values))


def _same_number(one: Document) -> Any:
    named = (documents.c.issuer == one.issuer) & (documents.c.kind == one.kind)
    return named & (documents.c.number == one.number)


def _held(connection: Connection, asked: Document) -> Any | None:
    dates = (documents.c.birth_date == asked.birth_date) & (documents.c.expiry_date == asked.expiry_date)
    query = (
        select(documents.c.person, documents.c.status, persons)
        .join(persons, persons.c.number == documents.c.person)
        .where(_same_number(asked), dates)
    )
    return connection.execute(query).first()

"""What was proven about a person, by which means and when: the one value that enrolment and desk hand to credential and accounts.

It holds no MRZ, no score and no portrait.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum, StrEnum


class Level(IntEnum):
    """eIDAS level of assurance (Regulation 2015/1502). Ordered."""

    LOW = 1
    SUBSTANTIAL = 2
    HIGH = 3

    @property
    def acr(self) -> str:
        """FranceConnect's name of the level: `eidas1`, `eidas2`, `eidas3`."""
        return f"eidas{self.value}"

    @classmethod
    def from_acr(cls, acr: str) -> Level:
        """Raises `ValueError` for anything but `eidas1`, `eidas2`, `eidas3`."""
        for level in cls:
            if level.acr == acr:
                return level
        raise ValueError(f"unknown acr {acr!r}")

    @classmethod
    def from_name(cls, name: str) -> Level:
        """`low`, `substantial` or `high`."""
        return cls[name.upper()]


class Path(StrEnum):
    FACE = "face"
    OFFICE = "office"


class Gender(StrEnum):
    MALE = "male"
    FEMALE = "female"
    UNSPECIFIED = "unspecified"


_UNSEEN = frozenset(("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"))
"""Controls, marks of direction, joiners, letters of nobody: they would make one name look like another (UTR 36 §2.5)."""


def civil_name(text: str) -> str:
    """A name as it is kept and sent: composed (NFC), its parts divided by one space, 1 to 256 characters of which one is a letter.

    Raises `ValueError` for none, and for one with characters that no eye sees; the message holds nothing of it.
    """
    name = " ".join(unicodedata.normalize("NFC", text).split())
    kinds = [unicodedata.category(character) for character in text]
    if len(name) > 256 or any(kind in _UNSEEN for kind in kinds) or not any(kind.startswith("L") for kind in kinds):
        raise ValueError("not a name")
    return name


@dataclass(frozen=True)
class PartialDate:
    """A birth date of which day, or day and month, may be unknown (0), as in 9303-3 §4.8 and FranceConnect's `YYYY-MM-00`."""

    year: int
    month: int = 0
    day: int = 0

    def __post_init__(self) -> None:
        if not 1850 <= self.year <= 9999 or (self.day and not self.month):
            raise ValueError(f"not a partial date: {self.year}-{self.month}-{self.day}")
        date(self.year, self.month or 1, self.day or 1)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}-{self.day:02}"

    @classmethod
    def parse(cls, text: str) -> PartialDate:
        """From `YYYY-MM-DD` with `00` for what is unknown."""
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            raise ValueError(f"not a date: {text!r}")
        return cls(*(int(part) for part in text.split("-")))

    def age_at(self, day: date) -> int:
        """Whole years surely reached: an unknown day or month counts as the last possible one."""
        month, birth_day = self.month or 12, self.day or 31
        return day.year - self.year - ((day.month, day.day) < (month, birth_day))


@dataclass(frozen=True)
class CivilIdentity:
    """The identity as chip and State registry together know it. `family_name` is the birth name; a person with a single name has an
    empty `given_names`. Codes are the INSEE's COG; `birthplace_cog` is empty for people born abroad. `nationality` is ICAO's three letters.
    """

    family_name: str
    given_names: str
    preferred_username: str | None
    birthdate: PartialDate
    gender: Gender
    birthplace_cog: str
    birthcountry_cog: str
    nationality: str


@dataclass(frozen=True)
class DocumentFacts:
    """`kind`: `passport` or `residence_permit`. `chip_key`: SHA-256 of the chip's authentication public key (SPKI DER). `fingerprint`:
    keyed hash of issuer, kind and number, `key id:hex`."""

    kind: str
    issuer: str
    expires: date
    chip_key: bytes
    chip_protocol: str
    fingerprint: str


@dataclass(frozen=True)
class Check:
    """One thing proven: its name, the clause that asks for it, when."""

    name: str
    clause: str
    at: datetime


@dataclass(frozen=True)
class Evidence:
    path: Path
    level: Level
    identity: CivilIdentity
    document: DocumentFacts
    email: str
    checks: tuple[Check, ...]
    terms_version: str
    biometrics_consent_at: datetime | None
    agents: tuple[str, ...]
    registry_checked_at: datetime
    specimen: bool

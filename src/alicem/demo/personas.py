"""The invented people of the demonstration: each a file with a document, a face, a chip, what the State knows, and what a service must learn.

`personas/NAME.toml`, parsed strictly. Places and countries are real codes of the INSEE's geographical code; names, numbers and addresses are invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

from alicem.demo import portraits
from alicem.settings import SettingsError, read
from emrtd.dates import PartialDate, full_date
from emrtd.errors import EmrtdError
from emrtd.softchip import ChipProfile, Description

FOLDER = Path(__file__).parent / "personas"
KINDS: Mapping[str, tuple[Literal["TD3", "TD1"], str]] = {"passport": ("TD3", "P"), "residence_permit": ("TD1", "IR")}
"""Kind of document → its format and the code in its zone (9303-4 §4.2.2, Regulation (EC) 1030/2002)."""


@dataclass(frozen=True)
class About:
    """What is special about this person, in a few words."""

    fr: str
    en: str


@dataclass(frozen=True)
class PersonaDocument:
    """What is printed, with accents. Dates are `YYYY-MM-DD`; `00` stands for an unknown day or month of birth."""

    kind: str
    number: str
    nationality: str
    surname: str
    given_names: str
    sex: str
    birth_date: str
    expires: str
    issuer: str = "FRA"
    details: bool = True
    """Whether the chip has DG11, and with it the names as they are written."""

    @property
    def born(self) -> PartialDate:
        return full_date(self.birth_date.replace("-", ""))

    @property
    def expiry_date(self) -> date:
        return date.fromisoformat(self.expires)


@dataclass(frozen=True)
class PersonaChip:
    """How the chip proves that it is no copy, and how it behaves (`emrtd.softchip.ChipProfile`)."""

    active_authentication: str = "none"
    digest: str = "sha256"
    pace: tuple[str, ...] = ()
    """In the words of `emrtd.softchip.protocols`, as in `ECDH-GM-AES-256/13`; none for a chip that BAC opens."""
    chip_authentication: tuple[str, ...] = ()
    chip_authentication_told: bool = True
    largest_read: int = 65536
    extended: bool = True
    over: str = "truncate"
    errors: str = "protected"

    @property
    def profile(self) -> ChipProfile:
        return ChipProfile(
            largest_read=self.largest_read,
            extended=self.extended,
            over=self.over,  # type: ignore[arg-type]  # held to its words by `tests/demo`
            errors=self.errors,  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class PersonaRegistry:
    """The State's record."""

    address: str
    family_name: str
    given_names: str
    gender: str
    birthdate: str
    birthplace_cog: str
    birthcountry_cog: str
    usage_name: str | None = None
    status: str = "valid"


@dataclass(frozen=True)
class PersonaFile:
    email: str
    code: str
    about: About
    document: PersonaDocument
    face: str
    """A name of `faces.toml`."""
    chip: PersonaChip
    registry: PersonaRegistry
    expected: Mapping[str, Any]
    refused: str | None = None
    renews: str | None = None


@dataclass(frozen=True)
class Persona:
    """One person. `expected`: the claims a service gets that may ask everything; empty where `refused` names a row of reasons.toml."""

    name: str
    email: str
    code: str
    about: About
    document: PersonaDocument
    face: portraits.Face = field(repr=False)
    chip: PersonaChip
    registry: PersonaRegistry
    expected: Mapping[str, str]
    refused: str | None
    renews: str | None
    """The persona whose document this one takes the place of: the same person."""

    @property
    def shown_name(self) -> str:
        return f"{self.document.given_names} {self.document.surname}".strip()

    def description(self, portrait: bytes) -> Description:
        """For `emrtd.softchip.personalise`. `portrait`: JPEG 2000, 240 × 320."""
        document = self.document
        form, code = KINDS[document.kind]
        return Description(
            surname=document.surname,
            given_names=document.given_names,
            number=document.number,
            birth_date=document.born,
            sex=document.sex,
            nationality=document.nationality,
            issuer=document.issuer,
            expires=document.expiry_date,
            portrait=portrait,
            portrait_size=(240, 320),
            kind=form,
            code=code,
            details=document.details,
            active_authentication=self.chip.active_authentication,
            pace=self.chip.pace,
            chip_authentication=self.chip.chip_authentication,
            chip_authentication_told=self.chip.chip_authentication_told,
        )


@cache
def load() -> Mapping[str, Persona]:
    """Everyone by name. Raises `SettingsError` that names the file and the key at fault."""
    return {path.stem: load_one(path) for path in sorted(FOLDER.glob("*.toml"))}


def load_one(path: Path) -> Persona:
    """Raises `SettingsError`."""
    file = read(PersonaFile, path)
    try:
        face = portraits.faces()[file.face]
        _ = file.document.born, file.document.expiry_date
    except (ValueError, KeyError, EmrtdError) as error:
        raise SettingsError(f"{path}: {error}") from error
    if file.document.kind not in KINDS:
        raise SettingsError(f"{path}: document.kind: {', '.join(KINDS)}")
    return Persona(
        name=path.stem,
        email=file.email,
        code=file.code,
        about=file.about,
        document=file.document,
        face=face,
        chip=file.chip,
        registry=file.registry,
        expected={name: str(value) for name, value in file.expected.items()},
        refused=file.refused,
        renews=file.renews,
    )


def impostor_of(persona: Persona) -> Persona:
    """Somebody else for this person's document: the next adult of the same sex, who looks somewhat like them."""
    alike = [one for one in load().values() if one.document.sex == persona.document.sex and one.refused is None]
    others = [one for one in alike if one.name != persona.name and one.renews is None]
    return next((one for one in others if one.name > persona.name), others[0])

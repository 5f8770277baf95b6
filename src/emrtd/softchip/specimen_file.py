"""A specimen described in a file: who holds it, what is printed, how its chip behaves, who signs, what is wrong.

The file is TOML, read strictly: a key that nobody knows is refused by its name, not passed over. `parse_specimen`
reads it, `make_state` founds the State that signs it, `issue` personalises it. `examples` come with the library.
Everything here is invented, and says SPECIMEN where a certificate has a name.
"""

from __future__ import annotations

import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from datetime import date, datetime, timedelta
from importlib.resources import files
from typing import Any, Literal

from emrtd.dates import PartialDate, full_date
from emrtd.errors import EmrtdError, MalformedDescription
from emrtd.pki.specimen import Authority, DocumentSigner, make_authority, make_signer
from emrtd.rng import Rng
from emrtd.softchip import quirks
from emrtd.softchip.document import ChipDocument, ChipProfile
from emrtd.softchip.faults import altered, cloned, forged, mute
from emrtd.softchip.personalise import Description, personalise

FOLDER = "specimens"
DESCRIPTION_MAX = 1 << 16
FOUNDED, ISSUED = timedelta(days=5 * 365), timedelta(days=1)  # before the document is made
LONG_AGO = timedelta(days=3 * 365)  # when a signer began that is expired by now
PORTRAIT_SIZE = (240, 320)


@dataclass(frozen=True)
class Holder:
    """Names as they are really written; ``given_names`` "" for a single name. ``birth_date`` is YYYY-MM-DD, 00 unknown."""

    surname: str
    birth_date: str
    nationality: str
    given_names: str = ""
    sex: Literal["F", "M", "<"] = "<"
    other_names: tuple[str, ...] = ()
    personal_number: str = ""
    birth_place: tuple[str, ...] = ()
    address: tuple[str, ...] = ()

    @property
    def born(self) -> PartialDate:
        return full_date(self.birth_date.replace("-", ""))


@dataclass(frozen=True)
class Printed:
    """The document as it looks. It expires on a date, or so many years after it is made."""

    issuer: str
    number: str
    code: str = "P"
    format: Literal["TD1", "TD2", "TD3"] = "TD3"
    expires: str = ""
    valid_years: int = 10
    optional: str = ""
    details: bool = True
    can: str = ""
    digest: str = "sha256"

    def expiry(self, made: date) -> date:
        if self.expires:
            return date.fromisoformat(self.expires)
        return (made - timedelta(days=made.day - 1)).replace(year=made.year + self.valid_years, month=made.month)


@dataclass(frozen=True)
class Chip:
    """What the chip speaks, in the words of `Description`, and how it behaves: ``quirks`` by their names, then
    ``profile``, which has the last word.
    """

    active_authentication: str = "secp256r1"
    pace: tuple[str, ...] = ()
    chip_authentication: tuple[str, ...] = ()
    chip_authentication_told: bool = True
    quirks: tuple[str, ...] = ()
    profile: ChipProfile = field(default=ChipProfile())

    @property
    def behaviour(self) -> ChipProfile:
        """What the profiles of all quirks and the own one change, together."""
        found = ChipProfile()
        for one in (*(quirks.CHIPS[name] for name in self.quirks if name in quirks.CHIPS), self.profile):
            changed = {key: value for key, value in vars(one).items() if value != getattr(ChipProfile, key)}
            found = replace(found, **changed)
        return found


@dataclass(frozen=True)
class State:
    """Who signs: a country of two letters, the kinds of the keys, and the document types a signer is limited to."""

    country: str = "UT"
    authority: str = "secp384r1"
    signer: str = "secp256r1"
    pss: bool = False
    document_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Flaws:
    """What is wrong with the document. ``signer`` "unknown" is one whose State nobody trusts.

    ``forged_surname`` stands in the zone in place of the signed one; ``altered_group`` has a wrong hash; ``copied`` is
    on another chip, ``mute`` on one that proves nothing. How a chip is slow or gets lost is its profile's affair.
    """

    signer: Literal["", "expired", "revoked", "unknown"] = ""
    forged_surname: str = ""
    altered_group: int = 0
    copied: bool = False
    mute: bool = False


@dataclass(frozen=True)
class Specimen:
    """A description, whole."""

    holder: Holder = field(repr=False)
    document: Printed = field(repr=False)
    chip: Chip = Chip()
    state: State = State()
    flaws: Flaws = Flaws()

    def description(self, portrait: bytes, made: date) -> Description:
        """For `personalise`. `portrait` is JPEG or JPEG 2000 of `PORTRAIT_SIZE`."""
        holder, printed, chip = self.holder, self.document, self.chip
        return Description(
            surname=holder.surname,
            given_names=holder.given_names,
            number=printed.number,
            birth_date=holder.born,
            sex=holder.sex,
            nationality=holder.nationality,
            issuer=printed.issuer,
            expires=printed.expiry(made),
            portrait=portrait,
            portrait_size=PORTRAIT_SIZE,
            kind=printed.format,
            code=printed.code,
            optional=printed.optional,
            details=printed.details,
            other_names=holder.other_names,
            personal_number=holder.personal_number,
            birth_place=holder.birth_place,
            address=holder.address,
            active_authentication=chip.active_authentication,
            pace=chip.pace,
            chip_authentication=chip.chip_authentication,
            chip_authentication_told=chip.chip_authentication_told,
            can=printed.can,
            quirks=tuple(name for name in chip.quirks if name in quirks.FILES),
        )


# --- reading ----------------------------------------------------------------------------------------


def parse_specimen(text: str) -> Specimen:
    """Raises MalformedDescription, which names the key at fault."""
    if len(text) > DESCRIPTION_MAX:
        raise MalformedDescription("", f"a description of {len(text)} characters")
    try:
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise MalformedDescription("", f"not TOML: {error}") from error
    specimen: Specimen = _table(Specimen, tree, "")
    _check_dates(specimen)
    for name in specimen.chip.quirks:
        if name not in quirks.CHIPS and name not in quirks.FILES:
            known = ", ".join((*quirks.CHIPS, *quirks.FILES))
            raise MalformedDescription("chip.quirks", f"no quirk is called {name}; there is {known}")
    return specimen


def _check_dates(specimen: Specimen) -> None:
    checks: tuple[tuple[str, Callable[[], object]], ...] = (
        ("holder.birth_date", lambda: specimen.holder.born),
        ("document.expires", lambda: specimen.document.expiry(date(2000, 1, 1))),
    )
    for key, read in checks:
        try:
            read()
        except (EmrtdError, ValueError, OverflowError) as error:
            raise MalformedDescription(key, "a date is written YYYY-MM-DD") from error


def _table(kind: Any, tree: object, where: str) -> Any:
    """The frozen dataclass `kind` from a table of the same names."""
    if not isinstance(tree, dict):
        raise MalformedDescription(where, "a table is expected")
    hints = typing.get_type_hints(kind)
    for key in tree:
        if key not in hints:
            raise MalformedDescription(_join(where, key), f"unknown key; there is {', '.join(sorted(hints))}")
    for one in fields(kind):
        if one.default is MISSING and one.name not in tree:
            raise MalformedDescription(_join(where, one.name), "is missing")
    return kind(**{key: _value(hints[key], value, _join(where, key)) for key, value in tree.items()})


def _value(kind: Any, value: object, key: str) -> Any:
    if is_dataclass(kind):
        return _table(kind, value, key)
    if typing.get_origin(kind) is Literal:
        if value not in (words := typing.get_args(kind)):
            raise MalformedDescription(key, f"one of {', '.join(map(repr, words))} is expected")
        return value
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise MalformedDescription(key, "a list of texts is expected")
        return tuple(value)
    if type(value) is not kind:  # a boolean is no number here
        raise MalformedDescription(key, f"{_WORDS[kind]} is expected")
    return value


_WORDS: Mapping[type, str] = types.MappingProxyType({str: "a text", int: "a whole number", bool: "true or false"})


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def examples() -> Mapping[str, str]:
    """The descriptions that come with the library, by name."""
    folder = files("emrtd.softchip").joinpath(FOLDER)
    found = [one for one in folder.iterdir() if one.name.endswith(".toml")]
    return {one.name.removesuffix(".toml"): one.read_text("utf-8") for one in sorted(found, key=lambda one: one.name)}


def specimen_portrait() -> bytes:
    """A drawn silhouette, JPEG 2000 of `PORTRAIT_SIZE`, as long as a French portrait."""
    return files("emrtd.softchip").joinpath(FOLDER, "portrait.jp2").read_bytes()


# --- making -----------------------------------------------------------------------------------------


def make_state(state: State, *, at: datetime, rng: Rng) -> Authority:
    """The authority of a specimen State that has existed for years at the moment `at`."""
    return make_authority(state.country, at=at - FOUNDED, rng=rng, kind=state.authority, pss=state.pss)


@dataclass(frozen=True)
class Issued:
    """A document and the signer it has."""

    document: ChipDocument
    signer: DocumentSigner


def issue(specimen: Specimen, authority: Authority, portrait: bytes, *, at: datetime, rng: Rng) -> Issued:
    """Personalise `specimen` at the moment `at`, signed under `authority` or beside it as its flaws want.

    A revoked signer is made as any other: its serial belongs on the next `make_revocation_list`. Raises
    MalformedMrz, MalformedFile, Misuse.
    """
    state, flaw = specimen.state, specimen.flaws.signer
    above = make_state(state, at=at, rng=rng) if flaw == "unknown" else authority
    begun = at - (LONG_AGO if flaw == "expired" else ISSUED)
    years = 1.0 if flaw == "expired" else 11.0
    signer = make_signer(
        above,
        at=begun,
        rng=rng,
        kind=state.signer,
        years=years,
        pss=state.pss,
        document_types=state.document_types,
    )
    document = personalise(
        specimen.description(portrait, at.date()),
        signer,
        rng=rng,
        at=begun + ISSUED,
        profile=specimen.chip.behaviour,
        digest=specimen.document.digest,
    )
    return Issued(_spoiled(document, specimen.flaws, rng), signer)


def _spoiled(document: ChipDocument, flaws: Flaws, rng: Rng) -> ChipDocument:
    if flaws.forged_surname:
        document = forged(document, surname=flaws.forged_surname)
    if flaws.altered_group:
        document = altered(document, flaws.altered_group)
    if flaws.copied:
        document = cloned(document, rng)
    return mute(document) if flaws.mute else document

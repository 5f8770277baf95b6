"""The invented people: each document personalises, reads, is believed or refused, and says with the registry what a service must learn."""

from __future__ import annotations

import io
import secrets
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from PIL import Image

from alicem.broker.claims import parse
from alicem.demo import portraits
from alicem.demo.personas import FOLDER, KINDS, Persona, load, load_one
from alicem.demo.specimen import Documents, SpecimenState
from alicem.demo.town import registry_person
from alicem.enrolment.document import kind_of
from alicem.enrolment.identity import civil_identity
from alicem.enrolment.registry_client import CivilStatus
from alicem.evidence import Gender, PartialDate
from alicem.phone.code import is_trivial
from alicem.reasons import load as reasons
from alicem.registry import Document
from alicem.settings import SettingsError
from emrtd.authenticity import prove_chip
from emrtd.contact import first_contact
from emrtd.errors import ChipIsCopy, DataGroupAltered, EmrtdError
from emrtd.exchange import run
from emrtd.mrz import compose
from emrtd.mrz import parse as parse_zone
from emrtd.names import transliterate
from emrtd.passive import AuthenticDocument, passive_authentication
from emrtd.pki.trust import TrustStore
from emrtd.reading import read_document
from emrtd.softchip import ChipDocument, SoftChip, personalise
from emrtd.softchip.faults import cloned, forged

NOW = datetime.now(UTC)
PEOPLE = load()
everyone = pytest.mark.parametrize("persona", PEOPLE.values(), ids=PEOPLE)

# Code officiel géographique, 1 January 2026: the places and countries the people are born in.
PLACES = {"29019": "Brest", "2A004": "Ajaccio", "67482": "Strasbourg", "97101": "Les Abymes"}
COUNTRIES = {"99100": "France", "99212": "Afghanistan", "99231": "Indonésie", "99350": "Maroc", "99401": "Canada", "99416": "Brésil"}  # fmt: skip


@pytest.fixture(scope="module")
def state() -> SpecimenState:
    return SpecimenState.make(NOW, secrets.token_bytes)


@pytest.fixture(scope="module")
def picture() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((240, 320), 40).convert("RGB").save(out, "JPEG", quality=70)
    return out.getvalue()


@pytest.fixture
def chip(persona: Persona, state: SpecimenState, picture: bytes) -> ChipDocument:
    return personalise(
        persona.description(picture), state.signer, rng=secrets.token_bytes, at=NOW,
        profile=persona.chip.profile, digest=persona.chip.digest,
    )  # fmt: skip


def read(document: ChipDocument, state: SpecimenState) -> AuthenticDocument:
    """As Alicem reads it: PACE or BAC, passive authentication to the State, the chip's own proof."""
    transmit = SoftChip(document, secrets.token_bytes)
    found = run(first_contact(), transmit)
    raw = run(read_document(document.access, contact=found, rng=secrets.token_bytes), transmit)
    proven = passive_authentication(raw, TrustStore.of([state.authority], [state.revocations]), at=datetime.now(UTC))
    prove_chip(proven, raw)
    return proven


@everyone
def test_the_zone_parses_back(persona: Persona) -> None:
    zone = parse_zone("\n".join(compose(persona.description(b"").mrz)))
    document = persona.document
    assert zone.number == document.number
    assert (zone.issuer, zone.nationality, zone.sex) == ("FRA", document.nationality, document.sex)
    assert kind_of(zone) == document.kind
    assert transliterate(document.surname) == zone.primary
    assert transliterate(document.given_names).startswith(zone.secondary)
    assert zone.secondary == transliterate(document.given_names) or zone.names_full


@everyone
def test_chip_and_registry_tell_the_expected_identity(
    persona: Persona, chip: ChipDocument, state: SpecimenState
) -> None:
    proven = read(chip, state)
    assert (proven.dg11 is not None) is persona.document.details
    civil = registry_person(persona).civil_status
    facts = {
        "primary": proven.mrz.primary, "secondary": proven.mrz.secondary, "names_full": proven.mrz.names_full,
        "sex": proven.mrz.sex, "nationality": proven.mrz.nationality, "birthdate": _iso(proven),
    }  # fmt: skip
    identity = civil_identity(
        facts,
        CivilStatus(
            civil.family_name, civil.given_names, civil.usage_name, Gender(civil.gender),
            PartialDate.parse(civil.birthdate), civil.birthplace_cog, civil.birthcountry_cog,
        ),
    )  # fmt: skip
    claims = {
        "given_name": identity.given_names, "family_name": identity.family_name,
        "preferred_username": identity.preferred_username, "gender": identity.gender.value,
        "birthdate": str(identity.birthdate), "birthplace": identity.birthplace_cog,
        "birthcountry": identity.birthcountry_cog, "email": persona.email,
    }  # fmt: skip
    if persona.refused is None:
        assert persona.expected == {name: value for name, value in claims.items() if value}
    else:
        assert persona.expected == {}
        assert reasons()[persona.refused]
        assert identity.birthdate.age_at(NOW.date()) < 18


def _iso(proven: AuthenticDocument) -> str:
    born = proven.birth_date
    return f"{born.year or 0:04}-{born.month or 0:02}-{born.day or 0:02}"


@everyone
def test_a_forged_document_and_a_cloned_chip_are_refused(
    persona: Persona, chip: ChipDocument, state: SpecimenState
) -> None:
    with pytest.raises(DataGroupAltered):
        read(forged(chip, surname="CONTREFACON"), state)
    with pytest.raises(ChipIsCopy):
        read(cloned(chip, secrets.token_bytes), state)


@everyone
def test_another_state_does_not_vouch_for_it(persona: Persona, chip: ChipDocument) -> None:
    with pytest.raises(EmrtdError):
        read(chip, SpecimenState.make(NOW, secrets.token_bytes))


@everyone
def test_a_broker_takes_the_expected_claims(persona: Persona) -> None:
    if persona.refused is None:
        assert parse(persona.expected, NOW.date()).claims() == persona.expected


@everyone
def test_the_registry_knows_the_document_by_its_zone(persona: Persona) -> None:
    [held] = registry_person(persona).documents
    zone = persona.description(b"").mrz
    assert held == Document("FRA", persona.document.kind, zone.number, zone.birth_date, zone.expiry_date)


@everyone
def test_places_and_countries_are_real(persona: Persona) -> None:
    assert persona.registry.birthcountry_cog in COUNTRIES
    assert (persona.registry.birthplace_cog in PLACES) is (persona.registry.birthcountry_cog == "99100")


@everyone
def test_the_code_is_one_a_phone_accepts(persona: Persona) -> None:
    assert not is_trivial(persona.code, persona.description(b"").mrz.birth_date)


@everyone
def test_the_document_lasts(persona: Persona) -> None:
    assert NOW.date() < persona.document.expiry_date < date(NOW.year + 11, 1, 1)
    assert persona.email.endswith("@courriel.example")


def test_everyone_looks_different_and_has_their_own_number() -> None:
    people = [one for one in PEOPLE.values() if one.renews is None]
    for values in ([repr(one.face) for one in people], [one.email for one in people]):
        assert len(set(values)) == len(people)
    assert len({one.document.number for one in PEOPLE.values()}) == len(PEOPLE)


def test_whoever_renewed_a_document_is_the_same_person() -> None:
    renewed = [one for one in PEOPLE.values() if one.renews is not None]
    assert renewed
    for one in renewed:
        before = PEOPLE[one.renews or ""]
        assert (one.face, one.registry, one.document.born) == (before.face, before.registry, before.document.born)


COVERED = {
    "accents": lambda p: p.document.surname != p.document.surname.encode("ascii", "ignore").decode(),
    "a ligature": lambda p: "Œ" in p.document.surname,
    "an apostrophe": lambda p: "’" in p.document.surname,
    "a single name": lambda p: p.document.given_names == "",
    "a foreign resident": lambda p: p.document.kind == "residence_permit" and p.document.nationality != "FRA",
    "French, born abroad": lambda p: p.document.nationality == "FRA" and p.registry.birthcountry_cog != "99100",
    "an unknown birth day": lambda p: p.document.birth_date.endswith("-00"),
    "a usage name": lambda p: p.registry.usage_name is not None,
    "a minor": lambda p: p.refused == "holder_is_minor",
    "a long number": lambda p: p.document.kind == "residence_permit" and len(p.document.number) > 9,
    "Corsica": lambda p: p.registry.birthplace_cog.startswith("2A"),
    "overseas": lambda p: p.registry.birthplace_cog.startswith("97"),
    "no DG11": lambda p: not p.document.details,
    "a name the zone cuts": lambda p: p.description(b"").kind == "TD1" and len(p.shown_name) > 28,
    "RSA": lambda p: p.chip.active_authentication.startswith("rsa-"),
    "ECDSA": lambda p: p.chip.active_authentication.startswith("secp"),
    "short reads": lambda p: p.chip.largest_read < 128,
}


@pytest.mark.parametrize("what", COVERED)
def test_somebody_has(what: str) -> None:
    assert any(COVERED[what](one) for one in PEOPLE.values())
    assert len(PEOPLE) >= 8


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ('kind = "passport"', 'kind = "identity_card"'),
        ('face = "', 'face = "nobody_'),
        ('birth_date = "1988-05-17"', 'birth_date = "1988-13-17"'),
        ('code = "482915"', "code = 482915"),
        ("[chip]", 'colour = "blue"\n[chip]'),
        ("[about]", "[aboutness]"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, given: str, written: str) -> None:
    text = (FOLDER / "zoe.toml").read_text("utf-8")
    assert given in text
    (tmp_path / "zoe.toml").write_text(text.replace(given, written), "utf-8")
    with pytest.raises(SettingsError):
        load_one(tmp_path / "zoe.toml")
    assert set(KINDS) == {"passport", "residence_permit"}


def test_the_state_is_saved_and_loaded(tmp_path: Path, state: SpecimenState) -> None:
    state.save(tmp_path / "state")
    again = SpecimenState.load(tmp_path / "state")
    assert (again.authority, again.revocations) == (state.authority, state.revocations)
    assert again.signer.certificate == state.signer.certificate
    assert (tmp_path / "state/signer.key").stat().st_mode & 0o777 == 0o600
    state.save_trust(tmp_path / "trust")
    assert sorted(one.suffix for one in (tmp_path / "trust").iterdir()) == [".cer", ".crl"]
    with pytest.raises(SettingsError):
        SpecimenState.load(tmp_path / "nowhere")


@pytest.mark.skipif(
    not portraits.ready(), reason="the source portraits are not on this machine: alicem face models build"
)
def test_a_person_keeps_their_document(tmp_path: Path, state: SpecimenState) -> None:
    documents = Documents(state, tmp_path / "chips", lambda: NOW, secrets.token_bytes)
    zoe = PEOPLE["zoe"]
    first, again = documents.of(zoe), documents.of(zoe)
    assert first == again
    assert read(first, state).chip_key == read(again, state).chip_key
    assert documents.of(zoe, "document").files != first.files
    assert documents.of(zoe, "chip").private_key != first.private_key
    assert documents.of(zoe, "face") == documents.of(zoe, "code") == first

"""Specimens from their description: read strictly, made as described, every quirk by its name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from alicem.cli import build
from emrtd.authenticity import prove_chip
from emrtd.contact import first_contact
from emrtd.errors import MalformedDescription, TagLost
from emrtd.exchange import run
from emrtd.keys import MrzKey
from emrtd.passive import AuthenticDocument, RawDocument, passive_authentication
from emrtd.pki.specimen import make_revocation_list
from emrtd.pki.trust import TrustStore
from emrtd.reading import read_document
from emrtd.rng import seeded
from emrtd.softchip import ChipDocument
from emrtd.softchip.quirks import CHIPS, FILES
from emrtd.softchip.specimen_file import (
    Specimen,
    examples,
    issue,
    make_state,
    parse_specimen,
    specimen_portrait,
)
from emrtd.transports.software import SoftwareCard as Laid

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
PASSPORT, PERMIT, OLD = (examples()[name] for name in sorted(examples()))


def made(specimen: Specimen) -> tuple[ChipDocument, TrustStore]:
    rng = seeded(b"specimen")
    authority = make_state(specimen.state, at=NOW, rng=rng)
    issued = issue(specimen, authority, specimen_portrait(), at=NOW, rng=rng)
    revoked = [issued.signer.serial] if specimen.flaws.signer == "revoked" else []
    return issued.document, TrustStore.of([authority.certificate], [make_revocation_list(authority, revoked, at=NOW)])


def inspected(specimen: Specimen) -> tuple[AuthenticDocument, RawDocument]:
    document, trust = made(specimen)
    chip = Laid(document, seeded(b"silicon"))
    chip.connect()
    contact = run(first_contact(), chip)
    raw = run(read_document(document.access, contact=contact, rng=seeded(b"terminal")), chip)
    return passive_authentication(raw, trust, at=NOW), raw


def changed(text: str, old: str, new: str) -> Specimen:
    assert old in text
    return parse_specimen(text.replace(old, new))


@pytest.mark.parametrize("name", examples())
def test_each_example_is_made_and_inspected(name: str) -> None:
    document, raw = inspected(parse_specimen(examples()[name]))
    assert prove_chip(document, raw)
    assert set(document.warnings) <= {"sha1"}
    assert document.portrait.image == specimen_portrait()


def test_a_name_with_accents_is_whole_in_dg11_and_plain_in_the_zone() -> None:
    document, _ = inspected(parse_specimen(PASSPORT))
    assert document.full_name == "Zoë Anaïs Lefèvre-Dœuil"
    assert (document.mrz.primary, document.mrz.secondary) == ("LEFEVRE DOEUIL", "ZOE ANAIS")


def test_a_single_name_and_a_birth_date_half_known() -> None:
    document, _ = inspected(parse_specimen(PERMIT))
    assert (document.surname, document.given_names) == ("Wibowo", "")
    assert str(document.birth_date) == "1984"


@pytest.mark.parametrize("form", ["TD1", "TD2", "TD3"])
def test_each_form_of_document(form: str) -> None:
    specimen = changed(PASSPORT, 'format = "TD3"', f'format = "{form}"')
    assert inspected(specimen)[0].mrz.kind == form


def test_a_long_number_opens_the_chip_whole() -> None:
    specimen = changed(OLD, 'format = "TD3"', 'format = "TD1"\ncode = "I"')
    specimen = replace(specimen, document=replace(specimen.document, number="D23145890734"))
    document, _ = made(specimen)
    assert document.access == MrzKey("D23145890734", "690806", "340415")
    assert inspected(specimen)[0].mrz.number == "D23145890734"


@pytest.mark.parametrize("quirk", [*CHIPS, *FILES])
def test_each_quirk_by_its_name(quirk: str) -> None:
    text = OLD.replace("[chip.profile]\nextended = false\nlargest_read = 192\nanswers_master_file = 0x6A82\n", "")
    if quirk in ("card-access-in-application", "french-identity-card"):  # quirks of chips with PACE
        text = text.replace("[chip]", '[chip]\npace = ["ECDH-GM-AES-128/12"]')
    document, _ = inspected(changed(text, "[chip]", f'[chip]\nquirks = ["{quirk}"]'))
    assert document.mrz.number == "L898902C"


def test_quirks_add_up_and_the_own_profile_has_the_last_word() -> None:
    specimen = changed(
        OLD, "[chip]", '[chip]\nquirks = ["reads-112", "plain-error", "dg11-bcd-date", "no-master-file-6d00"]'
    )
    profile = specimen.chip.behaviour
    assert (profile.largest_read, profile.errors, profile.extended) == (192, "plain", False)
    assert profile.answers_master_file == 0x6A82
    assert specimen.description(b"", NOW.date()).quirks == ("dg11-bcd-date",)


def test_slowness_and_losses_are_traits_of_the_chip_and_of_its_file() -> None:
    specimen = changed(OLD, "[chip.profile]", "[chip.profile]\nmilliseconds = 20\nlost_after = 500")
    document = ChipDocument.from_bytes(made(specimen)[0].to_bytes())
    waits: list[float] = []
    chip = Laid(document, seeded(b"s"), wait=waits.append)
    chip.connect()
    contact = run(first_contact(), chip)
    with pytest.raises(TagLost) as lost:
        run(read_document(document.access, contact=contact, rng=seeded(b"t")), chip)
    assert set(waits) == {0.02}
    chip.connect()  # laid again, it lasts as long again
    assert run(first_contact(), chip) != ()
    assert lost.value.read
    patient = Laid(document, seeded(b"s"), milliseconds=0, lost_after=0, wait=waits.append)
    count = len(waits)
    patient.connect()
    contact = run(first_contact(), patient)
    assert run(read_document(document.access, contact=contact, rng=seeded(b"t")), patient).groups[1]
    assert len(waits) == count


def test_a_document_expires_on_its_day_or_after_its_years() -> None:
    assert parse_specimen(OLD).document.expiry(date(2026, 6, 15)) == date(2034, 4, 15)
    assert parse_specimen(PASSPORT).document.expiry(date(2028, 2, 29)) == date(2038, 2, 1)


WRONG = {
    "unknown key": ("[holder]", '[holder]\neyes = "green"', "holder.eyes"),
    "unknown table": ("[holder]", '[pet]\nname = "Rex"\n[holder]', "pet"),
    "unknown key deep down": ("[chip.profile]", "[chip.profile]\nspeed = 1", "chip.profile.speed"),
    "a number for a text": ('number = "L898902C"', "number = 898902", "document.number"),
    "a truth for a number": ("largest_read = 192", "largest_read = true", "chip.profile.largest_read"),
    "a number for a truth": ("extended = false", "extended = 0", "chip.profile.extended"),
    "a text for a list": ("[chip]", '[chip]\npace = "ECDH-GM-AES-128/12"', "chip.pace"),
    "a list of numbers": ("[chip]", "[chip]\npace = [12]", "chip.pace"),
    "a word nobody knows": ('sex = "F"', 'sex = "W"', "holder.sex"),
    "a quirk nobody met": ("[chip]", '[chip]\nquirks = ["colour"]', "chip.quirks"),
    "a missing key": ('surname = "Eriksson"\n', "", "holder.surname"),
    "a birth date of another form": ("1969-08-06", "06.08.1969", "holder.birth_date"),
    "an expiry date that is none": ("2034-04-15", "2034-02-30", "document.expires"),
    "a table for a table": ('[state]\ncountry = "UT"', 'state = "UT"\n[flaws]', "state"),
    "not TOML": ("[holder]", "[holder", ""),
}


@pytest.mark.parametrize("flaw", WRONG)
def test_a_description_with_a_flaw_is_refused_by_its_key(flaw: str) -> None:
    old, new, key = WRONG[flaw]
    text = OLD.replace(old, new)
    if flaw == "a table for a table":
        text = 'state = "UT"\n' + OLD.split("[state]", maxsplit=1)[0]
    with pytest.raises(MalformedDescription) as refused:
        parse_specimen(text)
    assert refused.value.key == key


@given(st.text(max_size=60))
def test_any_text_is_a_description_or_has_a_named_flaw(text: str) -> None:
    with pytest.raises(MalformedDescription):
        parse_specimen(text)


def test_names_are_not_in_what_is_printed() -> None:
    assert "Lef" not in repr(parse_specimen(PASSPORT))


def chip(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(build("chip"), ["chip", *map(str, arguments)])
    return done.exit_code, done.stdout, " ".join(done.stderr.split())


def test_the_examples_are_listed_and_shown() -> None:
    status, out, _ = chip("specimens")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(examples())
    assert chip("specimen", "french-passport", "--show")[1] == PASSPORT


def test_one_folder_is_one_state_however_many_documents(tmp_path: Path) -> None:
    for name in ("french-passport", "french-residence-permit"):
        assert chip("specimen", name, "--into", tmp_path)[0] == 0
    assert len(list(tmp_path.glob("state-*.pem"))) == 1
    assert sorted(file.name for file in (tmp_path / "trust").iterdir()) == [
        "FR-brainpoolP384r1.cer",
        "FR-brainpoolP384r1.crl",
    ]


def test_a_portrait_of_ones_own(tmp_path: Path) -> None:
    picture = tmp_path / "face.jpg"
    picture.write_bytes(b"\xff\xd8\xff\xe0" + bytes(300) + b"\xff\xd9")
    assert chip("specimen", "plain-old-passport", "--into", tmp_path, "--portrait", picture)[0] == 0
    document = ChipDocument.from_bytes((tmp_path / "plain-old-passport.json").read_bytes())
    assert picture.read_bytes() in document.files[0x0102]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody", "--into", "{place}"), "no description nobody"),
        (("french-passport",), "--into"),
        (("{place}/wrong.toml", "--into", "{place}"), "holder: is missing"),
        (("french-passport", "--into", "{place}", "--portrait", "{place}/none"), "No such file"),
        (("french-passport", "--into", "{place}", "--portrait", "{place}/wrong.toml"), "DG2"),
    ],
)
def test_usage_of_making(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "wrong.toml").write_text("[document]\n", "utf-8")
    status, _, err = chip("specimen", *(argument.format(place=tmp_path) for argument in arguments))
    assert (status, said in err) == (2, True)

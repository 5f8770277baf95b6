"""DG11 and DG12: round trips, what States really write, and flaws."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from emrtd_pictures import codestream, jpeg
from hypothesis import given
from hypothesis import strategies as st

from emrtd import tlv
from emrtd.dates import PartialDate
from emrtd.errors import Malformed, MalformedFile
from emrtd.lds.dg11 import Dg11, compose_dg11, parse_dg11
from emrtd.lds.dg12 import Dg12, compose_dg12, parse_dg12
from emrtd.lds.pictures import read_picture

PICTURE = read_picture(jpeg(), "DG12")
word = st.text("abcdefghéàçÉŒß'-ЖЩ赵彬", min_size=1, max_size=12)
words = st.lists(word, min_size=1, max_size=3).map(" ".join)
texts = st.just("") | words
lists = st.lists(words, max_size=3).map(tuple)
dates = st.sampled_from((None, PartialDate(1975, 3, 9), PartialDate(1975, None, None), PartialDate(None, None, None)))
pictures = st.sampled_from((None, PICTURE, read_picture(codestream(), "DG12")))
moments = st.none() | st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)).map(
    lambda moment: moment.replace(microsecond=0)
)
personal = st.builds(
    Dg11,
    primary=words,
    secondary=texts,
    other_names=lists,
    personal_number=st.text("0123456789", max_size=14),
    birth_date=dates,
    birth_place=lists,
    address=lists,
    telephone=st.text("0123456789", max_size=14),
    profession=texts,
    title=texts,
    summary=texts,
    proof_of_citizenship=pictures,
    other_documents=lists,
    custody=texts,
)
documents = st.builds(
    Dg12,
    issuing_authority=texts,
    issue_date=dates,
    other_persons=lists,
    endorsements=texts,
    tax_or_exit=texts,
    front=pictures,
    rear=pictures,
    personalised_at=moments,
    personalised_by=texts,
)
FULL_11 = Dg11(
    "Lefèvre-Dœuil", "Zoë Anaïs", ("Durand Zoë",), "1990055512345", PartialDate(1990, 5, 17), ("Besançon",),
    ("1 rue du Pont", "25000 Besançon"), "33381000000", "notaire", "maître", "née en 1990", PICTURE, ("24AA1",), "néant",
)  # fmt: skip
FULL_12 = Dg12(
    "Préfecture du Doubs", PartialDate(2024, 2, 29), ("Lefèvre Léo",), "voir page 7", "néant", PICTURE, PICTURE,
    datetime(2024, 2, 28, 13, 36, 12), "N-4962",
)  # fmt: skip


@given(personal)
def test_dg11_round_trip(details: Dg11) -> None:
    found = parse_dg11(compose_dg11(details))
    assert found == details
    assert found.warnings == ()


@given(documents)
def test_dg12_round_trip(details: Dg12) -> None:
    found = parse_dg12(compose_dg12(details))
    assert found == details
    assert found.warnings == (() if compose_dg12(details) != compose_dg12(Dg12()) else ("dg12_tag_list",))


def test_dg11_of_the_standard() -> None:
    """9303-10 A.5, with the two lengths the standard miscounts put right."""
    found = parse_dg11(
        bytes.fromhex(
            "6B605C0A5F0E5F115F425F125F135F0E0D534D4954483C3C4A4F484E3C4A5F110A414E59544F574E3C4D4E"
            "5F4217313233204D41504C452052443C414E59544F574E3C4D4E5F120B31363132353535313231325F130C"
            "54524156454C3C4147454E54"
        )
    )
    assert found == Dg11(
        "SMITH", "JOHN J", birth_place=("ANYTOWN", "MN"), address=("123 MAPLE RD", "ANYTOWN", "MN"),
        telephone="16125551212", profession="TRAVEL AGENT",
    )  # fmt: skip
    assert found.warnings == ()


@pytest.mark.parametrize("nested", [True, False])
def test_dg12_of_the_standard(nested: bool) -> None:
    """9303 (supplement, release 11), where the other person is in a template, and as before, where it is not."""
    person = tlv.encode(0x5F1A, b"SMITH<<BRENDA<P")
    found = parse_dg12(
        tlv.encode(
            0x6C,
            bytes.fromhex("5C065F195F265F1A"),
            tlv.encode(0x5F19, b"UNITED STATES OF AMERICA"),
            tlv.encode(0x5F26, b"20020531"),
            tlv.encode(0xA0, bytes.fromhex("020101"), person) if nested else person,
        )
    )
    assert found == Dg12("UNITED STATES OF AMERICA", PartialDate(2002, 5, 31), ("SMITH BRENDA P",))
    assert found.warnings == (() if nested else ("dg12_without_template",))


def test_dg12_of_french_and_new_zealand_passports() -> None:
    """Read from passports by the authors of gmrtd, nothing in them of a person."""
    french = bytes.fromhex(
        "6C3E5C045F195F265F192A4A414B41525441202D20414D42415353414445204445204652414E434520454E20494E444F4E455349"
        "455F26083230313730393035"
    )
    assert parse_dg12(french) == Dg12("JAKARTA - AMBASSADE DE FRANCE EN INDONESIE", PartialDate(2017, 9, 5))
    kiwi = bytes.fromhex("6C205C045F555F565F550E32303136313131353031333631325F56064E2D34393632")
    assert parse_dg12(kiwi) == Dg12(personalised_at=datetime(2016, 11, 15, 1, 36, 12), personalised_by="N-4962")


# --- what States really write: one row a quirk, with the States where it was met --------------------------


def dg11(*objects: bytes, tags: str = "") -> Dg11:
    """DG11 with `objects`; its tag list is right unless `tags` says otherwise."""
    listed = bytes.fromhex(tags) or b"".join(item[:2] if item[0] == 0x5F else item[:1] for item in objects)
    return parse_dg11(tlv.encode(0x6B, tlv.encode(0x5C, listed), *objects))


def dg12(*objects: bytes) -> Dg12:
    listed = b"".join(item[:2] if item[0] == 0x5F else item[:1] for item in objects)
    return parse_dg12(tlv.encode(0x6C, tlv.encode(0x5C, listed), *objects))


def test_other_names_under_a0_which_the_tag_list_names() -> None:
    """Belarus."""
    names = tlv.encode(0xA0, b"\x02\x01\x02", tlv.encode(0x5F0F, b"IVANOV<<IVAN"), tlv.encode(0x5F0F, b"IVANOU<<IVAN"))
    found = dg11(tlv.encode(0x5F10, b"3010190A001PB1"), names)
    assert found.other_names == ("IVANOV IVAN", "IVANOU IVAN")
    assert found.warnings == ()


def test_other_name_without_its_template() -> None:
    """China, Hungary."""
    found = parse_dg11(bytes.fromhex("6B1B5C045F0E5F0F5F0E06E8B5B5E5BDAC5F0F095A48414F3C3C42494E"))
    assert (found.primary, found.other_names) == ("赵彬", ("ZHAO BIN",))
    assert found.warnings == ("dg11_without_template",)


def test_dates_in_bcd() -> None:
    """Malaysia, Spain, Bosnia and Herzegovina, France and Belgium of old; Taiwan in DG12."""
    born = dg11(tlv.encode(0x5F2B, bytes.fromhex("19750309")))
    assert (born.birth_date, born.warnings) == (PartialDate(1975, 3, 9), ("dg11_birth_date_bcd",))
    issued = dg12(tlv.encode(0x5F26, bytes.fromhex("20210915")), tlv.encode(0x5F55, bytes.fromhex("20171115013612")))
    assert issued.issue_date == PartialDate(2021, 9, 15)
    assert issued.personalised_at == datetime(2017, 11, 15, 1, 36, 12)
    assert issued.warnings == ("dg12_issue_date_bcd", "dg12_personalised_at_bcd")


def test_empty_objects() -> None:
    """Belgium, France."""
    names = tlv.encode(0xA0, b"\x02\x01\x01", tlv.encode(0x5F0F))
    found = dg11(tlv.encode(0x5F0E), names, tlv.encode(0x5F11, b"Li\xc3\xa8ge"), tlv.encode(0x5F2B))
    assert (found.primary, found.other_names, found.birth_place) == ("", (), ("Liège",))
    assert (found.birth_date, found.warnings) == (None, ("dg11_empty_object",))


def test_nothing_but_empty_objects() -> None:
    """As older versions of JMRTD wrote it."""
    found = parse_dg11(
        bytes.fromhex(
            "6B345C105F0E5F105F2B5F125F135F145F155F185F0E023C3C5F10005F2B0831393731313031395F12005F13005F14005F15005F1800"
        )
    )
    assert found == Dg11(birth_date=PartialDate(1971, 10, 19))


def test_undocumented_object_whose_tag_breaks_the_rule() -> None:
    """Belgium: 5F85, by the rule of BER the beginning of a longer tag, holds the time of personalisation."""
    found = dg12(
        tlv.encode(0x5F19, b"Bruxelles"), bytes.fromhex("5F850E") + b"20161115013612", tlv.encode(0x5F56, b"7")
    )
    assert found == Dg12("Bruxelles", personalised_at=datetime(2016, 11, 15, 1, 36, 12), personalised_by="7")
    assert found.warnings == ("dg12_unknown_object",)


@pytest.mark.parametrize("tags", ["5F0E5F2B", "5F", "00", "5F0E5F115F42"])
def test_tag_lists_that_lie(tags: str) -> None:
    found = dg11(tlv.encode(0x5F0E, b"SMITH<<JOHN"), tlv.encode(0x5F11, b"ANYTOWN"), tags=tags)
    assert (found.primary, found.birth_place, found.warnings) == ("SMITH", ("ANYTOWN",), ("dg11_tag_list",))


def test_no_tag_list() -> None:
    found = parse_dg11(tlv.encode(0x6B, tlv.encode(0x5F0E, b"SMITH<<JOHN")))
    assert (found.primary, found.warnings) == ("SMITH", ("dg11_tag_list",))


@pytest.mark.parametrize(
    ("written", "primary", "secondary", "warning"),
    [
        ("LEFÈVRE<DŒUIL<<ZOË", "LEFÈVRE DŒUIL", "ZOË", ()),
        ("Satriya<Sudarpa", "Satriya Sudarpa", "", ()),
        ("赵彬", "赵彬", "", ()),
        ("Smith  John J", "Smith", "John J", ("dg11_name_with_spaces",)),
        ("Smith, John J", "Smith", "John J", ("dg11_name_with_spaces",)),
        ("Smith John J", "Smith John J", "", ("dg11_name_undivided",)),
        ("SMITH<<JOHN<<J<<<", "SMITH", "JOHN J", ()),
        ("  SMITH<<JOHN\0\0", "SMITH", "JOHN", ()),
    ],
)
def test_full_names(written: str, primary: str, secondary: str, warning: tuple[str, ...]) -> None:
    found = dg11(tlv.encode(0x5F0E, written.encode()))
    assert (found.primary, found.secondary, found.warnings) == (primary, secondary, warning)


def test_names_in_latin_1() -> None:
    found = dg11(tlv.encode(0x5F0E, "LEFÈVRE<<ZOË".encode("latin-1")))
    assert (found.primary, found.secondary, found.warnings) == ("LEFÈVRE", "ZOË", ("dg11_latin_1",))


def test_padding_after_the_objects() -> None:
    found = parse_dg11(tlv.encode(0x6B, bytes.fromhex("5C025F11"), tlv.encode(0x5F11, b"Lyon"), bytes(7)))
    assert (found.birth_place, found.warnings) == (("Lyon",), ("dg11_padding",))


def test_a_rest_that_cannot_be_told_apart() -> None:
    found = parse_dg11(tlv.encode(0x6B, bytes.fromhex("5C025F11"), tlv.encode(0x5F11, b"Lyon"), b"\x5f\x42\x30cut"))
    assert (found.birth_place, found.warnings) == (("Lyon",), ("dg11_rest_unreadable",))


def test_count_and_template_that_lie() -> None:
    names = tlv.encode(0xA0, b"\x02\x01\x05", tlv.encode(0x5F0F, b"A<<B"))
    assert dg11(names).warnings == ("dg11_count",)
    broken = dg11(tlv.encode(0xA0, b"\x02\x01\x01\x5f\x0f\x20cut"))
    assert (broken.other_names, broken.warnings) == ((), ("dg11_template_unreadable",))


def test_repeated_object() -> None:
    found = dg11(tlv.encode(0x5F11, b"Lyon"), tlv.encode(0x5F11, b"Paris"))
    assert (found.birth_place, found.warnings) == (("Lyon",), ("dg11_repeated_object",))


@pytest.mark.parametrize("value", [b"1975", b"19751309", b"1975-03-09", b"\xff" * 8, b"\xff" * 4])
def test_dates_that_are_none(value: bytes) -> None:
    found = dg11(tlv.encode(0x5F2B, value))
    assert found.birth_date is None
    assert "dg11_birth_date_unreadable" in found.warnings


@pytest.mark.parametrize("image", [b"GIF89a", jpeg(60_000, 60_000)])
def test_images_that_may_not_be_shown(image: bytes) -> None:
    found = dg12(tlv.encode(0x5F1D, image))
    assert (found.front, found.warnings) == (None, ("dg12_front_unreadable",))


# --- flaws ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [11, 12])
def test_truncated_at_each_byte(number: int) -> None:
    content, parse = (compose_dg11(FULL_11), parse_dg11) if number == 11 else (compose_dg12(FULL_12), parse_dg12)
    for size in range(len(content)):
        with pytest.raises(MalformedFile):
            parse(content[:size])


@given(st.sampled_from((11, 12)), st.data())
def test_bytes_changed(number: int, data: st.DataObject) -> None:
    changed = bytearray(compose_dg11(FULL_11) if number == 11 else compose_dg12(FULL_12))
    for _ in range(data.draw(st.integers(1, 5))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse_dg11(bytes(changed)) if number == 11 else parse_dg12(bytes(changed))
    except Malformed:
        return


@given(st.sampled_from((11, 12)), st.binary(max_size=300))
def test_any_bytes_inside(number: int, inside: bytes) -> None:
    try:
        parse_dg11(tlv.encode(0x6B, inside)) if number == 11 else parse_dg12(tlv.encode(0x6C, inside))
    except Malformed:
        return


def test_too_many_objects_stop() -> None:
    found = parse_dg11(tlv.encode(0x6B, b"\x5f\x11\x00" * 100_000))
    assert found.birth_place == ()


def test_nobody_is_shown() -> None:
    for details in (FULL_11, FULL_12, replace(FULL_11, warnings=("dg11_latin_1",))):
        assert "Lef" not in repr(details)

"""Machine-readable zones, names and dates."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emrtd import dates, mrz
from emrtd.dates import PartialDate
from emrtd.errors import Malformed, MalformedMrz, Misuse
from emrtd.keys import Can, MrzKey
from emrtd.mrz import Mrz
from emrtd.names import compose_names, parse_names, transliterate

VECTORS = Path(__file__).parent / "vectors"
ZONES = tomllib.loads((VECTORS / "zones.toml").read_text("utf-8"))["zone"]
NAMES = tomllib.loads((VECTORS / "icao_9303_names.toml").read_text("utf-8"))
ERIKSSON = ZONES[0]["text"]
BELGIAN = next(zone["text"] for zone in ZONES if zone["text"].startswith("IDBEL"))
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

names = st.lists(st.text(LETTERS, min_size=1, max_size=9), min_size=1, max_size=3).map(" ".join)
codes = st.text(LETTERS, min_size=1, max_size=3)
short_numbers = st.text(LETTERS + "0123456789", min_size=1, max_size=9)
two_digits = st.integers(1, 12).map(lambda number: f"{number:02d}")
days = st.tuples(st.integers(0, 99).map(lambda number: f"{number:02d}"), two_digits, two_digits).map("".join)


@st.composite
def zones(draw: st.DrawFn) -> Mrz:
    kind = draw(st.sampled_from(("TD1", "TD2", "TD3")))
    longest = {"TD1": 22, "TD2": 14, "TD3": 9}[kind]
    number = draw(st.text(LETTERS + "0123456789", min_size=1, max_size=longest))
    free = {"TD1": 15, "TD2": 7, "TD3": 14}[kind] - (len(number) - 7 if len(number) > 9 else 0)
    # one name after the other may be too long for the field: the round trip is for those that fit
    first, second = draw(names), draw(st.just("") | names)
    width = {"TD1": 30, "TD2": 31, "TD3": 39}[kind]
    if len(first) + len(second) + 2 > width:
        first, second = first[:9].strip(), second[:9].strip()
    return Mrz(
        kind=kind,  # type: ignore[arg-type]
        document_code=draw(st.sampled_from(("P", "PM", "I", "AR", "IR"))),
        issuer=draw(codes),
        number=number,
        nationality=draw(codes),
        birth_date=draw(days | st.sampled_from(("75<<<<", "7501<<", "<<<<<<"))),
        sex=draw(st.sampled_from("MF<")),
        expiry_date=draw(days),
        primary=first,
        secondary=second,
        optional=draw(st.text(LETTERS + "0123456789", max_size=max(0, free))),
        optional2=draw(st.text(LETTERS, max_size=11)) if kind == "TD1" else "",
        names_full=len(first) + (len(second) + 2 if second else 0) == width,
    )


@pytest.mark.parametrize("zone", ZONES, ids=lambda zone: f"{zone['kind']}-{zone['primary']}")
def test_printed_zones(zone: dict[str, str]) -> None:
    found = mrz.parse(zone["text"])
    assert {name: getattr(found, name) for name in zone if name != "text"} == {
        name: value for name, value in zone.items() if name != "text"
    }
    assert mrz.compose(found) == tuple(_lines(zone["text"], found.kind))


def _lines(text: str, kind: str) -> list[str]:
    width = mrz.WIDTH[kind]
    return [text[start : start + width] for start in range(0, len(text), width)]


@given(zones())
def test_round_trip(zone: Mrz) -> None:
    lines = mrz.compose(zone)
    assert {len(line) for line in lines} == {mrz.WIDTH[zone.kind]}
    assert mrz.parse("\n".join(lines)) == zone


@given(st.text(LETTERS + "0123456789<", min_size=88, max_size=90) | st.text(max_size=100))
def test_any_text(text: str) -> None:
    try:
        zone = mrz.parse(text)
    except MalformedMrz:
        return
    assert mrz.parse("".join(mrz.compose(zone))).number == zone.number


def test_truncated_and_extended() -> None:
    for size in range(len(ERIKSSON)):
        with pytest.raises(MalformedMrz):
            mrz.parse(ERIKSSON[:size])
    with pytest.raises(MalformedMrz):
        mrz.parse(ERIKSSON + "<")


@pytest.mark.parametrize(
    ("place", "field"), [(44, "number"), (57, "birth_date"), (65, "expiry_date"), (72, "optional")]
)
def test_a_misread_character_names_its_field(place: int, field: str) -> None:
    other = "8" if ERIKSSON[place] != "8" else "3"
    with pytest.raises(MalformedMrz) as refused:
        mrz.parse(ERIKSSON[:place] + other + ERIKSSON[place + 1 :])
    assert refused.value.field == field


def test_empty_optional_data_with_filler_or_zero() -> None:
    zone = replace(mrz.parse(ERIKSSON), optional="")
    top, bottom = mrz.compose(zone)
    assert bottom[42] == "<"
    with_zero = bottom[:42] + "0"
    with_zero += mrz.check_digit(with_zero[:10] + with_zero[13:20] + with_zero[21:43])
    assert mrz.parse(top + with_zero) == zone


def test_long_number_is_refused_on_a_passport() -> None:
    with pytest.raises(MalformedMrz, match="nine"):
        mrz.compose(replace(mrz.parse(ERIKSSON), number="1234567890"))


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("Lefèvre-Dœuil", "LEFEVRE DOEUIL"),
        ("Zoë Anaïs", "ZOE ANAIS"),
        ("d’Artagnan", "DARTAGNAN"),
        ("O'Connor", "OCONNOR"),
        ("Müller", "MUELLER"),
        ("Strauß", "STRAUSS"),
        ("Ångström", "AANGSTROEM"),
        ("Þórðarson", "THORDARSON"),
        ("Nuñez  Ibáñez", "NUNEZ IBANEZ"),
        ("Łukasz Żółć", "LUKASZ ZOLC"),
        ("İbrahim Işık", "IBRAHIM ISIK"),
        ("Nguyễn", "NGUYEN"),
        ("Ðorđe", "DORDE"),
        ("ij ĳ", "IJ IJ"),
    ],
)
def test_transliteration(written: str, zone: str) -> None:
    assert transliterate(written) == zone


def test_no_transliteration_of_other_scripts() -> None:
    with pytest.raises(MalformedMrz):
        transliterate("Юлия")


@given(st.text("ÀÉÎÕÜçñøœßÞĐŁabc'- ", max_size=40))
def test_transliteration_is_stable(name: str) -> None:
    once = transliterate(name)
    assert set(once) <= set(LETTERS) | {" "}
    assert transliterate(once) == once


@pytest.mark.parametrize("example", NAMES["name"], ids=lambda example: example["field"])
def test_names_of_the_standard(example: dict[str, object]) -> None:
    field, width = str(example["field"]), int(str(example["width"]))
    primary, secondary = (transliterate(part) for part in example["written"])  # type: ignore[attr-defined]
    made = compose_names(primary, secondary, width)
    assert len(made) == len(field) == width
    found = parse_names(field)
    if example.get("truncated"):  # how to truncate is the State's choice; a letter at the end says that it was done
        assert made[-1] != "<"
        assert [bool(part) for part in parse_names(made)] == [bool(part) for part in found] == [True, bool(secondary)]
    else:
        assert made == field
        assert found == (primary, secondary)


@pytest.mark.parametrize("written", NAMES["letters"])
def test_letters_of_the_standard(written: str) -> None:
    for letter in NAMES["letters"][written]:
        assert transliterate(letter) == written


@pytest.mark.parametrize("example", NAMES["check"], ids=lambda example: example["text"])
def test_check_digits_of_the_standard(example: dict[str, str]) -> None:
    assert mrz.check_digit(example["text"]) == example["digit"]


def test_check_digit_of_a_long_number_that_counts_the_filler() -> None:
    """Belgian identity cards before 2013 (PRADO BEL-BO-03003: 000590240<6013)."""
    zone = replace(mrz.parse(BELGIAN), number="000590240601")
    lines = "".join(mrz.compose(zone)).replace("<6011<", "<6013<")
    composite = mrz.check_digit(lines[5:30] + lines[30:37] + lines[38:45] + lines[48:59])
    assert mrz.parse(lines[:59] + composite + lines[60:]) == zone


def test_longest_number_is_followed_by_a_filler() -> None:
    """9303-5 4.2.4: the last digit of a long number is at most in position 28 of the upper line."""
    zone = replace(mrz.parse(BELGIAN), number="A" * 22)
    assert mrz.compose(zone)[0].endswith("<")
    with pytest.raises(MalformedMrz):
        mrz.compose(replace(zone, number="A" * 23))


def test_wrong_check_digits_are_named_where_they_may_be_forgiven() -> None:
    zone, wrong = mrz.read(ERIKSSON[:53] + "1" + ERIKSSON[54:-1] + "9")
    assert (zone.number, wrong) == ("L898902C3", ("number", "composite"))


def test_nobody_is_shown() -> None:
    assert "ERIKSSON" not in repr(mrz.parse(ERIKSSON))


@given(names, names, st.sampled_from((30, 31, 39)))
def test_name_field_always_fits(primary: str, secondary: str, width: int) -> None:
    made = compose_names(primary * 3, secondary * 3, width)
    assert len(made) == width
    first, second = parse_names(made)
    assert first
    assert second


@given(st.text(LETTERS + "<", min_size=1, max_size=40))
def test_any_name_field(field: str) -> None:
    try:
        primary, secondary = parse_names(field)
    except MalformedMrz:
        return
    assert primary == transliterate(primary)
    assert secondary == transliterate(secondary)


@pytest.mark.parametrize(
    ("text", "at", "birth"),
    [
        ("900517", date(2026, 4, 5), "1990-05-17"),
        ("260405", date(2026, 4, 5), "2026-04-05"),
        ("260406", date(2026, 4, 5), "1926-04-06"),
        ("000229", date(2026, 4, 5), "2000-02-29"),
        ("75<<<<", date(2026, 4, 5), "1975"),
        ("7503<<", date(2026, 4, 5), "1975-03"),
        ("750300", date(2026, 4, 5), "1975-03"),
        ("<<<<<<", date(2026, 4, 5), "XXXX"),
        ("75<<09", date(2026, 4, 5), "1975-XX-09"),
    ],
)
def test_birth_dates(text: str, at: date, birth: str) -> None:
    assert str(dates.birth_date(text, at)) == birth


@pytest.mark.parametrize(("text", "year"), [("340228", 2034), ("991231", 1999), ("750101", 2075)])
def test_expiry_dates(text: str, year: int) -> None:
    assert dates.expiry_date(text, date(2026, 4, 5)).year == year


@pytest.mark.parametrize("text", ["901317", "900532", "9x0517", "010230"])
def test_impossible_birth_dates(text: str) -> None:
    with pytest.raises(Malformed):
        dates.birth_date(text, date(2026, 4, 5))


def test_partial_dates_agree() -> None:
    assert PartialDate(1975, None, None).agrees_with(PartialDate(1975, 3, 9))
    assert not PartialDate(1975, 4, None).agrees_with(PartialDate(1975, 3, 9))


def test_access_keys_are_checked_and_never_shown() -> None:
    assert "24AA12345" not in repr(MrzKey("24AA12345", "900517", "340228"))
    assert "123456" not in repr(Can("123456"))
    for wrong in (("", "900517", "340228"), ("24AA12345", "1990517", "340228"), ("24*A", "900517", "340228")):
        with pytest.raises(Misuse):
            MrzKey(*wrong)
    with pytest.raises(Misuse):
        Can("12345")

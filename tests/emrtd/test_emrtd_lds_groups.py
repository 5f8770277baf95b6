"""EF.COM, DG1, DG7, DG13 and DG15: round trips, the examples of the standard, what States write, flaws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from emrtd_pictures import codestream, jp2, jpeg
from hypothesis import given
from hypothesis import strategies as st

from emrtd import mrz, tlv
from emrtd.errors import Malformed, MalformedFile, MalformedMrz, Misuse
from emrtd.lds.com import Com, compose_com, parse_com
from emrtd.lds.dg1 import compose_dg1, parse_dg1
from emrtd.lds.dg7 import Dg7, compose_dg7, parse_dg7
from emrtd.lds.dg13 import Dg13, compose_dg13, parse_dg13
from emrtd.lds.dg15 import compose_dg15, parse_dg15
from emrtd.pki.specimen import make_key
from emrtd.rng import seeded

TD3 = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<L898902C36UTO7408122F1204159ZE184226B<<<<<10"
TD1 = "I<UTOD231458907<<<<<<<<<<<<<<<7408122F1204159UTO<<<<<<<<<<<6ERIKSSON<<ANNA<MARIA<<<<<<<<<<"
TD2 = "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<D231458907UTO7408122F1204159<<<<<<<6"
DER = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
SPKI = make_key("secp256r1", seeded(b"key")).public_key().public_bytes(*DER)
GOOD: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "COM": (parse_com, compose_com((1, 2, 15))),
    "DG1": (parse_dg1, compose_dg1(mrz.parse(TD3))),
    "DG7": (parse_dg7, compose_dg7(jpeg(), jp2())),
    "DG13": (parse_dg13, compose_dg13(b"\x04\x03abc")),
    "DG15": (parse_dg15, compose_dg15(SPKI)),
}


# --- EF.COM --------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 16), unique=True).map(tuple))
def test_com_round_trip(groups: tuple[int, ...]) -> None:
    found = parse_com(compose_com(groups))
    assert found == Com("0107", "040000", groups)
    assert found.warnings == ()


def test_com_of_the_standard() -> None:
    """9303-10 A.1."""
    found = parse_com(bytes.fromhex("60165F0104303130375F36063034303030305C046175766C"))
    assert found == Com("0107", "040000", (1, 2, 4, 12))
    assert parse_com(bytes.fromhex("60165F0104313539395F36063034303030305C046175766C")).lds_version == "1599"


def com(*objects: bytes, after: bytes = b"") -> Com:
    return parse_com(tlv.encode(0x60, *objects) + after)


def test_com_as_chips_have_it() -> None:
    versions = tlv.encode(0x5F01, b"0107"), tlv.encode(0x5F36, b"040000")
    unknown = com(*versions, tlv.encode(0x5C, bytes.fromhex("6199756F61")))
    assert (unknown.groups, unknown.warnings) == ((1, 2, 15), ("com_tag_list",))
    bare = com(tlv.encode(0x5C, b"\x61"))
    assert (bare.lds_version, bare.warnings) == ("", ("com_version",))
    odd = com(tlv.encode(0x5F01, b"\xff\x07"), versions[1], tlv.encode(0x5C, b"\x61"))
    assert (odd.lds_version, odd.warnings) == ("", ("com_version",))
    longer = com(*versions, tlv.encode(0x5C, b"\x61"), after=bytes(20))
    assert (longer.groups, longer.warnings) == ((1,), ("com_trailing_bytes",))


def test_com_without_a_list() -> None:
    with pytest.raises(MalformedFile):
        com(tlv.encode(0x5F01, b"0107"))
    with pytest.raises(MalformedFile):
        parse_com(compose_com((1,)) + bytes(1 << 16))


# --- DG1 -----------------------------------------------------------------------------------------------


def dg1(zone: str | bytes) -> mrz.Mrz:
    raw = zone if isinstance(zone, bytes) else zone.encode("latin-1")
    return parse_dg1(tlv.encode(0x61, tlv.encode(0x5F1F, raw)))


@pytest.mark.parametrize("zone", [TD1, TD2, TD3])
def test_dg1_of_each_size(zone: str) -> None:
    found = dg1(zone)
    assert found == mrz.parse(zone)
    assert found.warnings == ()
    assert compose_dg1(found) == tlv.encode(0x61, tlv.encode(0x5F1F, zone.encode()))


def test_dg1_with_a_long_number() -> None:
    """Belgium, specimens of 2013 and 2015; the older cards count the filler in the check digit of the number."""
    found = dg1("IDBEL600001795<0152<<<<<<<<<<<1301014F2311207BEL130101987398SPECIMEN<<SPECIMEN<<<<<<<<<<<<")
    assert (found.number, found.optional, found.optional2, found.warnings) == ("600001795015", "", "13010198739", ())
    older = replace(found, number="000590240601")
    zone = "".join(mrz.compose(older)).replace("<6011<", "<6013<")
    composite = mrz.check_digit(zone[5:30] + zone[30:37] + zone[38:45] + zone[48:59])
    assert dg1(zone[:59] + composite + zone[60:]) == older


def test_dg1_of_the_standard_whose_check_digit_is_wrong() -> None:
    """9303-10 A.2.1 prints a composite check digit that its own rule does not give."""
    found = dg1("I<NLDXI85935F86999999990<<<<<<7208148F1108268NLD<<<<<<<<<<<4VAN<DER<STEEN<<MARIANNE<LOUISE")
    assert (found.number, found.primary, found.names_full) == ("XI85935F8", "VAN DER STEEN", True)
    assert found.warnings == ("dg1_check_digit_composite",)


@pytest.mark.parametrize(
    ("zone", "warnings"),
    [
        (TD3.lower(), ("dg1_lower_case",)),
        (TD3.replace("<", " "), ("dg1_spaces",)),
        (TD1.replace("<", " "), ("dg1_spaces",)),
        (TD3[:44] + "\n" + TD3[44:], ("dg1_padding",)),
        (TD3[:44] + "\r\n" + TD3[44:] + "\r\n", ("dg1_padding",)),
        (TD3 + "\0", ("dg1_padding",)),
        (TD3 + "  ", ("dg1_padding",)),
        (TD2 + " " * 16, ("dg1_padding",)),
        (TD2 + "\xff\xff", ("dg1_padding",)),
        (TD3 + "\x11", ("dg1_trailing_characters",)),
        (TD3 + "<", ("dg1_trailing_characters",)),
        (TD2 + "<<<", ("dg1_trailing_characters",)),
        (TD1.lower() + "<x", ("dg1_lower_case", "dg1_trailing_characters")),
        (TD3[:-1] + "9", ("dg1_check_digit_composite",)),
        (TD3[:53] + "1" + TD3[54:], ("dg1_check_digit_number", "dg1_check_digit_composite")),
    ],
)
def test_dg1_as_chips_have_it(zone: str, warnings: tuple[str, ...]) -> None:
    found = dg1(zone)
    assert found.primary == "ERIKSSON"
    assert found.warnings == warnings


@pytest.mark.parametrize("zone", ["", TD3[:-1], TD3[:60], "ß" * 44, "É" + TD3[1:], TD3 + "<" * 200, "<" * 90, "A" * 88])
def test_dg1_with_no_zone(zone: str) -> None:
    with pytest.raises((MalformedMrz, MalformedFile)) as refused:
        dg1(zone)
    assert "ERIKSSON" not in str(refused.value)


@given(st.text(mrz.MRZ_ALPHABET | {" ", "a"}, min_size=60, max_size=100) | st.binary(max_size=120))
def test_dg1_with_any_zone(zone: str | bytes) -> None:
    try:
        found = dg1(zone)
    except Malformed:
        return
    assert found.kind in ("TD1", "TD2", "TD3")


# --- DG7 -----------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from((jpeg(), jp2(), codestream(), jpeg(30, 10))), min_size=1, max_size=9))
def test_dg7_round_trip(images: list[bytes]) -> None:
    found = parse_dg7(compose_dg7(*images))
    assert [signature.image for signature in found.signatures] == images
    assert found.warnings == ()


def test_dg7_whose_count_lies() -> None:
    for count in (b"", tlv.encode(0x02, b"\x02"), tlv.encode(0x02, b"\x00\x01")):
        found = parse_dg7(tlv.encode(0x67, count, tlv.encode(0x5F43, jpeg())))
        assert (len(found.signatures), found.warnings) == (1, ("dg7_count",))


@pytest.mark.parametrize(
    "content",
    [b"", b"\x02\x01\x01", b"\x5f\x43\x00", tlv.encode(0x5F43, b"GIF89a"), tlv.encode(0x5F43, jpeg(50_000, 50_000)),
     tlv.encode(0x5F43, jpeg()) * 10, b"\x5f"],
)  # fmt: skip
def test_dg7_with_no_signature(content: bytes) -> None:
    with pytest.raises(MalformedFile):
        parse_dg7(tlv.encode(0x67, content))


def test_dg7_of_the_caller() -> None:
    for images in ((), (jpeg(),) * 10):
        with pytest.raises(Misuse):
            compose_dg7(*images)
    with pytest.raises(MalformedFile):
        compose_dg7(b"GIF89a")


# --- DG13 ----------------------------------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_dg13_round_trip(content: bytes) -> None:
    found = parse_dg13(compose_dg13(content))
    assert found.content == content
    assert found.warnings in ((), ("dg13_not_tlv",))
    assert not found.objects or b"".join(item.raw for item in found.objects) == content


def test_dg13_that_is_not_tlv() -> None:
    """Singapore: 5FB0, which is no tag."""
    found = parse_dg13(compose_dg13(bytes.fromhex("5FB003") + b"abc"))
    assert (found.objects, found.warnings) == ((), ("dg13_not_tlv",))
    assert parse_dg13(compose_dg13(b"\x04\x03abc")) == Dg13(b"\x04\x03abc", tlv.parse(b"\x04\x03abc"))
    assert "abc" not in repr(found)


# --- DG15 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rsa-2048", "secp256r1", "brainpoolP256r1"])
def test_dg15_round_trip(kind: str) -> None:
    spki = make_key(kind, seeded(kind.encode())).public_key().public_bytes(*DER)
    found = parse_dg15(compose_dg15(spki))
    assert (found.spki, found.warnings) == (spki, ())
    assert parse_dg15(tlv.encode(0x6F, spki, b"\0\0") + b"\0").warnings == (
        "dg15_trailing_bytes",
        "dg15_trailing_bytes_inside",
    )


# --- all of them ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD)
def test_truncated_at_each_byte(name: str) -> None:
    parse, content = GOOD[name]
    for size in range(len(content)):
        with pytest.raises(Malformed):
            parse(content[:size])


@pytest.mark.parametrize("name", GOOD)
def test_garbage_after(name: str) -> None:
    parse, content = GOOD[name]
    found = parse(content + b"\0garbage")
    assert found == parse(content)
    assert f"{name.lower()}_trailing_bytes" in found.warnings  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", GOOD)
def test_oversized(name: str) -> None:
    parse, content = GOOD[name]
    with pytest.raises(Malformed):
        parse(content + bytes(3_000_000))


@given(st.sampled_from(sorted(GOOD)), st.data())
def test_bytes_changed(name: str, data: st.DataObject) -> None:
    parse, content = GOOD[name]
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, min(len(changed), 200) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse(bytes(changed))
    except Malformed:
        return


@given(st.sampled_from(sorted(GOOD)), st.binary(max_size=300), st.booleans())
def test_any_bytes(name: str, data: bytes, inside: bool) -> None:
    parse, content = GOOD[name]
    try:
        parse(tlv.encode(content[0], data) if inside else data)
    except Malformed:
        return


def test_signatures_are_a_value() -> None:
    assert parse_dg7(compose_dg7(jpeg())) == Dg7(parse_dg7(compose_dg7(jpeg())).signatures)

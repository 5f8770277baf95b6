"""DG2 in both record formats, as the standards write it and as States do."""

from __future__ import annotations

import pytest
from emrtd_pictures import codestream, jp2, jpeg
from hypothesis import given
from hypothesis import strategies as st

from emrtd import tlv
from emrtd.errors import Malformed, MalformedFile, Misuse
from emrtd.lds.dg2 import Dg2, Standard, compose_dg2, parse_dg2
from emrtd.lds.facial_records import compose_19794, parse_19794

JPEG, JP2, J2K = jpeg(), jp2(), codestream()
STANDARDS: tuple[Standard, ...] = ("19794-5", "39794-5")
GOOD = {standard: compose_dg2(JPEG, width=413, height=531, sex="F", standard=standard) for standard in STANDARDS}
images = st.builds(
    lambda make, width, height, size: make(width, height) + bytes(size),
    st.sampled_from((jpeg, codestream)),
    st.integers(1, 2000),
    st.integers(1, 2000),
    st.integers(0, 40),
)


def template(record: bytes, *, tag: int = 0x5F2E, header: bytes | None = None) -> bytes:
    head = tlv.encode(0xA1, bytes.fromhex("8702010188020008")) if header is None else header
    return tlv.encode(0x7F60, head, tlv.encode(tag, record))


def group(*templates: bytes, count: int | None = None) -> bytes:
    number = tlv.encode(0x02, bytes((len(templates) if count is None else count,)))
    return tlv.encode(0x75, tlv.encode(0x7F61, number, *templates))


def record(*faces: bytes) -> bytes:
    return compose_19794(faces or (JPEG,), width=413, height=531)


@given(st.lists(images, min_size=1, max_size=4), st.sampled_from(STANDARDS), st.sampled_from("MF<"))
def test_round_trip(faces: list[bytes], standard: Standard, sex: str) -> None:
    found = parse_dg2(compose_dg2(*faces, width=413, height=531, sex=sex, standard=standard))
    assert [portrait.image for portrait in found.portraits] == faces
    assert {portrait.standard for portrait in found.portraits} == {standard}
    assert found.warnings == ()


@pytest.mark.parametrize("standard", STANDARDS)
@pytest.mark.parametrize(("image", "kind"), [(JPEG, "jpeg"), (JP2, "jp2"), (J2K, "j2k")])
def test_each_format(image: bytes, kind: str, standard: Standard) -> None:
    portrait = parse_dg2(compose_dg2(image, width=413, height=531, standard=standard)).portrait
    assert (portrait.image, portrait.format, portrait.width, portrait.height) == (image, kind, 413, 531)


def test_mandatory_fields_of_the_application_profile() -> None:
    """ICAO TR "ISO/IEC 39794-5 Application Profile for eMRTDs", the reference file with mandatory fields alone.

    The frame around the image is theirs: header with 87 and 88, 7F2E, A1, then the FaceImageDataBlock of
    generation 3, year 2019, representation 0, JPEG 2000 lossy. The image is another one.
    """
    flat = tlv.encode(0xA0, tlv.encode(0x80, JP2), tlv.encode(0xA1, bytes.fromhex("A003800103")))
    representation = tlv.encode(0x30, bytes.fromhex("800100"), tlv.encode(0xA1, tlv.encode(0xA0, flat)))
    block = tlv.encode(0x65, bytes.fromhex("A007800103810207E3"), tlv.encode(0xA1, representation))
    header = tlv.encode(0xA1, bytes.fromhex("870201018802002A"))
    found = parse_dg2(group(template(tlv.encode(0xA1, block), tag=0x7F2E, header=header)))
    assert (found.portrait.image, found.portrait.standard, found.warnings) == (JP2, "39794-5", ())


def test_several_faces_in_one_record() -> None:
    found = parse_dg2(group(template(record(JPEG, JP2, J2K))))
    assert [portrait.image for portrait in found.portraits] == [JPEG, JP2, J2K]
    assert found.warnings == ()


@pytest.mark.parametrize("shift", [-8, -1, 1, 8])
def test_record_length_off_by_up_to_eight(shift: int) -> None:
    """New Zealand counts eight bytes too few, the United Kingdom one."""
    changed = bytearray(record())
    changed[8:12] = (len(changed) + shift).to_bytes(4, "big")
    found = parse_dg2(group(template(bytes(changed))))
    assert (found.portrait.image, found.warnings) == (JPEG, ("dg2_record_length",))


@pytest.mark.parametrize("shift", [-8, -1, 1, 8])
def test_face_length_off_by_up_to_eight(shift: int) -> None:
    changed = bytearray(record(JPEG, JP2))
    changed[14:18] = (int.from_bytes(changed[14:18], "big") + shift).to_bytes(4, "big")
    found = parse_dg2(group(template(bytes(changed))))
    assert [portrait.image for portrait in found.portraits] == [JPEG, JP2]
    assert found.warnings == ("dg2_image_displaced",)


def test_garbage_before_the_record() -> None:
    found = parse_dg2(group(template(b"\0\0garbage" + record())))
    assert (found.portrait.image, found.warnings) == (JPEG, ("dg2_leading_bytes",))


def test_feature_points_are_skipped() -> None:
    whole = record()
    with_points = whole[:18] + (3).to_bytes(2, "big") + whole[20:34] + bytes(24) + whole[34:]
    found = parse_dg2(group(template(with_points)))
    assert found.portrait.image == JPEG
    assert "dg2_image_displaced" not in found.warnings


def test_more_feature_points_than_bytes() -> None:
    changed = bytearray(record())
    changed[18:20] = b"\xff\xff"
    found = parse_dg2(group(template(bytes(changed))))
    assert (found.portrait.image, found.warnings) == (JPEG, ("dg2_image_displaced",))


def test_a_later_version_of_the_record() -> None:
    """ISO/IEC 19794-5:2011 has longer headers; the image is found all the same."""
    later = record().replace(b"010\0", b"030\0")
    found = parse_dg2(group(template(later[:14] + bytes(40) + later[14:])))
    assert found.portrait.image == JPEG
    assert "dg2_record_version" in found.warnings


def test_19794_under_the_constructed_tag() -> None:
    found = parse_dg2(group(template(record(), tag=0x7F2E)))
    assert (found.portrait.standard, found.warnings) == ("19794-5", ("dg2_data_tag",))


def test_39794_without_its_wrapper() -> None:
    block = tlv.descend(GOOD["39794-5"], 0x75, 0x7F61, 0x7F60, 0x7F2E, 0xA1).value
    assert parse_dg2(group(template(block, tag=0x7F2E))).portrait.image == JPEG


def test_count_that_lies_or_lacks() -> None:
    for content in (group(template(record()), count=2), group(template(record()), count=0)):
        assert parse_dg2(content).warnings == ("dg2_count",)
    alone = tlv.encode(0x75, tlv.encode(0x7F61, template(record())))
    assert parse_dg2(alone).warnings == ("dg2_count",)


def test_bytes_after_the_file() -> None:
    found = parse_dg2(GOOD["19794-5"] + b"\0\0")
    assert found == parse_dg2(GOOD["19794-5"])
    assert found.warnings == ("dg2_trailing_bytes",)


def test_a_size_that_cannot_be_read() -> None:
    blind = b"\xff\xd8\xff\xe0" + bytes(200)
    found = parse_dg2(compose_dg2(blind, width=1, height=1))
    assert (found.portrait.width, found.warnings) == (None, ("dg2_image_size_unreadable",))


@pytest.mark.parametrize("standard", STANDARDS)
@pytest.mark.parametrize("image", [jpeg(60_000, 60_000), codestream(9_000, 9_000), jpeg(size=2_000_000)])
def test_absurd_images(image: bytes, standard: Standard) -> None:
    with pytest.raises(MalformedFile):
        parse_dg2(compose_dg2(image, width=1, height=1, standard=standard))


@pytest.mark.parametrize("image", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n"])
def test_other_images(image: bytes) -> None:
    with pytest.raises(MalformedFile):
        compose_dg2(image, width=1, height=1)
    with pytest.raises(MalformedFile):
        parse_dg2(group(template(record(JPEG[:20]).replace(JPEG[:20], image.ljust(20, b"x")))))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        tlv.encode(0x75),
        tlv.encode(0x75, tlv.encode(0x7F61)),
        group(*[template(record())] * 10),
        group(tlv.encode(0x7F60, tlv.encode(0xA1))),
        group(template(b"")),
        group(template(b"FAC\0")),
        group(template(record()[:40])),
        group(template(b"FAC\x00010\0" + bytes(300))),  # no face
        group(template(b"FAC\x00010\0" + bytes(4) + b"\xff\xff" + bytes(300))),  # too many faces
        group(template(record().replace(JPEG, b""))),
        group(template(tlv.encode(0xA1, tlv.encode(0x65)), tag=0x7F2E)),
        group(template(tlv.encode(0xA1, tlv.encode(0x64, bytes(20))), tag=0x7F2E)),  # a finger
        group(template(tlv.encode(0xA1, tlv.encode(0x65, tlv.encode(0xA1, b"\x30\x00" * 10))), tag=0x7F2E)),
    ],
    ids=lambda content: f"{len(content)} bytes",
)
def test_no_portrait(content: bytes) -> None:
    with pytest.raises(MalformedFile):
        parse_dg2(content)


def test_no_more_than_nine() -> None:
    for count in (0, 10):
        with pytest.raises(Misuse):
            compose_dg2(*[JPEG] * count, width=1, height=1)


@pytest.mark.parametrize("standard", STANDARDS)
def test_truncated_at_each_byte(standard: Standard) -> None:
    for size in range(len(GOOD[standard])):
        with pytest.raises(MalformedFile):
            parse_dg2(GOOD[standard][:size])


@given(st.sampled_from(STANDARDS), st.data())
def test_bytes_changed(standard: Standard, data: st.DataObject) -> None:
    changed = bytearray(GOOD[standard])
    for _ in range(data.draw(st.integers(1, 5))):
        changed[data.draw(st.integers(0, min(len(changed), 200) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = parse_dg2(bytes(changed))
    except Malformed:
        return
    assert isinstance(found, Dg2)
    assert found.portraits


@given(st.binary(max_size=200), st.integers(0, 0xFFFF), st.binary(max_size=60))
def test_any_record(head: bytes, faces: int, tail: bytes) -> None:
    data = b"FAC\x00010\0" + bytes(4) + faces.to_bytes(2, "big") + head + JPEG + tail
    try:
        found, _ = parse_19794(data)
    except Malformed:
        return
    assert all(found)


def test_never_shown() -> None:
    shown = repr(parse_dg2(GOOD["19794-5"]))
    assert "JFIF" not in shown
    assert "image=" not in shown

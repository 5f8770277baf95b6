"""Image headers: the size is known without decoding, absurd ones are refused, broken ones are told."""

from __future__ import annotations

import pytest
from emrtd_pictures import box, codestream, jp2, jpeg, real
from hypothesis import given
from hypothesis import strategies as st

from emrtd.errors import MalformedFile
from emrtd.lds.pictures import MAGIC, Picture, read_picture

sides = st.integers(1, 2800)


@pytest.mark.parametrize("kind", ["jpeg", "jp2", "j2k"])
def test_what_pillow_writes(kind: str) -> None:
    image = real(413, 531, kind)
    assert read_picture(image, "DG2") == Picture(image, kind, 413, 531)  # type: ignore[arg-type]


@given(sides, sides, st.sampled_from((jpeg, jp2, codestream)))
def test_size_of_any_header(width: int, height: int, make: object) -> None:
    picture = read_picture(make(width, height), "DG2")  # type: ignore[operator]
    assert (picture.width, picture.height) == (width, height)


def test_codestream_with_an_offset_of_the_image() -> None:
    picture = read_picture(codestream(100, 200, offset=(7, 9)), "DG2")
    assert (picture.width, picture.height) == (100, 200)


def test_jpeg_with_fill_bytes_and_many_segments() -> None:
    image = jpeg(30, 40)
    comments = b"\xff\xfe\x00\x03x" * 100
    picture = read_picture(image[:20] + b"\xff" * 5 + comments + image[20:], "DG2")
    assert (picture.width, picture.height) == (30, 40)


def test_jpeg_that_begins_with_exif_and_its_thumbnail() -> None:
    """As Hungary's displayed signatures begin; the thumbnail's own frame is not the image's."""
    thumbnail = b"Exif\0\0" + jpeg(16, 20)
    image = MAGIC["jpeg"] + b"\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + jpeg(300, 100)[2:]
    picture = read_picture(image, "DG7")
    assert picture == Picture(image, "jpeg", 300, 100)


@pytest.mark.parametrize("make", [jpeg, jp2, codestream])
@pytest.mark.parametrize(("width", "height"), [(0, 100), (100, 0), (60_000, 100), (100, 60_000), (9_000, 9_000)])
def test_absurd_sizes(make: object, width: int, height: int) -> None:
    with pytest.raises(MalformedFile, match="pixels"):
        read_picture(make(width, height), "DG2")  # type: ignore[operator]


def test_jp2_whose_codestream_is_larger_than_it_says() -> None:
    with pytest.raises(MalformedFile, match="pixels"):
        read_picture(jp2(400, 500, stream=codestream(40_000, 40_000)), "DG2")


def test_codestream_whose_offset_is_beyond_its_grid() -> None:
    image = bytearray(codestream(100, 100))
    image[16:20] = (200).to_bytes(4, "big")
    with pytest.raises(MalformedFile, match="pixels"):
        read_picture(bytes(image), "DG2")


def test_too_many_bytes() -> None:
    with pytest.raises(MalformedFile, match="bytes"):
        read_picture(jpeg(size=1 << 20), "DG2")


@pytest.mark.parametrize(
    "image",
    [
        MAGIC["jpeg"],
        MAGIC["jpeg"] + b"\xe0\x00\x00" * 50,  # a segment of no length
        MAGIC["jpeg"] + b"\xff" * 5000,  # fill bytes for ever
        MAGIC["jpeg"] + b"\xda" + bytes(100),  # a scan before any frame
        MAGIC["j2k"] + bytes(10),
        MAGIC["jp2"] + bytes.fromhex("0D0A870A"),
        MAGIC["jp2"] + bytes.fromhex("0D0A870A") + box(b"jp2h", b"\0\0\0\0ihdr"),
        MAGIC["jp2"] + bytes.fromhex("0D0A870A") + b"\0\0\0\1jp2c" + b"\xff" * 8,
    ],
    ids=lambda image: image[:16].hex(),
)
def test_a_header_that_cannot_be_read_leaves_the_size_open(image: bytes) -> None:
    assert read_picture(image, "DG2").width is None


@given(st.sampled_from(list(MAGIC.values())), st.binary(max_size=200))
def test_any_bytes_behind_the_first(magic: bytes, rest: bytes) -> None:
    try:
        read_picture(magic + rest, "DG2")
    except MalformedFile:
        return


@given(st.data(), st.sampled_from((jpeg(size=20), jp2(stream=codestream(size=20)), codestream(size=20))))
def test_headers_with_bytes_changed(data: st.DataObject, image: bytes) -> None:
    changed = bytearray(image)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = read_picture(bytes(changed), "DG7")
    except MalformedFile:
        return
    assert picture.width is None or (picture.width > 0 and picture.height)


def test_never_shown() -> None:
    assert "ff" not in repr(read_picture(jpeg(), "DG2")).lower().replace("jpeg", "")

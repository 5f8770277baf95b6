"""Pictures from outside: bounded before they are decoded, and geometry that comes back to where it left."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from alicem.face.geometry import Square, back, crop, similarity
from alicem.face.images import FRAME, PORTRAIT, Bounds, Flaw, UnusableImageError, decode


def encoded(kind: str, mode: str = "RGB", size: tuple[int, int] = (240, 320)) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise).resize(size).convert(mode).save(data, kind)
    return data.getvalue()


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("JPEG2000", "RGB"), ("JPEG2000", "RGBA"), ("JPEG2000", "L")],
)
def test_portraits_of_any_colour_space(kind: str, mode: str) -> None:
    picture = decode(encoded(kind, mode), PORTRAIT)
    assert (picture.shape, picture.dtype) == ((320, 240, 3), np.uint8)


def test_sixteen_bits_a_sample() -> None:
    data = io.BytesIO()
    Image.fromarray(np.full((320, 240), 40_000, np.uint16)).save(data, "JPEG2000", irreversible=False)
    assert abs(int(decode(data.getvalue(), PORTRAIT).mean()) - 40_000 // 256) <= 1


def flaw(data: bytes, bounds: Bounds = PORTRAIT) -> Flaw:
    with pytest.raises(UnusableImageError) as caught:
        decode(data, bounds)
    return caught.value.flaw


def test_flaws_are_named() -> None:
    assert flaw(b"") is Flaw.FORMAT
    assert flaw(b"%PDF-1.7 " * 40) is Flaw.FORMAT
    assert flaw(encoded("PNG")) is Flaw.FORMAT
    assert flaw(encoded("GIF", "P")) is Flaw.FORMAT
    assert flaw(encoded("JPEG2000"), FRAME) is Flaw.FORMAT
    assert flaw(encoded("JPEG")[:3000]) is Flaw.BROKEN
    assert flaw(encoded("JPEG2000")[:9000]) is Flaw.BROKEN
    assert flaw(encoded("JPEG", size=(50, 60))) is Flaw.TOO_SMALL
    assert flaw(bytes(PORTRAIT.bytes + 1)) is Flaw.TOO_MANY_BYTES
    data = io.BytesIO()
    Image.new("RGB", (5000, 5000)).save(data, "JPEG")
    assert flaw(data.getvalue()) is Flaw.TOO_MANY_PIXELS


def test_a_jpeg_2000_that_claims_to_be_huge_is_not_decoded() -> None:
    """The size is in the header box and in the SIZ segment; both are made to lie."""
    small = bytearray(encoded("JPEG2000"))
    width, height = struct.pack(">I", 40_000), struct.pack(">I", 30_000)
    header = small.index(b"ihdr") + 4
    small[header : header + 8] = height + width
    size = small.index(b"\xff\x51") + 6
    small[size : size + 8] = width + height
    assert flaw(bytes(small)) in (Flaw.TOO_MANY_PIXELS, Flaw.BROKEN)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x00\x00\x00\x0cjP  \r\n\x87\n"]))
def test_noise_never_does_more_than_be_refused(noise: bytes, start: bytes) -> None:
    with pytest.raises(UnusableImageError):
        decode(start + noise, PORTRAIT)


GOOD = {kind: encoded(kind, size=(96, 96)) for kind in ("JPEG", "JPEG2000")}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["JPEG", "JPEG2000"]), st.integers(0, 10**6), st.integers(1, 255))
def test_one_byte_wrong_is_a_picture_or_a_flaw(kind: str, place: int, change: int) -> None:
    data = bytearray(GOOD[kind])
    data[place % len(data)] ^= change
    try:
        picture = decode(bytes(data), PORTRAIT)
    except UnusableImageError:
        return
    assert picture.shape[2] == 3


squares = st.builds(
    Square,
    x=st.floats(20, 200),
    y=st.floats(20, 200),
    side=st.floats(10, 300),
    angle=st.floats(-3.1, 3.1),
)


@given(squares, st.integers(16, 256))
def test_points_come_back_from_a_crop(square: Square, size: int) -> None:
    points = np.array([[10, 20], [200, 3], [77, 120]], np.float32)
    matrix = square.matrix(size)
    there = np.hstack([points, np.ones((3, 1))]) @ matrix.T
    assert np.allclose(back(there.astype(np.float32), matrix), points, atol=0.1)


@given(st.floats(0.2, 4), st.floats(-3, 3), st.floats(-50, 50), st.floats(-50, 50))
def test_similarity_finds_the_turn_that_was_made(scale: float, angle: float, x: float, y: float) -> None:
    points = np.array([[0, 0], [10, 0], [0, 20], [7, 7]], np.float32)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = similarity(points, (points @ turn.T + [x, y]).astype(np.float32))
    assert np.allclose(found, np.hstack([turn, [[x], [y]]]), atol=1e-3)


def test_a_crop_beyond_the_picture_repeats_its_edge() -> None:
    picture = np.full((40, 40, 3), 90, np.uint8)
    assert (crop(picture, Square(0, 0, 100).matrix(64), 64) == 90).all()

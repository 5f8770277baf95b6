"""Photographs from outside: which are decoded, which way up, and which are refused by name."""

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from alicem.mrzscan.pictures import LARGEST, ORIENTATION, PHOTOGRAPH, grey
from alicem.pictures import Bounds, Flaw, UnusableImageError

SIZE = (320, 200)


def ramp(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """Dark at the left, light at the right, a white top left corner."""
    levels = np.tile(np.linspace(0, 200, size[0]).astype(np.uint8), (size[1], 1))
    levels[: size[1] // 4, : size[0] // 4] = 255
    return Image.fromarray(levels).convert("RGB").convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "RGBA", "P", "1"])
def test_formats_and_colour_spaces(kind: str, mode: str) -> None:
    if (kind, mode) in {("JPEG", "RGBA"), ("JPEG", "P"), ("PNG", "CMYK"), ("WEBP", "1")}:
        pytest.skip("the format has none")
    seen = grey(encoded(ramp(mode), kind))
    assert (seen.shape, seen.dtype) == (SIZE[::-1], np.uint8)
    assert seen[100:, 240:].mean() > seen[100:, 80:160].mean() + 40


def test_sixteen_bits_a_sample() -> None:
    image = Image.fromarray(np.full((200, 320), 40_000, np.uint16))
    assert abs(int(grey(encoded(image)).mean()) - 40_000 // 256) <= 1


def test_what_is_transparent_lies_on_white() -> None:
    image = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    assert grey(encoded(image)).min() == 255


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_turned_as_its_notes_say(turn: int, kind: str) -> None:
    """The file holds the upright picture turned back; the corner shows where up is."""
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[turn]
    notes = Image.Exif()
    notes[ORIENTATION] = turn
    lies = ramp() if back is None else ramp().transpose(Image.Transpose(back))
    seen = grey(encoded(lies, kind, exif=notes))
    assert seen.shape == SIZE[::-1]
    assert seen[:40, :70].mean() > 240 and seen[100:, :70].mean() < 80


def test_notes_that_cannot_be_read_turn_nothing() -> None:
    assert grey(encoded(ramp(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")).shape == SIZE[::-1]


def test_of_moving_pictures_the_first_frame() -> None:
    frames = [Image.new("L", SIZE, level).convert("RGB") for level in (30, 220)]
    for kind in ("PNG", "WEBP"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert abs(float(grey(data).mean()) - 30) < 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_large_pictures_are_made_smaller(kind: str) -> None:
    seen = grey(encoded(ramp(size=(6000, 3000)), kind))
    assert max(seen.shape) == LARGEST and abs(seen.shape[1] / seen.shape[0] - 2) < 0.01


def flaw(data: bytes, bounds: Bounds = PHOTOGRAPH) -> Flaw:
    with pytest.raises(UnusableImageError) as caught:
        grey(data, bounds)
    return caught.value.flaw


def test_flaws_are_named() -> None:
    assert flaw(b"") is Flaw.FORMAT
    assert flaw(b"%PDF-1.7 " * 40) is Flaw.FORMAT
    assert flaw(encoded(ramp(), "GIF")) is Flaw.FORMAT
    assert flaw(encoded(ramp(), "TIFF")) is Flaw.FORMAT
    assert flaw(encoded(ramp(), "JPEG2000")) is Flaw.FORMAT
    for kind in ("JPEG", "PNG", "WEBP"):
        assert flaw(encoded(ramp(), kind)[:300]) in (Flaw.BROKEN, Flaw.FORMAT)
    assert flaw(encoded(ramp(size=(30, 900)))) is Flaw.TOO_SMALL
    assert flaw(bytes(PHOTOGRAPH.bytes + 1)) is Flaw.TOO_MANY_BYTES
    assert flaw(encoded(ramp(size=(500, 400))), Bounds(("PNG",), 10**6, 10**5, 10)) is Flaw.TOO_MANY_PIXELS


def test_a_png_that_claims_to_be_huge_is_not_decoded() -> None:
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    body = b"IDAT" + zlib.compress(bytes(10_000))
    data += struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    assert flaw(data) is Flaw.TOO_MANY_PIXELS


GOOD = [encoded(ramp(size=(160, 130)), kind) for kind in ("JPEG", "PNG", "WEBP")]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(GOOD), st.integers(0, 10**6), st.integers(1, 255))
def test_one_byte_wrong_is_a_picture_or_a_flaw(good: bytes, place: int, change: int) -> None:
    data = bytearray(good)
    data[place % len(data)] ^= change
    with suppress(UnusableImageError):
        assert grey(bytes(data)).ndim == 2


NOTED = encoded(ramp(size=(160, 130)), "JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_notes_are_harmless(notes: bytes) -> None:
    assert grey(encoded(ramp(size=(160, 130)), "JPEG", exif=b"Exif\x00\x00" + notes)).shape[0] in (130, 160)

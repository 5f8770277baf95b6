"""Zones read from pictures: all formats, any way up, several frames; and what is not read, by name and in time."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from alicem.mrzscan import FRAMES_MAX, Flaw, Reading, Vote, read
from alicem.mrzscan.layouts import checked
from alicem.mrzscan.specimen import MILD, STRONG, Document, document, photograph
from alicem.mrzscan.specimen.holders import KINDS
from alicem.mrzscan.specimen.tables import KINDS as TABLES
from alicem.mrzscan.specimen.tables import table
from alicem.pictures import Flaw as PictureFlaw
from emrtd.mrz import Kind, parse

SEED = 7_000_000  # of the documents here: neither those of development nor those that judge


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def flat(paper: Document, border: int = 60) -> Image.Image:
    """As from a scanner, on grey."""
    page = Image.fromarray(paper.picture)
    whole = Image.new("RGB", (page.width + 2 * border, page.height + 2 * border), (120, 120, 110))
    whole.paste(page, (border, border))
    return whole


def wrong(found: Reading, paper: Document) -> bool:
    """Accepted, and not what is printed, in what check digits cover."""
    return found.mrz is not None and any(
        found.lines[row][column] != paper.lines[row][column] for row, column in checked(paper.kind)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_scan_is_read_to_the_letter(kind: Kind) -> None:
    paper = document(SEED, kind)
    found = read([encoded(flat(paper))])
    assert found.lines == paper.lines and found.names_sure and found.frames == 1
    assert found.mrz == parse("".join(paper.lines)) and found.flaw is None


@pytest.mark.parametrize("kind", KINDS)
def test_photographs_are_read_within_three_frames(kind: Kind) -> None:
    """Some documents of each grade: nearly all, and none wrongly. The rates are measured by bench/mrz.py."""
    for grade, least in ((MILD, 2), (STRONG, 1)):
        papers = [document(SEED + place, kind) for place in range(2)]
        found = [read(photograph(paper, grade, SEED + 8 * place + frame) for frame in range(3))
                 for place, paper in enumerate(papers)]  # fmt: skip
        assert sum(one.lines == paper.lines for one, paper in zip(found, papers, strict=True)) >= least
        assert not any(wrong(one, paper) for one, paper in zip(found, papers, strict=True))


@pytest.mark.parametrize("turn", [90, 180, 270, 17, -28])
def test_any_way_up(turn: int) -> None:
    paper = document(SEED + 20, "TD2")
    turned = flat(paper).rotate(turn, expand=True, resample=Image.Resampling.BICUBIC, fillcolor=(120, 120, 110))
    assert read([encoded(turned)]).lines == paper.lines


@pytest.mark.parametrize("orientation", range(1, 9))
def test_as_the_camera_notes(orientation: int) -> None:
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    paper, notes = document(SEED + 21, "TD1"), Image.Exif()
    notes[0x0112] = orientation
    lies = flat(paper) if back is None else flat(paper).transpose(Image.Transpose(back))
    assert read([encoded(lies, "JPEG", exif=notes, quality=90)]).lines == paper.lines


@pytest.mark.parametrize(
    ("kind", "mode"), [("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "1"), ("WEBP", "RGB")]
)
def test_any_colours(kind: str, mode: str) -> None:
    paper = document(SEED + 22, "TD3")
    assert read([encoded(flat(paper).convert(mode), kind)]).lines == paper.lines


@pytest.mark.parametrize("scale", [0.4, 0.7, 2.5, 5])
def test_small_and_large(scale: float) -> None:
    paper = document(SEED + 23, "TD3")
    page = flat(paper)
    picture = page.resize((round(page.width * scale), round(page.height * scale)), Image.Resampling.LANCZOS)
    assert read([encoded(picture, "JPEG", quality=90)]).lines == paper.lines


def test_the_zone_alone() -> None:
    """Cut close: half a letter of paper around it."""
    paper = document(SEED + 24, "TD3")
    left, top, right, bottom = (round(10 * side) for side in paper.zone)
    close = Image.fromarray(paper.picture).crop((left - 12, top - 12, right + 12, bottom + 12))
    assert read([encoded(close)]).lines == paper.lines


def test_a_small_document_in_a_large_picture() -> None:
    paper = document(SEED + 25, "TD3")
    whole = Image.fromarray(table(np.random.default_rng(1), 1500, 2000).astype(np.uint8))
    page = Image.fromarray(paper.picture)
    whole.paste(page.resize((page.width // 2, page.height // 2), Image.Resampling.LANCZOS), (900, 700))
    assert read([encoded(whole, "JPEG", quality=92)]).lines == paper.lines


def hidden(paper: Document, share: tuple[float, float]) -> bytes:
    """A finger over part of the zone."""
    left, top, right, bottom = (round(10 * side) for side in paper.zone)
    picture = paper.picture.copy()
    a, b = (round(left + (right - left) * one) for one in share)
    picture[top - 10 : bottom + 10, a:b] = (170, 130, 110)
    return encoded(Image.fromarray(picture))


def test_what_one_frame_hides_another_shows() -> None:
    paper = document(SEED + 26, "TD3")
    parts = [hidden(paper, share) for share in ((0.02, 0.14), (0.38, 0.5), (0.8, 0.92))]
    assert [read([part]).names_sure for part in parts] == [False] * 3
    assert read(parts).lines == paper.lines


def test_no_frame_is_asked_for_beyond_the_last_that_is_needed() -> None:
    paper, asked = document(SEED + 27, "TD2"), 0

    def frames() -> Iterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield encoded(flat(paper)) if asked == 2 else encoded(Image.new("L", (400, 300), 200))

    assert read(frames()).frames == 2 and asked == 2
    assert read(encoded(Image.new("L", (400, 300), 200)) for _ in range(50)).frames == FRAMES_MAX


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_check_digit_in_print_is_never_accepted(kind: Kind) -> None:
    """However clearly, and in however many frames."""
    paper = document(SEED + 28, kind)
    for row, column in (checked(kind)[9], checked(kind)[-1]):  # of the number, of the whole
        digit = paper.lines[row][column]
        other = str((int(digit) + 3) % 10) if digit.isdigit() else "7"
        lines = [list(line) for line in paper.lines]
        lines[row][column] = other
        forged = document(SEED + 28, kind, tuple("".join(line) for line in lines))
        found = read([encoded(flat(forged)), photograph(forged, MILD, 0)])
        assert found.mrz is None and found.flaw is Flaw.UNCLEAR and found.frames == 2


def test_two_documents_in_one_picture() -> None:
    first, second = (flat(document(SEED + place, "TD1"), 30) for place in (30, 31))
    both = Image.new("RGB", (first.width, first.height + second.height))
    both.paste(first, (0, 0))
    both.paste(second, (0, first.height))
    found = read([encoded(both)])
    assert found.flaw is Flaw.SEVERAL_ZONES and found.mrz is None and found.lines == ()


def test_frames_of_two_documents() -> None:
    """The first with a name in doubt, so that a second is asked for: of another document."""
    vote = Vote()
    vote.add(encoded(flat(document(SEED + 32, "TD3"))))
    found = vote.add(encoded(flat(document(SEED + 33, "TD3"))))
    assert found.flaw is Flaw.SEVERAL_ZONES and found.mrz is None


def test_where_no_zone_is() -> None:
    rng = np.random.default_rng(9)
    pictures = [Image.new("L", (800, 600), level) for level in (0, 128, 255)]
    pictures += [Image.fromarray(rng.integers(0, 255, (600, 800, 3), np.uint8))]
    pictures += [Image.fromarray(draw(rng, 700, 900).clip(0, 255).astype(np.uint8)) for draw in TABLES]
    paper = document(SEED + 34, "TD3")
    pictures += [Image.fromarray(paper.picture[: round(10 * paper.zone[1]) - 20])]
    for picture in pictures:
        found = read([encoded(picture)])
        assert (found.mrz, found.lines) == (None, ()) and found.flaw in (Flaw.NO_ZONE, Flaw.UNCLEAR, Flaw.CUT_OFF)
    assert read([encoded(pictures[0])]).flaw is Flaw.NO_ZONE
    assert read([]).flaw is Flaw.NO_ZONE


@pytest.mark.parametrize("kind", KINDS)
def test_a_zone_cut_off_is_told(kind: Kind) -> None:
    page = Image.fromarray(document(SEED + 35, kind).picture)
    cut = page.crop((0, 0, round(page.width * 0.6), page.height))
    assert read([encoded(cut)]).flaw is Flaw.CUT_OFF


@pytest.mark.parametrize(
    ("frame", "flaw"),
    [
        (b"", PictureFlaw.FORMAT),
        (b"GIF89a" + bytes(200), PictureFlaw.FORMAT),
        (encoded(Image.new("L", (400, 300)), "JPEG")[:200], PictureFlaw.BROKEN),
        (encoded(Image.new("L", (20, 20))), PictureFlaw.TOO_SMALL),
        (encoded(Image.new("1", (9000, 9000))), PictureFlaw.TOO_MANY_PIXELS),
        (bytes(17_000_000), PictureFlaw.TOO_MANY_BYTES),
    ],
)
def test_pictures_that_are_none_are_named_and_hinder_no_other(frame: bytes, flaw: PictureFlaw) -> None:
    assert read([frame]).flaw is flaw
    paper = document(SEED + 36, "TD1")
    found = read([frame, encoded(flat(paper))])
    assert found.lines == paper.lines and found.frames == 2


def test_the_flaw_is_that_of_the_frame_that_came_furthest() -> None:
    paper = document(SEED + 37, "TD3")
    unclear = hidden(paper, (0.3, 0.5))
    nothing = encoded(Image.new("L", (400, 300)))
    assert read([nothing, unclear, b"", nothing]).flaw is Flaw.UNCLEAR
    assert read([b"", nothing, b""]).flaw is Flaw.NO_ZONE


def test_time_is_bounded_whatever_is_shown() -> None:
    """Pages of print, checks and grids, as large as is decoded: seconds, of which the limit here leaves many."""
    rng = np.random.default_rng(3)
    for draw in TABLES:
        picture = encoded(Image.fromarray(draw(rng, 2000, 2000).clip(0, 255).astype(np.uint8)), "JPEG")
        start = time.process_time()
        assert read([picture]).mrz is None
        assert time.process_time() - start < 8


def test_nothing_of_the_zone_is_shown_or_logged(caplog: pytest.LogCaptureFixture) -> None:
    paper = document(SEED + 38, "TD3")
    with caplog.at_level(logging.DEBUG):
        vote = Vote()
        found = vote.add(encoded(flat(paper)))
    shown = f"{found!r}{vote!r}{vote.__dict__!r}{caplog.text}"
    assert found.mrz is not None
    assert not any(word in shown for word in (found.mrz.number, found.mrz.primary, found.mrz.birth_date, *paper.lines))

"""Specimen documents drawn flat: the zone where ICAO 9303-4 to 6 put it, and around it what a document bears."""

from __future__ import annotations

import string
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from alicem.mrzscan.specimen import lettering
from alicem.mrzscan.specimen.holders import zone
from emrtd.mrz import Kind

Picture = NDArray[np.uint8]  # rows × columns × 3, RGB

SCALE = 10  # pixels a millimetre
ADVANCE = 2.54  # millimetres from letter to letter (9303-3 4.4: OCR-B size 1, ten characters an inch)
SIZE: dict[Kind, tuple[float, float]] = {"TD1": (85.6, 54.0), "TD2": (105.0, 74.0), "TD3": (125.0, 88.0)}
SPACING: dict[Kind, tuple[float, float]] = {"TD1": (4.0, 5.3), "TD2": (4.5, 6.6), "TD3": (4.5, 6.6)}


@dataclass(frozen=True, repr=False)
class Document:
    kind: Kind
    lines: tuple[str, ...]
    picture: Picture
    zone: tuple[float, float, float, float]  # left, top, right, bottom of the zone in millimetres


def document(seed: int, kind: Kind, lines: tuple[str, ...] = ()) -> Document:
    """The document that a seed stands for: its holder, its layout, its paper. With `lines`, it bears these."""
    rng = Random(f"document {seed} {kind}")  # noqa: S311 - to be drawn again
    lines = lines or zone(rng, kind)
    width, height = SIZE[kind]
    image = _paper(rng, round(width * SCALE), round(height * SCALE))
    left, spacing = rng.uniform(3.5, 6), rng.uniform(*SPACING[kind])
    first = height - rng.uniform(5.5, 8.5) - (len(lines) - 1) * spacing
    _visual(rng, image, first - 5)
    picture = np.asarray(image)
    for place, text in enumerate(lines):
        picture = _ink(rng, picture, text, left, first + place * spacing)
    box = (left, first - 1.3, left + len(lines[0]) * ADVANCE, first + (len(lines) - 1) * spacing + 1.3)
    return Document(kind, lines, picture, box)


def _ink(rng: Random, picture: Picture, text: str, left: float, centre: float) -> Picture:
    band = lettering.line(text, 2 * round(ADVANCE * SCALE))
    size = (round(len(text) * ADVANCE * SCALE), round(2 * ADVANCE * SCALE))
    soft = Image.fromarray(band).resize(size, Image.Resampling.LANCZOS)
    cover = Image.new("L", (picture.shape[1], picture.shape[0]))
    cover.paste(soft, (round(left * SCALE), round((centre - ADVANCE) * SCALE)))
    dark = Image.new("RGB", cover.size, (rng.randint(10, 40),) * 3)
    return np.asarray(Image.composite(dark, Image.fromarray(picture), cover))


def _paper(rng: Random, width: int, height: int) -> Image.Image:
    """A light ground with rosettes, as security print has them."""
    ground = tuple(rng.randint(205, 248) for _ in range(3))
    image = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.randint(2, 6)):
        tone = tuple(max(0, level - rng.randint(12, 70)) for level in ground)
        centre = np.array([rng.uniform(0, width), rng.uniform(0, height)])
        angle = np.linspace(0, 2 * np.pi * rng.randint(5, 12), 2400)
        petals, reach = rng.uniform(2.1, 9.7), rng.uniform(80, 500)
        radius = reach * (0.6 + 0.4 * np.sin(petals * angle))
        curve = centre + np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
        draw.line([tuple(point) for point in curve], fill=tone, width=rng.randint(1, 2))
    return image.filter(ImageFilter.GaussianBlur(0.6))


def _visual(rng: Random, image: Image.Image, bottom: float) -> None:
    """Heading, portrait, captions and entries, all above `bottom` (millimetres)."""
    draw, limit = ImageDraw.Draw(image), bottom * SCALE
    dark = (rng.randint(10, 90),) * 3
    heading = "".join(rng.choices(string.ascii_uppercase + " ", k=rng.randint(8, 26)))
    draw.text((6 * SCALE, 3 * SCALE), heading, fill=dark, font=ImageFont.load_default(4 * SCALE))
    right = rng.random() < 0.3
    side = (image.width - 35 * SCALE, image.width - 8 * SCALE) if right else (6 * SCALE, 33 * SCALE)
    _portrait(rng, image, (side[0], round(10 * SCALE), side[1], round(min(limit, 44 * SCALE))))
    x, y = (6 * SCALE, 10 * SCALE) if right else (38 * SCALE, 10 * SCALE)
    while y < limit - 5 * SCALE:
        caption = "".join(rng.choices(string.ascii_letters + " /", k=rng.randint(6, 24)))
        draw.text((x, y), caption, fill=(90, 90, 120), font=ImageFont.load_default(1.7 * SCALE))
        entry = "".join(rng.choices(string.ascii_uppercase + string.digits + " .", k=rng.randint(4, 20)))
        draw.text((x, y + 2 * SCALE), entry, fill=dark, font=ImageFont.load_default(rng.uniform(2.4, 3.2) * SCALE))
        y += round(rng.uniform(5.5, 7) * SCALE)


def _portrait(rng: Random, image: Image.Image, box: tuple[int, int, int, int]) -> None:
    patch = Image.new("RGB", (box[2] - box[0], box[3] - box[1]), (rng.randint(170, 230),) * 3)
    draw, (width, height) = ImageDraw.Draw(patch), patch.size
    skin, hair = rng.randint(90, 220), rng.randint(20, 160)
    draw.ellipse((0.1 * width, 0.75 * height, 0.9 * width, 1.5 * height), fill=(hair, 60, 80))
    draw.ellipse((0.25 * width, 0.2 * height, 0.75 * width, 0.85 * height), fill=(skin, skin - 30, skin - 50))
    draw.pieslice((0.22 * width, 0.12 * height, 0.78 * width, 0.75 * height), 180, 360, fill=(hair, hair, hair - 10))
    image.paste(patch.filter(ImageFilter.GaussianBlur(4)), box[:2])

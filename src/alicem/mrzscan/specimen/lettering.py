"""OCR-B as ink. The letters are Debian's fonts-ocr-b, kept beside this file: see OCRB.txt. Reading needs no font."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Ink = NDArray[np.uint8]  # 255 where there is ink

FONT = Path(__file__).with_name("OCRB.otf")
ADVANCE = 0.7229  # of a letter, in font sizes
CAPITAL = 1.014  # height of a capital, in advances: 2.4 mm where the advance is 2.54 mm


@cache
def _font(pitch: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT, pitch / ADVANCE)


def line(text: str, pitch: int) -> Ink:
    """A line of text, `pitch` pixels from letter to letter, in a band 2 × `pitch` high, capitals in its middle."""
    image = Image.new("L", (len(text) * pitch, 2 * pitch))
    draw = ImageDraw.Draw(image)
    baseline = pitch * (1 + CAPITAL / 2)
    for place, character in enumerate(text):
        draw.text((place * pitch, baseline), character, font=_font(pitch), fill=255, anchor="ls")
    return np.asarray(image)

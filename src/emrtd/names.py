"""Names in the machine-readable zone: transliteration and the name field (ICAO 9303-3 4.6 and 6 A)."""

from __future__ import annotations

import unicodedata

from emrtd.errors import MalformedMrz

# 9303-3 section 6 A, where the recommended letters are more than the letter without its mark.
SPECIAL_LETTERS = {
    "Ä": "AE", "Æ": "AE", "Å": "AA", "Ö": "OE", "Ø": "OE", "Œ": "OE", "Ü": "UE", "ẞ": "SS", "Þ": "TH",
    "Đ": "D", "Ð": "D", "Ħ": "H", "Ĳ": "IJ", "Ł": "L", "Ŀ": "L", "Ŋ": "N", "ĸ": "Q", "Ŧ": "T", "I\u0307": "I", "ı": "I",
}  # fmt: skip
SEPARATORS = " -‐‑–—,<"  # 9303-3 4.6: hyphens and commas divide the parts of a name
DROPPED = "'’ʼ`´.·"  # and apostrophes and points are left out, not replaced
LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def transliterate(name: str) -> str:
    """A name in Latin letters as the machine-readable zone writes it: A-Z, parts divided by one space.

    Raises MalformedMrz for a letter outside the Latin script.
    """
    upper = unicodedata.normalize("NFC", name).replace("ß", "ẞ").upper()
    return " ".join("".join(_letter(character) for character in upper).split())


def _letter(character: str) -> str:
    if character in LETTERS:
        return character
    if character in SPECIAL_LETTERS:
        return SPECIAL_LETTERS[character]
    if character in SEPARATORS or character.isspace():
        return " "
    if character in DROPPED or unicodedata.combining(character):
        return ""
    base = unicodedata.normalize("NFD", character)[0]
    if base in LETTERS:
        return base
    raise MalformedMrz(f"no transliteration for U+{ord(character):04X}", "name")


def compose_names(primary: str, secondary: str, width: int) -> str:
    """The name field: primary<identifier<<secondary<identifier, filled or truncated to `width`.

    Too long a name loses letters from the right, but keeps a part of the secondary identifier, and ends
    in a letter: the sign that it may be truncated (9303-4 4.2.3). Both names are already transliterated.
    """
    first, second = primary.replace(" ", "<"), secondary.replace(" ", "<")
    if not first or not set(first + second) <= LETTERS | {"<"}:
        raise MalformedMrz("names are letters A-Z and spaces, the primary identifier not empty", "name")
    whole = _joined(first, second)
    if len(whole) <= width:
        return whole.ljust(width, "<")
    if second and len(first) > width - 3:
        first = first[: width - 3].rstrip("<")  # room for the filler and one letter of the given name
    while (cut := _joined(first, second)[:width])[-1] == "<" and max(map(len, first.split("<"))) > 1:
        first = _shorter(first)
    return cut.ljust(width, "<")


def _joined(first: str, second: str) -> str:
    return f"{first}<<{second}" if second else first


def _shorter(identifier: str) -> str:
    """Take the last letter off the longest part, so that the cut falls elsewhere."""
    parts = identifier.split("<")
    longest = max(range(len(parts)), key=lambda index: len(parts[index]))
    parts[longest] = parts[longest][:-1]
    return "<".join(parts)


def parse_names(field: str) -> tuple[str, str]:
    """Divide a name field into primary and secondary identifier. Raises MalformedMrz."""
    if not set(field) <= LETTERS | {"<"}:
        raise MalformedMrz("a name field has letters and fillers only", "name")
    primary, _, secondary = field.rstrip("<").partition("<<")
    if not primary.strip("<"):
        raise MalformedMrz("no primary identifier", "name")
    return _words(primary), _words(secondary)


def _words(part: str) -> str:
    return " ".join(part.replace("<", " ").split())

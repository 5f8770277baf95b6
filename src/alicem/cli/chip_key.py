"""What opens a chip, from a file or typed without echo; never from the command line, which others can list."""

from __future__ import annotations

import re
import sys
from getpass import getpass
from pathlib import Path

from alicem.cli.says import USAGE, fail
from emrtd import mrz
from emrtd.errors import MalformedMrz, Misuse
from emrtd.keys import Access, Can, MrzKey

ZONES = (88, 72, 90)  # characters of TD3, TD2, TD1
KEY_MAX = 1000


def access_key(can_file: Path | None, mrz_file: Path | None) -> Access:
    """The key of these files, else asked. Ends the command where it cannot be one."""
    if can_file is not None and mrz_file is not None:
        fail("one of --can-file and --mrz-file opens the chip, not both", USAGE)
    try:
        if can_file is not None:
            return Can(_content(can_file).strip())
        return from_text(_content(mrz_file)) if mrz_file is not None else _asked()
    except MalformedMrz as error:
        fail(f"the machine-readable zone does not add up: {error}", USAGE)
    except (Misuse, ValueError) as error:
        fail(str(error), USAGE)


def from_text(text: str) -> Access:
    """A whole zone, or document number, birth date and expiry date. Raises MalformedMrz, Misuse, ValueError."""
    words = text.split()
    if sum(map(len, words)) in ZONES:
        zone = mrz.parse(text)
        return MrzKey(zone.number, zone.birth_date, zone.expiry_date)
    if len(words) != 3:
        raise ValueError("the file holds the zone's lines, or document number, birth date and expiry date")
    number, birth, expiry = words
    return MrzKey(number, short_date(birth), short_date(expiry))


def short_date(text: str) -> str:
    """YYMMDD of a date written so or as YYYY-MM-DD, where 00 is an unknown part. Raises ValueError."""
    if re.fullmatch(r"[0-9<]{6}", text):
        return text
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise ValueError("a date is written YYMMDD or YYYY-MM-DD")
    year, *rest = text[2:].split("-")
    return year + "".join("<<" if part == "00" else part for part in rest)


def _content(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(KEY_MAX).decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file}: {getattr(error, 'strerror', None) or 'not a text of plain letters'}", USAGE)


def _asked() -> Access:
    if not sys.stdin.isatty():
        fail("nobody to ask: give --can-file or --mrz-file", USAGE)
    number = _prompt("Document number (empty for the six digits of the card)")
    if not number:
        return Can(_prompt("Card access number"))
    return MrzKey(number, short_date(_prompt("Birth date, YYMMDD")), short_date(_prompt("Expiry date, YYMMDD")))


def _prompt(what: str) -> str:
    return getpass(f"{what}: ").strip()

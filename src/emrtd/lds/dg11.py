"""DG11: additional personal details, with the names as they are really written (ICAO 9303-10 4.7.11)."""

from __future__ import annotations

from dataclasses import dataclass, field

from emrtd import tlv
from emrtd.dates import PartialDate, full_date
from emrtd.errors import Malformed, MalformedFile, MalformedTlv
from emrtd.files import GROUP_TAGS

TAG_LIST, FULL_NAME, OTHER_NAMES, OTHER_NAME = 0x5C, 0x5F0E, 0xA0, 0x5F0F
PERSONAL_NUMBER, FULL_BIRTH_DATE, BIRTH_PLACE, ADDRESS = 0x5F10, 0x5F2B, 0x5F11, 0x5F42
OTHER_NAMES_MAX = 64


@dataclass(frozen=True)
class Dg11:
    """Names in national characters, the document's own spelling; "" and () where absent.

    ``primary`` and ``secondary`` divide the full name as the machine-readable zone does; ``birth_place``
    and ``address`` are lines of text. ``warnings`` says what was lenient.
    """

    primary: str = ""
    secondary: str = ""
    other_names: tuple[str, ...] = ()
    personal_number: str = ""
    birth_date: PartialDate | None = None
    birth_place: tuple[str, ...] = ()
    address: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=(), compare=False)


def parse_dg11(content: bytes) -> Dg11:
    """Read DG11. Unknown objects are left out. Raises MalformedFile."""
    try:
        objects = tlv.parse(tlv.expect(content, GROUP_TAGS[11]).value)
        others = _other_names(objects)
    except MalformedTlv as error:
        raise MalformedFile("DG11", str(error)) from error
    found = {item.tag: item.value for item in objects}
    primary, _, secondary = _text(found.get(FULL_NAME, b"")).partition("<<")
    birth_date, warnings = _birth_date(found.get(FULL_BIRTH_DATE, b""))
    return Dg11(
        primary=_words(primary),
        secondary=_words(secondary),
        other_names=others,
        personal_number=_text(found.get(PERSONAL_NUMBER, b"")).strip("< "),
        birth_date=birth_date,
        birth_place=_lines(found.get(BIRTH_PLACE, b"")),
        address=_lines(found.get(ADDRESS, b"")),
        warnings=warnings,
    )


def _text(value: bytes) -> str:
    """UTF-8 as the standard says; Latin-1 as some States still write."""
    try:
        return value.decode("utf-8").strip("\0")
    except UnicodeDecodeError:
        return value.decode("latin-1").strip("\0")


def _words(part: str) -> str:
    return " ".join(part.replace("<", " ").split())


def _lines(value: bytes) -> tuple[str, ...]:
    return tuple(line.strip() for line in _text(value).split("<") if line.strip())


def _other_names(objects: tuple[tlv.Tlv, ...]) -> tuple[str, ...]:
    """Names under A0 or, as some write, directly in the file; fillers become spaces."""
    inside = tlv.find(objects, OTHER_NAMES)
    candidates = (tlv.parse(inside.value) if inside else ()) + objects
    found = [_words(_text(item.value)) for item in candidates if item.tag == OTHER_NAME]
    return tuple(name for name in found[:OTHER_NAMES_MAX] if name)


def _birth_date(value: bytes) -> tuple[PartialDate | None, tuple[str, ...]]:
    """Eight characters, or four bytes of BCD (Malaysia, Spain, Bosnia)."""
    if not value:
        return None, ()
    text = value.hex() if len(value) == 4 else _text(value)
    try:
        return full_date(text), ()
    except Malformed:
        return None, ("dg11_birth_date_unreadable",)


def compose_dg11(details: Dg11) -> bytes:
    """DG11 with the objects that have a value."""
    parts: list[tuple[int, bytes]] = []
    if details.primary:
        name = details.primary + (f"<<{details.secondary}" if details.secondary else "")
        parts.append((FULL_NAME, tlv.encode(FULL_NAME, name.replace(" ", "<").encode())))
    if details.other_names:
        names = b"".join(tlv.encode(OTHER_NAME, name.replace(" ", "<").encode()) for name in details.other_names)
        count = tlv.encode(0x02, bytes((len(details.other_names),)))
        parts.append((OTHER_NAME, tlv.encode(OTHER_NAMES, count, names)))
    if details.personal_number:
        parts.append((PERSONAL_NUMBER, tlv.encode(PERSONAL_NUMBER, details.personal_number.encode())))
    if details.birth_date:
        parts.append((FULL_BIRTH_DATE, tlv.encode(FULL_BIRTH_DATE, _eight_digits(details.birth_date))))
    if details.birth_place:
        parts.append((BIRTH_PLACE, tlv.encode(BIRTH_PLACE, "<".join(details.birth_place).encode())))
    if details.address:
        parts.append((ADDRESS, tlv.encode(ADDRESS, "<".join(details.address).encode())))
    tags = b"".join(tag.to_bytes(2, "big") for tag, _ in parts)
    return tlv.encode(GROUP_TAGS[11], tlv.encode(TAG_LIST, tags), *(encoded for _, encoded in parts))


def _eight_digits(date: PartialDate) -> bytes:
    """YYYYMMDD, zeros for what is not known."""
    return f"{date.year or 0:04d}{date.month or 0:02d}{date.day or 0:02d}".encode("ascii")

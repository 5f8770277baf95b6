"""What the data groups have in common: their outer template, and the details of DG11 and DG12.

Details are read leniently, because States write them in many ways and sign them so; each thing forgiven gets a
name. Nothing here changes the bytes that are hashed: those stay with whoever read them from the chip.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from emrtd import tlv
from emrtd.dates import PartialDate, full_date
from emrtd.errors import Malformed, MalformedFile, MalformedTlv
from emrtd.files import GROUP_TAGS
from emrtd.lds.pictures import Picture, read_picture

GROUP_MAX = 1 << 21
TAG_LIST, REPEATED, COUNT = 0x5C, 0xA0, 0x02
REPEATED_MAX = 64
TWO_BYTES = 0x5F  # every data element of DG11 and DG12 has a tag of two bytes, 5F and another


def open_group(content: bytes, number: int, *, claimed: int = 0) -> tuple[bytes, tuple[str, ...]]:
    """What the template of data group `number` holds; bytes after it are a warning, and so is a length that claims up
    to `claimed` bytes more than there are. Raises MalformedFile.
    """
    name, tag = f"DG{number}", GROUP_TAGS[number]
    if len(content) > GROUP_MAX:
        raise MalformedFile(name, f"{len(content)} bytes")
    try:
        header = tlv.read_header(content)
        if header.tag == tag and 0 < header.total - len(content) <= claimed:
            return content[header.size :], (f"dg{number}_length",)
        item, end = tlv.read(content)
        if item.tag != tag:
            raise MalformedTlv(f"object {item.tag:X} where {tag:X} belongs")
    except MalformedTlv as error:
        raise MalformedFile(name, str(error)) from error
    return item.value, (f"dg{number}_trailing_bytes",) if end < len(content) else ()


def compose_group(number: int, *values: bytes) -> bytes:
    return tlv.encode(GROUP_TAGS[number], *values)


class Details:
    """The data elements of DG11 or DG12 while they are read; ``warnings`` grows with each thing forgiven."""

    def __init__(self, content: bytes, number: int, known: Iterable[int], repeated: int) -> None:
        """`repeated` is the element that stands several times under A0. Raises MalformedFile."""
        value, warnings = open_group(content, number)
        self.prefix, self.repeated = f"dg{number}", repeated
        self.warnings = list(warnings)
        self.objects = self._objects(value, f"DG{number}")
        self.found: dict[int, bytes] = {}
        for item in self.objects:
            self.found.setdefault(item.tag, item.value)
        self._check_tags({*known, repeated})

    def warn(self, what: str) -> None:
        name = f"{self.prefix}_{what}"
        if name not in self.warnings:
            self.warnings.append(name)

    def _objects(self, value: bytes, name: str) -> tuple[tlv.Tlv, ...]:
        """The objects up to where they end or can no longer be told apart."""
        objects: list[tlv.Tlv] = []
        at, solid = 0, len(value.rstrip(b"\0"))
        while at < len(value) and len(objects) < tlv.OBJECTS_MAX:
            if at >= solid:  # zeros to the end: the file was made larger than its content
                self.warn("padding")
                break
            try:
                item, at = tlv.read(value, at, tag_size=2 if value[at] == TWO_BYTES else None)
            except MalformedTlv as error:
                if not objects:
                    raise MalformedFile(name, str(error)) from error
                self.warn("rest_unreadable")
                break
            objects.append(item)
        return tuple(objects)

    def _check_tags(self, known: set[int]) -> None:
        """Compare what is there with what the tag list promises and the standard knows."""
        single = [item.tag for item in self.objects if item.tag != self.repeated]
        if len(single) > len(set(single)):
            self.warn("repeated_object")
        present = {tag for tag in self.found if tag != TAG_LIST}
        if not present <= known | {REPEATED}:
            self.warn("unknown_object")
        if any(self.found[tag] == b"" for tag in present):
            self.warn("empty_object")
        listed = _tag_list(self.found.get(TAG_LIST, b""))
        if listed is None or {self._as_listed(tag) for tag in listed} != {self._as_listed(tag) for tag in present}:
            self.warn("tag_list")

    def _as_listed(self, tag: int) -> int:
        """Some lists name the repeated element, some the A0 around it."""
        return self.repeated if tag == REPEATED else tag

    def text(self, tag: int) -> str:
        """One element as text, outer spaces and zeros removed; "" where absent."""
        return self._decode(self.found.get(tag, b"")).strip("\0 \t\r\n")

    def words(self, tag: int) -> str:
        """One element as text whose fillers are spaces."""
        return words(self.text(tag))

    def lines(self, tag: int) -> tuple[str, ...]:
        """One element as its parts, which fillers divide."""
        return tuple(line.strip() for line in self.text(tag).split("<") if line.strip())

    def name(self, tag: int) -> tuple[str, str]:
        """A name divided into primary and secondary identifier; undivided, all of it is the primary one."""
        text = self.text(tag)
        if "<<" not in text and " " in text:  # spaces instead of fillers
            divided = next((mark for mark in ("  ", ", ") if mark in text), "")
            self.warn("name_with_spaces" if divided else "name_undivided")
            text = text.replace(divided, "<<", 1) if divided else text
        primary, _, secondary = text.partition("<<")
        return words(primary), words(secondary)

    def names(self) -> tuple[str, ...]:
        """The elements repeated under A0 or, as some write, directly in the file; fillers become spaces."""
        direct = [item for item in self.objects if item.tag == self.repeated]
        if direct:
            self.warn("without_template")
        inside: tuple[tlv.Tlv, ...] = ()
        try:
            inside = tlv.parse(self.found.get(REPEATED, b""))
        except MalformedTlv:
            self.warn("template_unreadable")
        nested = [item for item in inside if item.tag == self.repeated]
        count = tlv.find(inside, COUNT)
        if inside and (count is None or count.value != bytes((len(nested) & 0xFF,))):
            self.warn("count")
        found = [words(self._decode(item.value)) for item in (*nested, *direct)]
        return tuple(name for name in found[:REPEATED_MAX] if name)

    def date(self, tag: int, what: str) -> PartialDate | None:
        """Eight characters, or four bytes of BCD; None with a warning where it is neither."""
        text = self._digits(tag, 4, what)
        try:
            return full_date(text) if text else None
        except Malformed:
            self.warn(f"{what}_unreadable")
            return None

    def moment(self, tag: int, what: str) -> datetime | None:
        """Fourteen characters yyyymmddhhmmss, or seven bytes of BCD; no time zone is given by the standard."""
        text = self._digits(tag, 7, what)
        try:
            return datetime.strptime(text, "%Y%m%d%H%M%S") if text else None
        except ValueError:
            self.warn(f"{what}_unreadable")
            return None

    def _digits(self, tag: int, bcd_size: int, what: str) -> str:
        value = self.found.get(tag, b"")
        if len(value) != bcd_size:
            return self.text(tag)
        self.warn(f"{what}_bcd")
        return value.hex()

    def picture(self, tag: int, what: str) -> Picture | None:
        """An image, or None with a warning where there is none that may be shown."""
        value = self.found.get(tag, b"")
        try:
            return read_picture(value, self.prefix.upper()) if value else None
        except MalformedFile:
            self.warn(f"{what}_unreadable")
            return None

    def _decode(self, value: bytes) -> str:
        """UTF-8 as the standard says; Latin-1 as some States still write."""
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            self.warn("latin_1")
            return value.decode("latin-1")


def _tag_list(value: bytes) -> set[int] | None:
    """The tags of a list, None where it is cut or empty."""
    tags: set[int] = set()
    at = 0
    while at < len(value):
        size = 2 if value[at] == TWO_BYTES else 1
        if at + size > len(value):
            return None
        tags.add(int.from_bytes(value[at : at + size], "big"))
        at += size
    return tags or None


def words(text: str) -> str:
    return " ".join(text.replace("<", " ").split())


def compose_details(number: int, elements: Iterable[tuple[int, bytes]], repeated: int, names: tuple[str, ...]) -> bytes:
    """DG11 or DG12 with the elements that have a value, in the order of their tags in the standard."""
    parts = [(tag, tlv.encode(tag, value)) for tag, value in elements if value]
    if names:
        items = b"".join(tlv.encode(repeated, fillers(name)) for name in names)
        parts.insert(1, (repeated, tlv.encode(REPEATED, tlv.encode(COUNT, bytes((len(names),))), items)))
    tags = b"".join(tag.to_bytes(2, "big") for tag, _ in parts)
    return compose_group(number, tlv.encode(TAG_LIST, tags), *(encoded for _, encoded in parts))


def fillers(name: str) -> bytes:
    """A name as the machine-readable zone would write it, its own letters kept."""
    return name.replace(" ", "<").encode()


def eight_digits(date: PartialDate | None) -> bytes:
    """YYYYMMDD, zeros for what is not known; nothing for no date."""
    if date is None:
        return b""
    return f"{date.year or 0:04d}{date.month or 0:02d}{date.day or 0:02d}".encode("ascii")

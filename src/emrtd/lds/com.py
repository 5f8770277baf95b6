"""EF.COM: which data groups the chip says it has (ICAO 9303-10 4.6.1). Not signed: a hint, never proof."""

from __future__ import annotations

from dataclasses import dataclass

from emrtd import tlv
from emrtd.errors import MalformedFile, MalformedTlv
from emrtd.files import COM, GROUP_TAGS

LDS_VERSION, UNICODE_VERSION, TAG_LIST = 0x5F01, 0x5F36, 0x5C
GROUP_OF_TAG = {tag: group for group, tag in GROUP_TAGS.items()}


@dataclass(frozen=True)
class Com:
    """Versions as "0107" and "040000"; ``groups`` the data groups listed, in order."""

    lds_version: str
    unicode_version: str
    groups: tuple[int, ...]


def parse_com(content: bytes) -> Com:
    """Read EF.COM; unknown tags in its list are left out. Raises MalformedFile."""
    try:
        objects = tlv.parse(tlv.expect(content, COM.tag).value)
    except MalformedTlv as error:
        raise MalformedFile("COM", str(error)) from error
    found = {item.tag: item.value for item in objects}
    if TAG_LIST not in found:
        raise MalformedFile("COM", "no list of data groups")
    lds, unicode = (found.get(tag, b"").decode("ascii", "replace") for tag in (LDS_VERSION, UNICODE_VERSION))
    groups = tuple(GROUP_OF_TAG[tag] for tag in found[TAG_LIST] if tag in GROUP_OF_TAG)
    return Com(lds, unicode, groups)


def compose_com(groups: tuple[int, ...]) -> bytes:
    """EF.COM of LDS 1.7 and Unicode 4.0."""
    tags = bytes(GROUP_TAGS[group] for group in groups)
    parts = tlv.encode(LDS_VERSION, b"0107"), tlv.encode(UNICODE_VERSION, b"040000"), tlv.encode(TAG_LIST, tags)
    return tlv.encode(COM.tag, *parts)

"""EF.COM: which data groups the chip says it has (ICAO 9303-10 4.6.1). Not signed: a hint, never proof."""

from __future__ import annotations

from dataclasses import dataclass, field

from emrtd import tlv
from emrtd.errors import MalformedFile, MalformedTlv
from emrtd.files import COM, GROUP_TAGS

COM_MAX = 1 << 12
LDS_VERSION, UNICODE_VERSION, TAG_LIST = 0x5F01, 0x5F36, 0x5C
GROUP_OF_TAG = {tag: group for group, tag in GROUP_TAGS.items()}


@dataclass(frozen=True)
class Com:
    """Versions as "0107" and "040000", "" where absent; ``groups`` the data groups listed, in order.

    ``warnings`` names what was forgiven.
    """

    lds_version: str
    unicode_version: str
    groups: tuple[int, ...]
    warnings: tuple[str, ...] = field(default=(), compare=False)


def parse_com(content: bytes) -> Com:
    """Read EF.COM; unknown tags in its list are left out. Raises MalformedFile."""
    if len(content) > COM_MAX:
        raise MalformedFile("COM", f"{len(content)} bytes")
    try:
        outer = tlv.expect(content, COM.tag)
        found = {item.tag: item.value for item in tlv.parse(outer.value)}
    except MalformedTlv as error:
        raise MalformedFile("COM", str(error)) from error
    if TAG_LIST not in found:
        raise MalformedFile("COM", "no list of data groups")
    lds, unicode = (_version(found.get(tag, b"")) for tag in (LDS_VERSION, UNICODE_VERSION))
    groups = tuple(dict.fromkeys(GROUP_OF_TAG[tag] for tag in found[TAG_LIST] if tag in GROUP_OF_TAG))
    forgiven = {
        "com_trailing_bytes": len(content) > len(outer.raw),
        "com_version": not (len(lds) == 4 and len(unicode) == 6),
        "com_tag_list": len(groups) != len(found[TAG_LIST]),
    }
    return Com(lds, unicode, groups, tuple(name for name, holds in forgiven.items() if holds))


def _version(value: bytes) -> str:
    """Digits, "" for anything else."""
    return value.decode("ascii") if value.isdigit() else ""


def compose_com(groups: tuple[int, ...], *, lds_version: str = "0107") -> bytes:
    """EF.COM of LDS 1.7 and Unicode 4.0."""
    tags = bytes(GROUP_TAGS[group] for group in groups)
    versions = tlv.encode(LDS_VERSION, lds_version.encode("ascii")), tlv.encode(UNICODE_VERSION, b"040000")
    return tlv.encode(COM.tag, *versions, tlv.encode(TAG_LIST, tags))

"""DG13: what a State likes to add, in a form of its own (ICAO 9303-10 4.7.13)."""

from __future__ import annotations

from dataclasses import dataclass, field

from emrtd import tlv
from emrtd.errors import MalformedTlv
from emrtd.files import GROUP_TAGS
from emrtd.lds.data_objects import compose_group, open_group


@dataclass(frozen=True, repr=False)
class Dg13:
    """The content as it is, and its objects if it is made of such; Singapore's, for one, is not."""

    content: bytes
    objects: tuple[tlv.Tlv, ...] = ()
    warnings: tuple[str, ...] = field(default=(), compare=False)


def parse_dg13(content: bytes) -> Dg13:
    """Read DG13. Raises MalformedFile for one that begins as a data group and does not go on so."""
    if content and content[0] != GROUP_TAGS[13]:
        return Dg13(content, (), ("dg13_not_tlv",))
    value, warnings = open_group(content, 13)
    try:
        return Dg13(value, tlv.parse(value), warnings)
    except MalformedTlv:
        return Dg13(value, (), (*warnings, "dg13_not_tlv"))


def compose_dg13(content: bytes) -> bytes:
    return compose_group(13, content)

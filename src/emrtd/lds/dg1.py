"""DG1: the machine-readable zone (ICAO 9303-10 4.7.1)."""

from __future__ import annotations

from emrtd import tlv
from emrtd.errors import MalformedFile, MalformedTlv
from emrtd.files import GROUP_TAGS
from emrtd.mrz import Mrz, compose, parse

ZONE = 0x5F1F


def parse_dg1(content: bytes) -> Mrz:
    """Read DG1. Raises MalformedFile, MalformedMrz."""
    try:
        zone = tlv.expect(tlv.expect(content, GROUP_TAGS[1]).value, ZONE).value
        text = zone.decode("ascii")
    except (MalformedTlv, UnicodeDecodeError) as error:
        raise MalformedFile("DG1", str(error)) from error
    return parse(text)


def compose_dg1(mrz: Mrz) -> bytes:
    return tlv.encode(GROUP_TAGS[1], tlv.encode(ZONE, "".join(compose(mrz)).encode("ascii")))

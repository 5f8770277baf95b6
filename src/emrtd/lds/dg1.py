"""DG1: the machine-readable zone (ICAO 9303-10 4.7.1)."""

from __future__ import annotations

from dataclasses import replace

from emrtd import mrz, tlv
from emrtd.errors import MalformedFile, MalformedMrz, MalformedTlv
from emrtd.lds.data_objects import compose_group, open_group
from emrtd.mrz import KIND_OF_LENGTH, Mrz

ZONE = 0x5F1F
ZONE_MAX = 200
PADDING = "\0 \r\n\xff"


def parse_dg1(content: bytes) -> Mrz:
    """Read DG1; ``warnings`` of the zone names what was forgiven. Raises MalformedFile, MalformedMrz."""
    value, warnings = open_group(content, 1)
    try:
        zone = tlv.descend(value, ZONE).value
    except MalformedTlv as error:
        raise MalformedFile("DG1", str(error)) from error
    if len(zone) > ZONE_MAX:
        raise MalformedFile("DG1", f"a zone of {len(zone)} bytes")
    text, forgiven = _tidied(zone.decode("latin-1"))
    found, wrong = mrz.read(text)
    checks = tuple(f"dg1_check_digit_{name}" for name in wrong)
    return replace(found, warnings=warnings + forgiven + checks)


def _tidied(zone: str) -> tuple[str, tuple[str, ...]]:
    """The zone as it should stand: no line ends or padding, spaces as fillers, upper case, nothing behind."""
    joined = zone.replace("\r", "").replace("\n", "")
    stripped = joined.rstrip(PADDING)
    text = next((one for one in (stripped, joined) if len(one) in KIND_OF_LENGTH), stripped)
    forgiven = ["dg1_padding"] if text != zone else []
    if " " in text:
        text, forgiven = text.replace(" ", "<"), [*forgiven, "dg1_spaces"]
    if text != text.upper():
        text, forgiven = text.upper(), [*forgiven, "dg1_lower_case"]
    if len(text) not in KIND_OF_LENGTH and (cut := _without_rest(text)):
        text, forgiven = cut, [*forgiven, "dg1_trailing_characters"]
    return text, tuple(forgiven)


def _without_rest(text: str) -> str:
    """The zone at the beginning of `text` whose check digits are all right; "" if there is none."""
    for length in sorted(KIND_OF_LENGTH, reverse=True):
        try:
            if length < len(text) and not mrz.read(text[:length])[1]:
                return text[:length]
        except MalformedMrz:
            continue
    return ""


def compose_dg1(zone: Mrz) -> bytes:
    return compose_group(1, tlv.encode(ZONE, "".join(mrz.compose(zone)).encode("ascii")))

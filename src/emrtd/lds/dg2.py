"""DG2: one portrait or several, in the biometric templates of ISO/IEC 7816-11 (ICAO 9303-10 4.5.6 and 4.7.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from emrtd import tlv
from emrtd.errors import MalformedFile, MalformedTlv, Misuse
from emrtd.lds.data_objects import compose_group, open_group
from emrtd.lds.facial_records import (
    FACE_IMAGE_DATA,
    FACES_MAX,
    compose_19794,
    compose_39794,
    parse_19794,
    parse_39794,
)
from emrtd.lds.pictures import Picture, format_of, read_picture

CLAIMED_MAX = 8  # bytes by which the length of DG2 was found to be off
Standard = Literal["19794-5", "39794-5"]
GROUP_TEMPLATE, TEMPLATE, HEADER_TEMPLATE, INSTANCES = 0x7F61, 0x7F60, 0xA1, 0x02
DATA, CONSTRUCTED_DATA, STANDARDIZED = 0x5F2E, 0x7F2E, 0xA1
FORMAT_TYPES: dict[Standard, bytes] = {"19794-5": b"\x00\x08", "39794-5": b"\x00\x2a"}


@dataclass(frozen=True)
class Portrait(Picture):
    """The image as it is on the chip, not decoded, and the standard of the record around it."""

    standard: Standard = "19794-5"


@dataclass(frozen=True)
class Dg2:
    """The portraits in the order of the file, at least one; ``warnings`` names what was forgiven."""

    portraits: tuple[Portrait, ...]
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def portrait(self) -> Portrait:
        """The first one, which is the most recent (9303-10 4.7.2)."""
        return self.portraits[0]


def parse_dg2(content: bytes) -> Dg2:
    """Read DG2. Raises MalformedFile."""
    value, warnings = open_group(content, 2, claimed=CLAIMED_MAX)
    try:
        group = tlv.parse(tlv.descend(value, GROUP_TEMPLATE).value)
        templates = [item.value for item in group if item.tag == TEMPLATE]
        if not 1 <= len(templates) <= FACES_MAX:
            raise MalformedTlv(f"{len(templates)} biometric templates")
        instances = tlv.find(group, INSTANCES)
        if instances is None or instances.value != bytes((len(templates),)):
            warnings = (*warnings, "dg2_count")
        portraits: list[Portrait] = []
        for template in templates:
            found, forgiven = _portraits(template)
            portraits += found
            warnings += forgiven
    except MalformedTlv as error:
        raise MalformedFile("DG2", str(error)) from error
    if any(portrait.width is None for portrait in portraits):
        warnings = (*warnings, "dg2_image_size_unreadable")
    return Dg2(tuple(portraits), tuple(dict.fromkeys(warnings)))


def _portraits(template: bytes) -> tuple[list[Portrait], tuple[str, ...]]:
    """The portraits of one template: what the data block begins with says its standard, whatever its tag."""
    blocks = [item for item in tlv.parse(template) if item.tag in (DATA, CONSTRUCTED_DATA)]
    if not blocks:
        raise MalformedTlv("a biometric template without data")
    block = blocks[0].value
    standard: Standard = "39794-5" if block[:1] in (bytes((STANDARDIZED,)), bytes((FACE_IMAGE_DATA,))) else "19794-5"
    warnings: tuple[str, ...] = ()
    if standard == "39794-5":
        images = parse_39794(tlv.expect(block, STANDARDIZED).value if block[0] == STANDARDIZED else block)
    else:
        images, warnings = parse_19794(block)
    if (blocks[0].tag == CONSTRUCTED_DATA) != (standard == "39794-5"):
        warnings = (*warnings, "dg2_data_tag")  # table 1 of 4.5.6; some write 19794-5 under 7F2E
    pictures = [read_picture(image, "DG2") for image in images]
    return [Portrait(one.image, one.format, one.width, one.height, standard) for one in pictures], warnings


def compose_dg2(*images: bytes, width: int, height: int, sex: str = "<", standard: Standard = "19794-5") -> bytes:
    """DG2 with a full frontal portrait for each image, JPEG or JPEG 2000. Raises MalformedFile for another image."""
    if not 1 <= len(images) <= FACES_MAX:
        raise Misuse("DG2 holds one to nine portraits")
    if not all(format_of(image) for image in images):
        raise MalformedFile("DG2", "an image neither JPEG nor JPEG 2000")
    templates = [_compose_template(image, width, height, sex, standard) for image in images]
    group = tlv.encode(GROUP_TEMPLATE, tlv.encode(INSTANCES, bytes((len(images),))), *templates)
    return compose_group(2, group)


def _compose_template(image: bytes, width: int, height: int, sex: str, standard: Standard) -> bytes:
    header = tlv.encode(
        HEADER_TEMPLATE,
        tlv.encode(0x80, bytes.fromhex("0101")),
        tlv.encode(0x81, b"\x02"),  # facial features
        tlv.encode(0x87, bytes.fromhex("0101")),  # format owner: ISO/IEC JTC 1/SC 37
        tlv.encode(0x88, FORMAT_TYPES[standard]),
    )
    if standard == "39794-5":
        block = tlv.encode(STANDARDIZED, compose_39794(image, width=width, height=height))
        return tlv.encode(TEMPLATE, header, tlv.encode(CONSTRUCTED_DATA, block))
    record = compose_19794((image,), width=width, height=height, sex=sex)
    return tlv.encode(TEMPLATE, header, tlv.encode(DATA, record))

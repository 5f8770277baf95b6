"""DG7: the holder's signature or usual mark as it is displayed (ICAO 9303-10 4.7.7)."""

from __future__ import annotations

from dataclasses import dataclass, field

from emrtd import tlv
from emrtd.errors import MalformedFile, MalformedTlv, Misuse
from emrtd.lds.data_objects import compose_group, open_group
from emrtd.lds.pictures import Picture, read_picture

INSTANCES, SIGNATURE = 0x02, 0x5F43
SIGNATURES_MAX = 9  # table 64


@dataclass(frozen=True)
class Dg7:
    """The images in the order of the file, at least one; ``warnings`` names what was forgiven."""

    signatures: tuple[Picture, ...]
    warnings: tuple[str, ...] = field(default=(), compare=False)


def parse_dg7(content: bytes) -> Dg7:
    """Read DG7. Raises MalformedFile."""
    value, warnings = open_group(content, 7)
    try:
        objects = tlv.parse(value)
    except MalformedTlv as error:
        raise MalformedFile("DG7", str(error)) from error
    images = [item.value for item in objects if item.tag == SIGNATURE]
    if not 1 <= len(images) <= SIGNATURES_MAX:
        raise MalformedFile("DG7", f"{len(images)} signatures")
    count = tlv.find(objects, INSTANCES)
    if count is None or count.value != bytes((len(images),)):
        warnings = (*warnings, "dg7_count")
    return Dg7(tuple(read_picture(image, "DG7") for image in images), warnings)


def compose_dg7(*images: bytes) -> bytes:
    """DG7 with each image, JPEG or JPEG 2000. Raises MalformedFile for another."""
    if not 1 <= len(images) <= SIGNATURES_MAX:
        raise Misuse("DG7 holds one to nine images")
    pictures = [read_picture(image, "DG7") for image in images]
    count = tlv.encode(INSTANCES, bytes((len(images),)))
    return compose_group(7, count, *(tlv.encode(SIGNATURE, picture.image) for picture in pictures))

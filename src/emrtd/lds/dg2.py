"""DG2: the portrait, in an ISO/IEC 19794-5 record (ICAO 9303-10 4.7.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from emrtd import tlv
from emrtd.errors import MalformedFile, MalformedTlv
from emrtd.files import GROUP_TAGS

Format = Literal["jpeg", "jp2", "j2k"]
MAGIC: dict[Format, bytes] = {
    "jpeg": b"\xff\xd8\xff",
    "jp2": bytes.fromhex("0000000C6A502020"),
    "j2k": bytes.fromhex("FF4FFF51"),
}
GROUP_TEMPLATE, TEMPLATE, HEADER_TEMPLATE, INSTANCES = 0x7F61, 0x7F60, 0xA1, 0x02
RECORDS = (0x5F2E, 0x7F2E)
RECORD_HEADER, FACE_HEADER, FEATURE_POINT, IMAGE_HEADER = 14, 20, 8, 12
IMAGE_MAX = 1 << 20


@dataclass(frozen=True)
class Portrait:
    """The image as it is on the chip, not decoded."""

    image: bytes = field(repr=False)
    format: Format


def parse_dg2(content: bytes) -> Portrait:
    """The first portrait of DG2. Raises MalformedFile."""
    try:
        group = tlv.expect(tlv.expect(content, GROUP_TAGS[2]).value, GROUP_TEMPLATE)
        template = _object(tlv.parse(group.value), (TEMPLATE,))
        record = _object(tlv.parse(template), RECORDS)
    except MalformedTlv as error:
        raise MalformedFile("DG2", str(error)) from error
    image = _image(record)
    if len(image) > IMAGE_MAX:
        raise MalformedFile("DG2", f"an image of {len(image)} bytes")
    for name, magic in MAGIC.items():  # the image itself is believed before the type the record declares
        if image.startswith(magic):
            return Portrait(image, name)
    raise MalformedFile("DG2", "an image neither JPEG nor JPEG 2000")


def _object(objects: tuple[tlv.Tlv, ...], tags: tuple[int, ...]) -> bytes:
    for item in objects:
        if item.tag in tags:
            return item.value
    raise MalformedTlv(f"no object {tags[0]:X}")


def _image(record: bytes) -> bytes:
    """The image of the first face: after the record, face and image headers and the feature points.

    The length fields of records are off by a few bytes on some documents, so the image goes to the end of
    what the face block claims, or of what there is.
    """
    if len(record) < RECORD_HEADER + FACE_HEADER or not record.startswith(b"FAC\0"):
        raise MalformedFile("DG2", "no ISO 19794-5 facial record")
    if int.from_bytes(record[12:14], "big") < 1:
        raise MalformedFile("DG2", "a record without a face")
    face = record[RECORD_HEADER:]
    points = int.from_bytes(face[4:6], "big")
    start = FACE_HEADER + FEATURE_POINT * points + IMAGE_HEADER
    several = int.from_bytes(record[12:14], "big") > 1
    end = int.from_bytes(face[:4], "big") if several else len(face)
    if start >= len(face):
        raise MalformedFile("DG2", "the record ends before its image")
    return face[start:end]


def compose_dg2(image: bytes, *, width: int, height: int, sex: str = "<") -> bytes:
    """DG2 with one full frontal portrait, JPEG or JPEG 2000. Raises MalformedFile for another image."""
    if not any(image.startswith(magic) for magic in MAGIC.values()):
        raise MalformedFile("DG2", "an image neither JPEG nor JPEG 2000")
    kind = 0 if image.startswith(MAGIC["jpeg"]) else 1
    gender = {"M": 1, "F": 2}.get(sex, 0)
    picture = bytes((1, kind)) + width.to_bytes(2, "big") + height.to_bytes(2, "big") + bytes((1, 2, 0, 0, 0, 0))
    face_length = FACE_HEADER + IMAGE_HEADER + len(image)
    face = face_length.to_bytes(4, "big") + bytes(2) + bytes((gender,)) + bytes(13)
    head = b"FAC\x00010\x00" + (RECORD_HEADER + face_length).to_bytes(4, "big") + (1).to_bytes(2, "big")
    header = tlv.encode(
        HEADER_TEMPLATE,
        tlv.encode(0x80, bytes.fromhex("0101")),
        tlv.encode(0x81, b"\x02"),  # facial features
        tlv.encode(0x87, bytes.fromhex("0101")),  # format owner: ISO/IEC JTC 1/SC 37
        tlv.encode(0x88, bytes.fromhex("0008")),  # format type: 19794-5
    )
    record = tlv.encode(RECORDS[0], head, face, picture, image)
    template = tlv.encode(TEMPLATE, header, record)
    return tlv.encode(GROUP_TAGS[2], tlv.encode(GROUP_TEMPLATE, tlv.encode(INSTANCES, b"\x01"), template))

"""Portraits in the two record formats of DG2: ISO/IEC 19794-5:2005 and ISO/IEC 39794-5:2019.

The first is bytes at fixed places behind "FAC"; its length fields are off by up to eight bytes on documents of
New Zealand and the United Kingdom, so an image is looked for where it should begin, then near by, then anywhere.
The second is ASN.1 in the application profile for eMRTDs (ICAO, version 1.00): everything in it but the image and
its size is optional and left out here. The code follows the schema of ISO/IEC 39794-5, used within its licence.
"""

from __future__ import annotations

from emrtd import tlv
from emrtd.errors import MalformedFile, MalformedTlv
from emrtd.lds.pictures import IMAGE_MAX, MAGIC, format_of

FACES_MAX = 9  # 9303-10 table 45
IDENTIFIER, VERSION = b"FAC\0", b"010\0"
RECORD_HEADER, FACE_HEADER, FEATURE_POINT, IMAGE_HEADER = 14, 20, 8, 12
OFF_BY_MAX, GARBAGE_MAX = 8, 64
NEAR = sorted(range(-OFF_BY_MAX, OFF_BY_MAX + 1), key=abs)

FACE_IMAGE_DATA = 0x65  # [APPLICATION 5]
IMAGE_PATH = (0xA1, 0xA0, 0xA0, 0x80)  # imageRepresentation, base, imageRepresentation2DBlock, representationData2D
FORMAT_CODES = {"jpeg": 2, "jp2": 3, "j2k": 3}  # ImageDataFormatCode; 3 is JPEG 2000, lossy


def parse_19794(record: bytes) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """The images of a facial record and the names of what was forgiven. Raises MalformedFile."""
    begin = record.find(IDENTIFIER, 0, GARBAGE_MAX + len(IDENTIFIER))
    if begin < 0 or len(record) < begin + RECORD_HEADER + FACE_HEADER:
        raise MalformedFile("DG2", "no ISO/IEC 19794-5 facial record")
    warnings = ["dg2_leading_bytes"] if begin else []
    record = record[begin:]
    if record[4:8] != VERSION:
        warnings.append("dg2_record_version")
    if int.from_bytes(record[8:12], "big") != len(record):
        warnings.append("dg2_record_length")
    faces = int.from_bytes(record[12:14], "big")
    if not 1 <= faces <= FACES_MAX:
        raise MalformedFile("DG2", f"a record with {faces} faces")
    images, displaced = _faces(record, faces)
    return images, (*warnings, *(["dg2_image_displaced"] if displaced else ()))


def _faces(record: bytes, count: int) -> tuple[tuple[bytes, ...], bool]:
    """Where each face begins and its image within it; the last image goes to the end of the record."""
    found: list[tuple[int, int]] = []
    at, displaced = RECORD_HEADER, False
    for _ in range(count):
        place = _face_near(record, at)
        if place is None:
            place, displaced = _image_after(record, found[-1][1] if found else at), True
        displaced = displaced or place[0] != at
        found.append(place)
        at = place[0] + int.from_bytes(record[place[0] : place[0] + 4], "big")
    ends = [begin for begin, _ in found[1:]] + [len(record)]
    images = tuple(record[image:end] for (_, image), end in zip(found, ends, strict=True))
    if not all(images):
        raise MalformedFile("DG2", "faces that lie one in another")
    return images, displaced


def _face_near(record: bytes, at: int) -> tuple[int, int] | None:
    """A face header at `at` or a few bytes beside whose feature points lead to an image; its place and the image's."""
    for begin in (at + shift for shift in NEAR if at + shift >= RECORD_HEADER):
        points = int.from_bytes(record[begin + 4 : begin + 6], "big")
        image = begin + FACE_HEADER + FEATURE_POINT * points + IMAGE_HEADER
        if format_of(record[image : image + 8]):
            return begin, image
    return None


def _image_after(record: bytes, after: int) -> tuple[int, int]:
    """The first image anywhere beyond `after`, and where its face would begin. Raises MalformedFile."""
    places = [place for magic in MAGIC.values() if (place := record.find(magic, after + 1)) > 0]
    if not places:
        raise MalformedFile("DG2", "a face without an image, JPEG or JPEG 2000")
    image = min(places)
    return max(RECORD_HEADER, image - FACE_HEADER - IMAGE_HEADER), image


def compose_19794(images: tuple[bytes, ...], *, width: int, height: int, sex: str = "<") -> bytes:
    """One record with a full frontal face for each image."""
    faces = b"".join(_compose_face(image, width, height, sex) for image in images)
    length = RECORD_HEADER + len(faces)
    return IDENTIFIER + VERSION + length.to_bytes(4, "big") + len(images).to_bytes(2, "big") + faces


def _compose_face(image: bytes, width: int, height: int, sex: str) -> bytes:
    gender, kind = {"M": 1, "F": 2}.get(sex, 0), 0 if format_of(image) == "jpeg" else 1
    picture = bytes((1, kind)) + width.to_bytes(2, "big") + height.to_bytes(2, "big") + bytes((1, 2, 0, 0, 0, 0))
    length = FACE_HEADER + IMAGE_HEADER + len(image)
    return length.to_bytes(4, "big") + bytes(2) + bytes((gender,)) + bytes(13) + picture + image


def parse_39794(block: bytes) -> tuple[bytes, ...]:
    """The images of the representations of a FaceImageDataBlock. Raises MalformedTlv."""
    representations = tlv.parse(tlv.descend(block, FACE_IMAGE_DATA, 0xA1).value)
    if not 1 <= len(representations) <= FACES_MAX:
        raise MalformedTlv(f"{len(representations)} representations of a face")
    return tuple(tlv.descend(representation.value, *IMAGE_PATH).value for representation in representations)


def compose_39794(image: bytes, *, width: int, height: int) -> bytes:
    """A FaceImageDataBlock with what is mandatory, and the size of the image. Raises MalformedFile."""
    kind = format_of(image)
    if kind is None or len(image) > IMAGE_MAX:
        raise MalformedFile("DG2", "an image neither JPEG nor JPEG 2000")
    version = tlv.encode(0xA0, tlv.encode(0x80, b"\x03"), tlv.encode(0x81, (2019).to_bytes(2, "big")))
    code = tlv.encode(0xA0, tlv.encode(0x80, bytes((FORMAT_CODES[kind],))))
    size = tlv.encode(0xA7, tlv.encode(0x80, _integer(width)), tlv.encode(0x81, _integer(height)))
    flat = tlv.encode(0xA0, tlv.encode(0x80, image), tlv.encode(0xA1, code, size))
    representation = tlv.encode(0x30, tlv.encode(0x80, b"\0"), tlv.encode(0xA1, tlv.encode(0xA0, flat)))
    return tlv.encode(FACE_IMAGE_DATA, version, tlv.encode(0xA1, representation))


def _integer(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big")

"""What real chips were found to do beside the standard, each by a name: how they behave, and how their files are made.

A reader that gets through all of them gets through what readers of travel documents have met so far. The changes to
files are made before the State signs, as they are in the field: such a document is genuine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from emrtd import tlv
from emrtd.files import GROUP_TAGS
from emrtd.softchip.document import ChipProfile

Groups = Mapping[int, bytes]

CHIPS: Mapping[str, ChipProfile] = {
    "reads-112": ChipProfile(largest_read=112),
    "reads-128": ChipProfile(largest_read=128),
    "reads-160": ChipProfile(largest_read=160),
    "reads-192": ChipProfile(largest_read=192),
    "reads-223": ChipProfile(largest_read=223, extended=False),
    "reads-256": ChipProfile(largest_read=256),
    "too-long-is-6700": ChipProfile(largest_read=128, over="refuse"),
    "too-long-is-6b00": ChipProfile(largest_read=128, over="wrong_offset"),
    "too-long-is-6cxx": ChipProfile(largest_read=128, over="say_length"),
    "too-long-is-6282": ChipProfile(largest_read=128, over="end_of_file"),
    "no-extended-length": ChipProfile(extended=False),
    "plain-error": ChipProfile(errors="plain"),
    "plain-error-not-counted": ChipProfile(errors="plain_uncounted"),
    "plain-error-ends-channel": ChipProfile(errors="plain_and_close"),
    "no-master-file-6a86": ChipProfile(answers_master_file=0x6A86),
    "no-master-file-6a87": ChipProfile(answers_master_file=0x6A87),
    "no-master-file-6982": ChipProfile(answers_master_file=0x6982),
    "no-master-file-6a81": ChipProfile(answers_master_file=0x6A81),
    "no-master-file-6d00": ChipProfile(answers_master_file=0x6D00),
    "no-master-file-6985": ChipProfile(answers_master_file=0x6985),
    "card-access-in-application": ChipProfile(card_access="application"),
    "french-identity-card": ChipProfile(answers_master_file=0x6A86, application="after_pace", bac=False),
    "chip-authentication-first": ChipProfile(chip_first=True),
    "long-answers-in-parts": ChipProfile(largest_answer=200),
    "three-tries": ChipProfile(tries=3),
}
"""How a chip behaves."""


def _in_template(number: int, change: Callable[[bytes], bytes]) -> Callable[[Groups], dict[int, bytes]]:
    """A change to what the template of a data group holds; nothing where the document has no such group."""

    def apply(groups: Groups) -> dict[int, bytes]:
        if number not in groups:
            return dict(groups)
        tag = GROUP_TAGS[number]
        return {**groups, number: tlv.encode(tag, change(tlv.expect(groups[number], tag).value))}

    return apply


def _bcd_date(content: bytes) -> bytes:
    """The date of birth in four bytes of decimal digits (Malaysia, Spain, Bosnia)."""
    return b"".join(
        tlv.encode(item.tag, bytes.fromhex(item.value.decode("ascii"))) if item.tag == 0x5F2B else item.raw
        for item in tlv.parse(content)
    )


def _bare_names(content: bytes) -> bytes:
    """Other names under A0 without their count (Belarus)."""
    return b"".join(
        tlv.encode(item.tag, *(name.raw for name in tlv.parse(item.value) if name.tag != 0x02))
        if item.tag == 0xA0
        else item.raw
        for item in tlv.parse(content)
    )


def _empty_elements(content: bytes) -> bytes:
    """Elements without a value, and one that no standard knows (Belgium)."""
    return content + bytes.fromhex("5F1200 5F1300 5F7F0101")


def _claims_more(groups: Groups) -> dict[int, bytes]:
    """DG2 says eight bytes more than it has."""
    content = groups[2]
    header = tlv.read_header(content)
    longer = bytes((content[0],)) + tlv.encode_length(header.length + 8)
    return {**groups, 2: longer + content[header.size :]}


def _free_text(groups: Groups) -> dict[int, bytes]:
    """DG13 that is no data object at all (Singapore)."""
    return {**groups, 13: b"SPECIMEN OF FREE TEXT " * 30}


FILES: Mapping[str, Callable[[Groups], dict[int, bytes]]] = {
    "dg2-claims-more": _claims_more,
    "dg11-bcd-date": _in_template(11, _bcd_date),
    "dg11-names-without-count": _in_template(11, _bare_names),
    "dg11-empty-elements": _in_template(11, _empty_elements),
    "dg13-not-tlv": _free_text,
    "dg14-trailing-bytes": _in_template(14, lambda content: content + b"\x04\x02\xab\xcd"),
}
"""How a file is made."""

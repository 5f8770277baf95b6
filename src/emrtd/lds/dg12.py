"""DG12: additional details of the document: who issued it, when and how (ICAO 9303-10 4.7.12)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from emrtd.dates import PartialDate
from emrtd.lds.data_objects import Details, compose_details, eight_digits
from emrtd.lds.pictures import Picture

ISSUING_AUTHORITY, ISSUE_DATE, OTHER_PERSON, ENDORSEMENTS = 0x5F19, 0x5F26, 0x5F1A, 0x5F1B
TAX_OR_EXIT, FRONT, REAR, PERSONALISED_AT, PERSONALISED_BY = 0x5F1C, 0x5F1D, 0x5F1E, 0x5F55, 0x5F56
BELGIAN_PERSONALISED_AT = 0x5F85  # in no standard, and no tag at all by the rules of BER
KNOWN = (ISSUING_AUTHORITY, ISSUE_DATE, ENDORSEMENTS, TAX_OR_EXIT, FRONT, REAR, PERSONALISED_AT, PERSONALISED_BY)


@dataclass(frozen=True, repr=False)
class Dg12:
    """ "", () and None where absent.

    ``other_persons`` are names with spaces for fillers; ``front`` and ``rear`` images of the document;
    ``personalised_at`` has no time zone, ``personalised_by`` is the serial number of the device.
    ``warnings`` names what was forgiven.
    """

    issuing_authority: str = ""
    issue_date: PartialDate | None = None
    other_persons: tuple[str, ...] = ()
    endorsements: str = ""
    tax_or_exit: str = ""
    front: Picture | None = None
    rear: Picture | None = None
    personalised_at: datetime | None = None
    personalised_by: str = ""
    warnings: tuple[str, ...] = field(default=(), compare=False)


def parse_dg12(content: bytes) -> Dg12:
    """Read DG12. Raises MalformedFile."""
    details = Details(content, 12, KNOWN, OTHER_PERSON)
    personalised = PERSONALISED_AT if PERSONALISED_AT in details.found else BELGIAN_PERSONALISED_AT
    return Dg12(
        issuing_authority=details.words(ISSUING_AUTHORITY),
        issue_date=details.date(ISSUE_DATE, "issue_date"),
        other_persons=details.names(),
        endorsements=details.words(ENDORSEMENTS),
        tax_or_exit=details.words(TAX_OR_EXIT),
        front=details.picture(FRONT, "front"),
        rear=details.picture(REAR, "rear"),
        personalised_at=details.moment(personalised, "personalised_at"),
        personalised_by=details.text(PERSONALISED_BY),
        warnings=tuple(details.warnings),
    )


def compose_dg12(details: Dg12) -> bytes:
    """DG12 with the elements that have a value."""
    moment = details.personalised_at
    elements = (
        (ISSUING_AUTHORITY, details.issuing_authority.encode()),
        (ISSUE_DATE, eight_digits(details.issue_date)),
        (ENDORSEMENTS, details.endorsements.encode()),
        (TAX_OR_EXIT, details.tax_or_exit.encode()),
        (FRONT, details.front.image if details.front else b""),
        (REAR, details.rear.image if details.rear else b""),
        (PERSONALISED_AT, f"{moment:%Y%m%d%H%M%S}".encode("ascii") if moment else b""),
        (PERSONALISED_BY, details.personalised_by.encode()),
    )
    return compose_details(12, elements, OTHER_PERSON, details.other_persons)

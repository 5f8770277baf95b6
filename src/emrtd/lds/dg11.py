"""DG11: additional personal details, with the names as they are really written (ICAO 9303-10 4.7.11)."""

from __future__ import annotations

from dataclasses import dataclass, field

from emrtd.dates import PartialDate
from emrtd.lds.data_objects import Details, compose_details, eight_digits, fillers
from emrtd.lds.pictures import Picture

FULL_NAME, OTHER_NAME, PERSONAL_NUMBER, BIRTH_DATE, BIRTH_PLACE = 0x5F0E, 0x5F0F, 0x5F10, 0x5F2B, 0x5F11
ADDRESS, TELEPHONE, PROFESSION, TITLE, SUMMARY = 0x5F42, 0x5F12, 0x5F13, 0x5F14, 0x5F15
PROOF_OF_CITIZENSHIP, OTHER_DOCUMENTS, CUSTODY = 0x5F16, 0x5F17, 0x5F18
KNOWN = (
    FULL_NAME, PERSONAL_NUMBER, BIRTH_DATE, BIRTH_PLACE, ADDRESS, TELEPHONE, PROFESSION, TITLE, SUMMARY,
    PROOF_OF_CITIZENSHIP, OTHER_DOCUMENTS, CUSTODY,
)  # fmt: skip


@dataclass(frozen=True, repr=False)
class Dg11:
    """Names in national characters, the document's own spelling; "", () and None where absent.

    ``primary`` and ``secondary`` divide the full name as the machine-readable zone does; all of it is in
    ``primary`` where the document does not divide it. ``birth_place`` and ``address`` are lines of text,
    ``other_documents`` numbers of other valid travel documents. ``warnings`` names what was forgiven.
    """

    primary: str = ""
    secondary: str = ""
    other_names: tuple[str, ...] = ()
    personal_number: str = ""
    birth_date: PartialDate | None = None
    birth_place: tuple[str, ...] = ()
    address: tuple[str, ...] = ()
    telephone: str = ""
    profession: str = ""
    title: str = ""
    summary: str = ""
    proof_of_citizenship: Picture | None = None
    other_documents: tuple[str, ...] = ()
    custody: str = ""
    warnings: tuple[str, ...] = field(default=(), compare=False)


def parse_dg11(content: bytes) -> Dg11:
    """Read DG11. Raises MalformedFile."""
    details = Details(content, 11, KNOWN, OTHER_NAME)
    primary, secondary = details.name(FULL_NAME)
    return Dg11(
        primary=primary,
        secondary=secondary,
        other_names=details.names(),
        personal_number=details.text(PERSONAL_NUMBER).strip("< "),
        birth_date=details.date(BIRTH_DATE, "birth_date"),
        birth_place=details.lines(BIRTH_PLACE),
        address=details.lines(ADDRESS),
        telephone=details.words(TELEPHONE),
        profession=details.words(PROFESSION),
        title=details.words(TITLE),
        summary=details.words(SUMMARY),
        proof_of_citizenship=details.picture(PROOF_OF_CITIZENSHIP, "proof_of_citizenship"),
        other_documents=details.lines(OTHER_DOCUMENTS),
        custody=details.words(CUSTODY),
        warnings=tuple(details.warnings),
    )


def compose_dg11(details: Dg11) -> bytes:
    """DG11 with the elements that have a value."""
    name = details.primary + (f"<<{details.secondary}" if details.secondary else "")
    proof = details.proof_of_citizenship
    elements = (
        (FULL_NAME, fillers(name)),
        (PERSONAL_NUMBER, details.personal_number.encode()),
        (BIRTH_DATE, eight_digits(details.birth_date)),
        (BIRTH_PLACE, "<".join(details.birth_place).encode()),
        (ADDRESS, "<".join(details.address).encode()),
        (TELEPHONE, details.telephone.encode()),
        (PROFESSION, fillers(details.profession)),
        (TITLE, fillers(details.title)),
        (SUMMARY, fillers(details.summary)),
        (PROOF_OF_CITIZENSHIP, proof.image if proof else b""),
        (OTHER_DOCUMENTS, "<".join(details.other_documents).encode()),
        (CUSTODY, fillers(details.custody)),
    )
    return compose_details(11, elements, OTHER_NAME, details.other_names)
